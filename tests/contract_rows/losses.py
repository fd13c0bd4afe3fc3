"""What each public object of `tft.losses` holds beyond its docstring."""

import functools

import keras
import numpy as np
import pytest

import tf_transfer as tft

import contracts
from contract_parts import check_refuses
from contract_registry import public, room, row


def domains():
    """Returns what losses are called on: features, one-hot labels or logits of a source and a target."""
    rng = np.random.default_rng(4)
    source, target = rng.normal(size=(6, 3)).astype("float32"), rng.normal(1.0, size=(4, 3)).astype("float32")
    return (source, np.eye(2, dtype="float32")[[0, 1, 1, 0, 1, 0]]), (target, target[:, :2])


def check_domain_loss(cls, source, target, **arguments):
    made = functools.partial(cls, weight=0.5, name="other", **arguments)
    contracts.check_loss(made, source, target, per_example=False)
    contracts.check_loss(functools.partial(cls, weight=tft.schedules.dann(0.3)), source, target, per_example=False)
    check_refuses(lambda: cls(weight=-1.0), "`weight`", "tft.schedules")
    check_refuses(lambda: cls(dtype="float16"), "`dtype`")
    check_refuses(lambda: cls()(source, target, sample_weight=np.ones(4)), "sample_weight")


_ON_NO_DOMAINS = {
    "ClassifierDiscrepancy",
    "ContrastiveLoss",
    "InfoNCE",
    "LabelledLoss",
    "LabelledMetric",
    "NTXent",
    "SigmoidContrastive",
}


@row("losses.DomainLoss")
def _(domain_loss):
    assert domain_loss.on == "features" and domain_loss.supports_jit
    assert all(
        isinstance(public(f"losses.{name}").on, str) for name in room("losses").__all__ if name not in _ON_NO_DOMAINS
    )


@row("losses.CORAL")
def _(coral):
    (source, _), (target, _) = domains()
    check_domain_loss(coral, source, target)
    check_refuses(lambda: coral()(source, target[:, :2]), "same width", "(6, 3)", "(4, 2)")
    check_refuses(lambda: coral()(None, target), "`source`")


@row("losses.MMD")
def _(mmd):
    (source, _), (target, _) = domains()
    check_domain_loss(mmd, source, target, bandwidth=2.0, multipliers=[1.0, 2.0], unbiased=True)
    check_refuses(lambda: mmd(multipliers=[1.0, 0.0]), "`multipliers`", "above 0")
    check_refuses(lambda: mmd(bandwidth=-1.0), "`bandwidth`", "above 0")


@row("losses.JointMMD")
def _(joint_mmd):
    source, target = domains()
    check_domain_loss(joint_mmd, source, target, bandwidths=[1.0, None], multipliers=[1.0], unbiased=True)
    check_refuses(lambda: joint_mmd()(source[0], target[0]), "`source`", "2 `bandwidths`")
    check_refuses(lambda: joint_mmd(bandwidths=[]), "`bandwidths`")


@row("losses.JointOptimalTransport")
def _(transport):
    source, target = domains()
    check_domain_loss(transport, source, target, alpha=0.1, beta=0.2, regularization=0.0)
    check_domain_loss(transport, source, target, alpha=0.1, beta=0.2, regularization=0.5)
    check_refuses(lambda: transport(alpha=0.0, beta=0.0), "`alpha`", "`beta`")
    check_refuses(lambda: transport()((source[0], np.arange(6)), target), "one-hot")


@row("losses.AdaptiveFeatureNorm")
def _(norm):
    (source, _), (target, _) = domains()
    check_domain_loss(norm, source, target, step=0.5)
    check_domain_loss(norm, source, target, radius=3.0)
    check_refuses(lambda: norm(step=0.0), "`step`", "above 0")


@row("losses.BatchSpectralPenalty")
def _(penalty):
    (source, _), (target, _) = domains()
    check_domain_loss(penalty, source, target, k=2)
    check_refuses(lambda: penalty(k=0), "`k`", "at least 1")


@row("losses.DAREGram")
def _(dare_gram):
    (source, _), (target, _) = domains()
    check_domain_loss(dare_gram, source, target, threshold=0.8, scale_weight=0.5)
    check_refuses(lambda: dare_gram(threshold=0.0), "`threshold`", "above 0")
    check_refuses(lambda: dare_gram(threshold=1.5), "`threshold`", "to 1")
    check_refuses(lambda: dare_gram(scale_weight=-1.0), "`scale_weight`", "at least 0")


