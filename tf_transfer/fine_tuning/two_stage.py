"""From a source to a target in one call: a model is trained on the first, and carried over to the second."""

import dataclasses

import keras

from tf_transfer import _checks
from tf_transfer.backbones import find_backbone
from tf_transfer.builders import Builder
from tf_transfer.fine_tuning.fine_tune import fine_tune
from tf_transfer.fine_tuning.history import FineTuningHistory
from tf_transfer.fine_tuning.recompiling import compile_with, optimizer_like
from tf_transfer.fine_tuning.resuming import state_of
from tf_transfer.parameter_efficient.method import ParameterEfficient

# The first stage trains all there is, and goes on to its end.
_WHOLE = {"freeze_epochs": 0, "unfreeze": True, "batch_norm": "trainable", "regularizer": (), "validation_split": 0}


@dataclasses.dataclass(frozen=True)
class TwoStageResult:
    """What `two_stage` gives back.

    Args:
        model: Compiled `keras.Model` of the target, trained on both.
        source_model: The `keras.Model` of the source, as it was after the first stage.
        history: A `FineTuningHistory` over both stages, with a `Phase` "source", and then "target".
    """

    model: keras.Model
    source_model: keras.Model
    history: FineTuningHistory


def two_stage(
    builder,
    source,
    target,
    validation_data=None,
    *,
    source_builder=None,
    source_validation=None,
    source_epochs=30,
    source_rate=0.01,
    epochs=20,
    learning_rate=1e-3,
    head_factor=10.0,
    optimizer=None,
    keep_head=False,
    batch_size=None,
    callbacks=(),
    seed=None,
    verbose=1,
    resume=None,
    **arguments,
):
    """Trains a model on a labelled source, and then on a few labels of a target: the recipe of two stages.

    In the first stage the whole model trains on the source. In the second its backbone is that of a model with a new
    head, and both train on the target, the head at a larger rate: its weights are new, and those of the backbone are
    to be nudged. Both stages take SGD with Nesterov momentum, a rate that warms up and falls along a cosine, and what
    else `tft.fine_tune` does: the builder's augmentation and regularizer, the best weights by validation data.

    It works with each builder on a backbone, whatever comes in: images, texts, tables, audio.

    Args:
        builder: Builder of the target's model. What its `adapt` learned of texts or tables should come from the
            source, whose weights depend on it.
        source: Labelled data of the source, as `train` of `tft.fine_tune`.
        target: Labelled data of the target, likewise.
        validation_data: Labelled data of the target that choose the best epoch of the second stage. Defaults to None,
            which holds out a part of `target`, as `tft.fine_tune` does.
        source_builder: Builder of the source's model, when its classes are others: the same with another `num_classes`,
            `dataclasses.replace(builder, num_classes=10, class_names=None)`. Its backbone has to be the same. Defaults
            to `builder`.
        source_validation: Labelled data of the source that choose the best epoch of the first stage. Defaults to None:
            the last one is kept.
        source_epochs: Integer, epochs of the first stage. Defaults to 30.
        source_rate: Float, highest rate of the first stage. Defaults to 0.01.
        epochs: Integer, epochs of the second stage. Defaults to 20.
        learning_rate: Float, highest rate of the backbone in the second stage. Defaults to 1e-3.
        head_factor: Float of at least 1; the head's rate in the second stage is `learning_rate * head_factor`.
            Defaults to 10.
        optimizer: A `keras.optimizers.Optimizer`, whose kind both stages use, at the rates above. Defaults to
            `keras.optimizers.SGD(momentum=0.9, nesterov=True)`.
        keep_head: Boolean, whether the target starts with the source's head, where both have the same classes. Defaults
            to False: with a new one.
        batch_size: Integer, of both stages. Defaults to None, as in `tft.fine_tune`.
        callbacks: Sequence of Keras callbacks of the second stage.
        seed: Integer, of the shuffling. Defaults to None.
        verbose: 0, 1 or 2, as in `fit`. Defaults to 1.
        resume: Path of a folder that keeps the state after each epoch of both stages, or a `tft.training.RunState`, as
            in `tft.fine_tune`. Defaults to None.
        **arguments: Further arguments of `tft.fine_tune` for the second stage, such as `unfreeze="block_13"`,
            `freeze_epochs=5` or `validation_split=0`.

    Returns:
        A `TwoStageResult`: `model`, `source_model` and `history`.

    Raises:
        ValueError: Before any training, when the backbones differ, or an argument does not fit.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> table = {"a": rng.normal(size=64), "b": rng.normal(size=64)}
    >>> make = tft.TabularClassifier(columns=["a", "b"], num_classes=2, hidden_units=[8], seed=0).adapt(table)
    >>> x, y = make.inputs(table), (table["a"] > 0).astype("int64")
    >>> few = {name: values[:16] for name, values in x.items()}
    >>> result = tft.two_stage(make, (x, y), (few, 1 - y[:16]), (few, 1 - y[:16]), source_epochs=3, epochs=2,
    ...                        source_rate=0.1, learning_rate=0.01, seed=0, verbose=0)
    >>> [(phase.name, phase.num_epochs) for phase in result.history.phases]
    [('source', 3), ('target', 2)]

    Reference:
        Yosinski et al., 2014, https://arxiv.org/abs/1411.1792; Long et al., 2015 (ten times the rate for new layers),
        https://arxiv.org/abs/1502.02791
    """
    source_builder = builder if source_builder is None else source_builder
    _check(builder, source_builder, source_epochs, epochs, head_factor)
    kind = keras.optimizers.SGD(momentum=0.9, nesterov=True) if optimizer is None else optimizer
    settings = {"source_epochs": source_epochs, "source_rate": source_rate, "epochs": epochs, "seed": seed}
    settings |= {"learning_rate": learning_rate, "head_factor": head_factor, "keep_head": keep_head}
    settings |= {"batch_size": batch_size, "arguments": {name: str(value) for name, value in sorted(arguments.items())}}
    source_model, model = source_builder.build(), builder.build()
    _check_same(source_model, model, keep_head)
    history = FineTuningHistory()
    with state_of(resume, settings, seed=seed, model=model, verbose=verbose) as state:

        def stage(name, *data, **options):
            shared = {"batch_size": batch_size, "seed": seed, "verbose": verbose, "resume": state.part(name)}
            compile_with(data[0], optimizer_like(data[0], options["fine_tuning_rate"], kind))
            fitted = fine_tune(*data, **options, **shared)
            _append(history, fitted, name)
            history.search = fitted.search

        _say(verbose, f"Source: {source_epochs} epochs of {source_model.name}.")
        options = {"epochs": source_epochs, "fine_tuning_rate": source_rate}
        stage("source", source_model, source, source_validation, **_WHOLE, **options)
        _say(verbose, f"Target: {epochs} epochs of {model.name}, with {'the same' if keep_head else 'a new'} head.")
        _carry_over(source_model, model, keep_head)
        options = {"epochs": epochs, "fine_tuning_rate": learning_rate, "learning_rate": learning_rate * head_factor}
        options |= {"freeze_epochs": 0, "unfreeze": _unfreeze(builder), "head_factor": head_factor, **arguments}
        stage("target", model, target, validation_data, callbacks=callbacks, **options)
    return TwoStageResult(model, source_model, history)


