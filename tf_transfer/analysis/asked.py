"""What a model answers to labelled examples, with some of the examples kept beside."""

import typing

import keras
import numpy as np
import tensorflow as tf

from tf_transfer.builders.taken import taken
from tf_transfer.data import as_dataset
from tf_transfer.training.replicas import predict_on_batch


class Asked(typing.NamedTuple):
    """What came out of one pass over labelled examples.

    Attributes:
        outputs: Array of shape `(num_examples, ...)`, what the model gave.
        labels: Array of shape `(num_examples, ...)`.
        inputs: The first examples, an array or a dict of arrays; None when none were to be kept.
    """

    outputs: np.ndarray
    labels: np.ndarray
    inputs: typing.Any


def ask(model, data, *, batch_size=None, keep=0, verbose=0):
    """Runs a model over labelled examples, once, in the order in which they come.

    Args:
        model: `keras.Model` with one output.
        data: As in `tft.analysis.evaluate_classifier`.
        batch_size: Integer, as in `as_dataset`. Defaults to None.
        keep: Integer, how many of the first examples to keep. Defaults to 0.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 0.

    Raises:
        ValueError: When the data are endless or empty.
    """
    dataset = as_dataset(data, batch_size=batch_size, **taken(model))
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The data is endless. Say with `dataset.take(num_batches)` how much of it to evaluate.")
    known = int(dataset.cardinality())
    progress = keras.utils.Progbar(known if known > 0 else None, verbose=verbose)
    outputs, labels, kept, count = [], [], [], 0
    for batch in dataset:
        outputs.append(np.asarray(predict_on_batch(model, batch[0])))
        labels.append(keras.ops.convert_to_numpy(batch[1]))
        if count < keep:
            kept.append(keras.tree.map_structure(lambda part: part.numpy(), batch[0]))
        count += len(outputs[-1])
        progress.add(1)
    if not outputs:
        raise ValueError("The data is empty: there is nothing to evaluate.")
    inputs = keras.tree.map_structure(lambda *parts: np.concatenate(parts)[:keep], *kept) if kept else None
    return Asked(np.concatenate(outputs), np.concatenate(labels), inputs)
