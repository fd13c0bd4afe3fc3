"""The section of a report on how far the domain where a model is used lies from the one that it learned from."""

import keras
import numpy as np
import tensorflow as tf

from tf_transfer.analysis.domain_gap import domain_gap
from tf_transfer.analysis.feature_maps import plot_domains
from tf_transfer.backbones.splitting import split_at_backbone
from tf_transfer.training.graphs import graph_of
from tf_transfer.training.replicas import predict_on_batch

_BATCH = 32


def domains(page, subject, num_examples=300):
    """How far the target is from the source, as the model sees both."""
    gap, figure = subject.gap, None
    if gap is None and subject.source is not None:
        target = subject.data if subject.target is None else subject.target
        # The outputs of a model of several share what comes before its heads.
        encoder = features_of(subject.parts[0].model if subject.parts else subject.model)
        found = [_features(encoder, each, num_examples) for each in (subject.source, target)]
        features, labels = zip(*found)
        names = subject.evaluation.class_names if subject.is_classifier else None
        without = subject.is_regressor or subject.is_multi_label or subject.parts
        labels = [None if without else _classes(each) for each in labels]
        options = {"source_labels": labels[0], "target_labels": labels[1], "class_names": names}
        gap = domain_gap(*features, **options)
        figure = plot_domains({"features of this model, t-SNE": tuple(features)}, **options)
    if gap is None:
        return
    page.section("How far the target is from the source")
    page.text(gap.verdict)
    page.facts([
        ("Proxy A-distance", f"{gap.a_distance:.2f}", "0: can't be told apart, 2: always"),
        ("Chance shows as much", f"p = {gap.mmd_p_value:.3f}", "permutation test of the MMD"),
        ("Examples", f"{sum(gap.num_examples):,}", "{:,} source, {:,} target".format(*gap.num_examples)),
    ])  # fmt: skip
    page.figure(gap.plot(), "How well a classifier tells the domains apart")
    if figure is not None:
        page.figure(figure, "Source and target, projected together; where colors mix, the model sees no difference")


def features_of(model):
    """Returns a model from inputs to features: those of the backbone, else what enters the last layer."""
    try:
        return split_at_backbone(model)[0]
    except ValueError:
        graph = graph_of(model)
        return keras.Model(graph.input, model.layers[-1].input)


def _features(encoder, data, num_examples):
    """Returns features of some examples, drawn the same each time, and their labels, None where they have none."""
    features, labels = [], []
    for batch in _batches(data).take(-(-num_examples // _BATCH)):
        x, y = batch[:2] if isinstance(batch, tuple) else (batch, None)
        found = np.asarray(predict_on_batch(encoder, x))
        features.append(found.reshape(len(found), -1))
        labels.append(y)
    known = not (labels[0] is None or isinstance(labels[0], dict))
    return np.concatenate(features), np.concatenate(labels) if known else None


def _batches(data):
    if isinstance(data, tf.data.Dataset):
        return data
    if hasattr(data, "in_order"):
        return data.dataset(_BATCH, shuffle=True, seed=0)
    # Rows of a file or a folder often stand class by class.
    num = len(keras.tree.flatten(data)[0])
    return tf.data.Dataset.from_tensor_slices(data).shuffle(num, seed=0).batch(_BATCH)


def _classes(labels):
    if labels is None:
        return None
    return labels.argmax(axis=1) if labels.ndim == 2 else labels.astype(int)
