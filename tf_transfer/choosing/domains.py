"""A source and a target as a backbone sees them: features, their distance, and whether classes are equally frequent."""

import os

import numpy as np
import tensorflow as tf

from tf_transfer.analysis import domain_gap
from tf_transfer.backbones import find_backbone
from tf_transfer.choosing.builders import input_shape, training_data
from tf_transfer.data import ImageFolder, UnlabeledImages
from tf_transfer.training.replicas import predict_on_batch
from tf_transfer.workflow.domain_folders import subfolders

_MOST = 1000


def without_labels(data, class_names):
    """Returns images without labels as `UnlabeledImages` or an array, or None for data that have labels.

    A folder has labels when all of its subfolders are named like classes of the source.
    """
    if isinstance(data, str | os.PathLike):
        names = set(subfolders(data))
        if names and names <= set(class_names or names):
            return None
        return UnlabeledImages(data, (224, 224))
    if isinstance(data, UnlabeledImages):
        return data
    if isinstance(data, tf.data.Dataset) and not isinstance(data.element_spec, tuple):
        return np.concatenate([batch.numpy() for batch in (data if _is_batched(data) else data.batch(32))])
    return data if isinstance(data, np.ndarray) and data.ndim == 4 else None


def measure(source, target, builder, *, batch_size, seed):
    """Returns the `tft.analysis.DomainGap` of two domains, and a guess of their label shift.

    Args:
        source: `Examples` of images.
        target: `UnlabeledImages` or an array of images.
        builder: `tft.ImageClassifier`, whose backbone looks at them.
        batch_size: Integer.
        seed: Integer, of the choice of at most 1000 images of each.
    """
    encoder, shape = find_backbone(builder.build()), input_shape(builder)
    of_source, labels = _features(encoder, training_data(source, builder), batch_size, seed)
    if isinstance(target, UnlabeledImages):
        target = UnlabeledImages(target.paths, shape[:2], channels=shape[2])
    of_target, _ = _features(encoder, target, batch_size, seed, shape[:2])
    gap = domain_gap(of_source, of_target, max_examples=_MOST, seed=seed)
    return gap, _guessed_shift(of_source, labels, of_target)


def _features(encoder, data, batch_size, seed, size=None):
    """Returns the features of at most so many examples, chosen at random, and their labels or None."""
    if isinstance(data, ImageFolder | UnlabeledImages):
        batches = data.dataset(batch_size, shuffle=True, seed=seed).take(-(-_MOST // batch_size))
    elif isinstance(data, tf.data.Dataset):
        batches = data.take(-(-_MOST // batch_size))
    else:
        parts = data[:2] if isinstance(data, tuple) else (data,)
        rows = np.sort(np.random.default_rng(seed).permutation(len(parts[0]))[:_MOST])
        chosen = tuple(np.asarray(part)[rows] for part in parts)
        batches = tf.data.Dataset.from_tensor_slices(chosen).batch(batch_size)
    features, labels = [], []
    for batch in batches:
        x, y = (*batch, None)[:2] if isinstance(batch, tuple) else (batch, None)
        x = x if size is None or tuple(x.shape[1:3]) == tuple(size) else tf.image.resize(x, size)
        found = np.asarray(predict_on_batch(encoder, tf.cast(x, tf.float32)))
        features.append(found.reshape(len(found), -1))
        labels.append(y)
    return np.concatenate(features), None if labels[0] is None else np.concatenate(labels)


def _guessed_shift(features, labels, others):
    """Returns half the summed differences between the shares of the classes in the source and in the target, guessed.

    A linear model of the source's features says what is in the target; where the domains differ, it errs.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = labels.argmax(-1) if labels.ndim > 1 else labels
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1)).fit(features, labels)
    shares = [model.predict_proba(each).mean(axis=0) for each in (features, others)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _is_batched(data):
    return len(data.element_spec.shape) == 4