@row("losses.RepresentationSubspaceDistance")
def _(distance):
    (source, _), (target, _) = domains()
    check_domain_loss(distance, source[:2], target[:2], bases_penalty=0.5)
    check_refuses(lambda: distance()(source, target), "fewer examples", "DAREGram", "6 examples of 3")
    check_refuses(lambda: distance(bases_penalty=-1.0), "`bases_penalty`", "at least 0")


@row("losses.BatchNuclearNorm")
def _(nuclear_norm):
    check_domain_loss(nuclear_norm, None, domains()[1][1])
    check_refuses(lambda: nuclear_norm()(None, np.zeros((4, 1))), "at least two classes")


@row("losses.MinimumClassConfusion")
def _(confusion):
    check_domain_loss(confusion, None, domains()[1][1], temperature=2.0)
    check_refuses(lambda: confusion(temperature=0.0), "`temperature`", "above 0")


@row("losses.Entropy")
def _(entropy):
    check_domain_loss(entropy, None, domains()[1][1])
    check_refuses(lambda: entropy()(None, np.zeros(4)), "at least two classes")


@row("losses.InformationMaximization")
def _(information):
    check_domain_loss(information, None, domains()[1][1])


@row("losses.ClassifierDiscrepancy")
def _(discrepancy):
    first, second = (np.random.default_rng(seed).dirichlet(np.ones(3), 4).astype("float32") for seed in (0, 1))
    contracts.check_loss(functools.partial(discrepancy, name="other"), first, second)
    check_refuses(lambda: discrepancy()(first, second[:1]), "one shape", "(4, 3)", "(1, 3)")


# Between a teacher and a student


def models():
    """Returns what losses are called on: logits, or features, of a teacher and a student."""
    rng = np.random.default_rng(5)
    return tuple(rng.normal(size=(4, 3)).astype("float32") for _ in range(2))


def check_distillation_loss(cls, teacher, student, per_example=False, **arguments):
    made = functools.partial(cls, weight=0.5, name="other", **arguments)
    contracts.check_loss(made, teacher, student, per_example=per_example)
    ramped = {**arguments, "weight": tft.schedules.dann(0.3), "reduction": "sum"}
    contracts.check_loss(functools.partial(cls, **ramped), teacher, student, per_example=False)
    check_refuses(lambda: cls(weight=-1.0), "`weight`", "tft.schedules")
    check_refuses(lambda: cls(dtype="float16"), "`dtype`")
    check_refuses(lambda: cls()(None, student), "`teacher`")
    if cls.on == "features":
        layers = functools.partial(cls, teacher_layer="backbone/add", student_layer="block_3", **arguments)
        contracts.check_loss(layers, teacher, student, per_example=per_example)
        check_refuses(lambda: cls(teacher_layer=3), "`teacher_layer`", "path")
    else:
        check_refuses(lambda: cls(teacher_layer="block_3"), "takes no `teacher_layer`")
    if cls().temperature is not None:
        check_refuses(lambda: cls(temperature=0.0), "`temperature`", "above 0")


@row("losses.DistillationLoss")
def _(distillation_loss):
    assert (distillation_loss.on, distillation_loss.needs_projector) == ("features", False)


@row("losses.KnowledgeDistillation")
def _(knowledge_distillation):
    check_distillation_loss(knowledge_distillation, *models(), per_example=True, temperature=2.0)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 4).astype("float32")
    check_distillation_loss(knowledge_distillation, probabilities, probabilities[::-1].copy(), from_logits=False)
    check_distillation_loss(knowledge_distillation, *models(), per_example=True, multi_label=True)
    check_refuses(lambda: knowledge_distillation()(models()[0], models()[1][:, :2]), "same classes", "(4, 3)", "(4, 2)")


@row("losses.DecoupledKnowledgeDistillation")
def _(decoupled):
    teacher, student = models()
    labelled = (teacher, np.eye(3, dtype="float32")[[0, 1, 2, 0]])
    check_distillation_loss(decoupled, labelled, student, alpha=0.5, beta=2.0, temperature=2.0)
    check_distillation_loss(decoupled, teacher, student, per_example=True, target="teacher")
    check_refuses(lambda: decoupled()(teacher, student), "labels", "target='teacher'")