def _check(builder, source_builder, source_epochs, epochs, head_factor):
    for name, each in (("builder", builder), ("source_builder", source_builder)):
        if not isinstance(each, Builder):
            raise ValueError(f"`{name}` must be a builder such as `tft.ImageClassifier(...)`. Received: {each!r}.")
        if isinstance(getattr(each, "trainable", None), ParameterEfficient):
            raise ValueError(
                f"`{name}` has trainable={each.trainable}, which puts something into the backbone before there is a "
                "source. Say trainable=True, and apply it to the `source_model` of the result."
            )
    _checks.integer(source_epochs, "source_epochs", 1)
    _checks.integer(epochs, "epochs", 1)
    _checks.number(head_factor, "head_factor", 1.0)


def _check_same(source_model, model, keep_head):
    parts = {"backbone": [find_backbone(each) for each in (source_model, model)]}
    if keep_head:
        parts["head"] = [source_model, model]
    for part, (of_source, of_target) in parts.items():
        shapes = [[tuple(weight.shape) for weight in each.weights] for each in (of_source, of_target)]
        if shapes[0] != shapes[1]:
            other = next((pair for pair in zip(*shapes, strict=False) if pair[0] != pair[1]), "one is longer")
            raise ValueError(
                f"Source and target must have the same {part}, weight by weight. Received: {len(shapes[0])} and "
                f"{len(shapes[1])} weights, the first that differ: {other}."
                + (" Say keep_head=False for a new one." if part == "head" else "")
            )


def _carry_over(source_model, model, keep_head):
    parts = [source_model, model] if keep_head else [find_backbone(source_model), find_backbone(model)]
    parts[1].set_weights(parts[0].get_weights())


def _unfreeze(builder):
    # A builder that freezes says so of a backbone that came pretrained; this one was trained by the first stage.
    trainable = getattr(builder, "trainable", True)
    return True if trainable is False else trainable


def _append(history, fitted, stage):
    """Adds the phases of a stage to the history of both, the last by the name of the stage."""
    for phase in fitted.phases:
        first, name = len(history.epoch), stage if phase is fitted.phases[-1] else f"{stage} {phase.name}"
        rows = slice(phase.first_epoch, phase.first_epoch + phase.num_epochs)
        best = None if phase.best_epoch is None else first + phase.best_epoch - phase.first_epoch
        history.add(
            dataclasses.replace(phase, name=name, first_epoch=first, best_epoch=best),
            {metric: values[rows] for metric, values in fitted.history.items()},
        )


def _say(verbose, text):
    if verbose:
        print(text)
