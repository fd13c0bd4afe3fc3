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
        outputs: Array of shape `(num_examples, ...)`, what the model gave; of several outputs their structure.
        labels: Array of shape `(num_examples, ...)`, or a structure of them.
        inputs: The first examples, an array or a dict of arrays; None when none were to be kept.
    """

    outputs: typing.Any
    labels: typing.Any
    inputs: typing.Any


def ask(model, data, *, batch_size=None, keep=0, verbose=0):
    """Runs a model over labelled examples, once, in the order in which they come.

    Args:
        model: `keras.Model`.
        data: As in `tft.analysis.evaluate_classifier`.
        batch_size: Integer, as in `as_dataset`. Defaults to None.
        keep: Integer, how many of the first examples to keep. Defaults to 0.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 0.

    Raises:
        ValueError: When the data are endless or empty.
    """
    fits = taken(model)
    # A task's label that is missing is NaN, which a model that was loaded from a file has no builder to say.
    fits["missing"] |= len(getattr(model, "outputs", None) or ()) > 1
    dataset = as_dataset(data, batch_size=batch_size, **fits)
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The data is endless. Say with `dataset.take(num_batches)` how much of it to evaluate.")
    known = int(dataset.cardinality())
    progress = keras.utils.Progbar(known if known > 0 else None, verbose=verbose)
    outputs, labels, kept, count = [], [], [], 0
    for batch in dataset:
        outputs.append(keras.tree.map_structure(np.asarray, predict_on_batch(model, batch[0])))
        labels.append(keras.tree.map_structure(keras.ops.convert_to_numpy, batch[1]))
        if count < keep:
            kept.append(keras.tree.map_structure(lambda part: part.numpy(), batch[0]))
        count += len(keras.tree.flatten(outputs[-1])[0])
        progress.add(1)
    if not outputs:
        raise ValueError("The data is empty: there is nothing to evaluate.")
    inputs = keras.tree.map_structure(lambda part: part[:keep], _joined(kept)) if kept else None
    return Asked(_joined(outputs), _joined(labels), inputs)


def _joined(batches):
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