@row("losses.DIST")
def _(dist):
    check_distillation_loss(dist, *models(), beta=2.0, gamma=0.5, temperature=4.0)


@row("losses.FeatureHint")
def _(hint):
    check_distillation_loss(hint, *models(), per_example=True)
    check_refuses(lambda: hint()(models()[0], models()[1][:, :1]), "one shape", "(4, 3)", "(4, 1)", "projector")


@row("losses.AttentionTransfer")
def _(attention):
    teacher, student = np.random.default_rng(0).normal(size=(2, 4, 5, 5, 3)).astype("float32")
    check_distillation_loss(attention, teacher, student[:, :2, :3, :2], per_example=True, power=4.0)
    check_refuses(lambda: attention()(*models()), "maps", "before the pooling")


@row("losses.SimilarityPreserving")
def _(similarity):
    check_distillation_loss(similarity, models()[0], models()[1][:, :2])
    check_refuses(lambda: similarity()(models()[0], models()[1][:2]), "same examples", "(4, 3)", "(2, 3)")


@row("losses.RelationalDistance")
def _(distance):
    check_distillation_loss(distance, models()[0], models()[1][:, :2])


@row("losses.RelationalAngle")
def _(angle):
    check_distillation_loss(angle, models()[0], models()[1][:, :2])


@row("losses.ContrastiveRepresentation")
def _(contrastive):
    check_distillation_loss(contrastive, *models(), temperature=0.5)


@row("losses.EmbeddingMatching")
def _(matching):
    check_distillation_loss(matching, *models(), per_example=True, distance="huber", delta=0.5)
    check_refuses(lambda: matching("cosinus"), "`distance`", "Did you mean 'cosine'?")


@row("losses.LabelledLoss")
def _(labelled_loss):
    scores = np.random.default_rng(0).dirichlet(np.ones(3), 4).astype("float32")
    made = functools.partial(
        labelled_loss, "sparse_categorical_crossentropy", missing=-1, class_weight={1: 2.0}, name="digits"
    )
    assert labelled_loss.from_config(made().get_config()).class_weight == {1: 2.0}
    contracts.check_loss(
        functools.partial(labelled_loss, keras.losses.MeanSquaredError(), by_entry=True, name="age"),
        scores[::-1].copy(),
        scores,
        per_example=False,
    )
    weighted = made()(np.array([1, 1, -1, -1]), scores, sample_weight=[1.0, 0.0, 9.0, 9.0])
    contracts.same(np.asarray(weighted), -np.log(scores[0, 1]), 1e-5)
    check_refuses(lambda: made(class_weight=[1.0]), "`class_weight`", "dict")
    check_refuses(lambda: labelled_loss("mse", missing=0.5), "`missing`", "integer")


@row("losses.LabelledMetric")
def _(labelled_metric):
    made = labelled_metric(keras.metrics.MeanSquaredError(), by_entry=True, name="error")
    again = labelled_metric.from_config(made.get_config())
    again.update_state(np.array([[1.0], [np.nan]]), np.array([[3.0], [3.0]]))
    assert (again.name, float(again.result())) == ("error", 4.0)
    check_refuses(lambda: labelled_metric("mse"), "`metric`")


def views():
    return tuple(np.random.default_rng(3).normal(size=(2, 4, 3)).astype("float32"))


@row("losses.InfoNCE")
def _(info_nce):
    contracts.check_loss(functools.partial(info_nce, temperature=0.2, name="pairs"), *views(), per_example=False)
    check_refuses(lambda: info_nce(0.0), "`temperature`", "above 0")
    check_refuses(lambda: info_nce()(np.ones((2, 3)), np.ones((2, 4))), "(batch, dim)", "(2, 4)")


@row("losses.NTXent")
def _(nt_xent):
    contracts.check_loss(functools.partial(nt_xent, temperature=0.2, name="views"), *views(), per_example=False)
    check_refuses(lambda: nt_xent(-1.0), "`temperature`", "above 0")


@row("losses.SigmoidContrastive")
def _(sigmoid):
    contracts.check_loss(functools.partial(sigmoid, temperature=0.2, bias=-2.0), *views(), per_example=False)
    check_refuses(lambda: sigmoid(bias=None), "`bias`", "number")


@row("losses.ContrastiveLoss")
def _(contrastive_loss):
    with pytest.raises(NotImplementedError, match="_of_scores"):
        contrastive_loss(0.1, name="own")(*views())
