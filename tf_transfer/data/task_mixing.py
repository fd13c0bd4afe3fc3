"""Data sets that have labels of one task each become one stream, in which the labels of the other tasks are missing."""

import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data.domain_epochs import common_spec, in_turn, share
from tf_transfer.data.domain_streams import INFINITE, UNKNOWN, open_stream

# What stands for a missing label, as losses that pass over it know it.
MISSING_CLASS = -1


def mix_tasks(datasets, batch_size=64, *, shuffle=True, seed=None, input_shape=None, missing=False):
    """Mixes the batches of data sets with labels of different tasks, for training a model of several.

    Each batch has as many examples of each data set, in turn, so that every replica of a strategy gets some of all, and
    labels of all tasks: those that a data set does not have are -1 where they are whole numbers, else NaN. That is what
    `tft.MultiTask` and `tft.losses.LabelledLoss` pass over. So a source and a target with labels of another kind can be
    trained together.

    In an epoch every example of the data set that lasts longest is seen once; those of the others, and a few of it that
    fill the last batch, again.

    Args:
        datasets: Dict from a task to its data: arrays `(x, y)` or `(x, y, sample_weight)` in a tuple, an `ImageFolder`,
            or a `tf.data.Dataset` of such tuples, batched or not. Data with labels of several tasks has them in a dict
            y, whose keys are the tasks; its own name is then of no account. Where some have sample weights, those of
            the others are 1.
        batch_size: Integer of at least the number of data sets. Defaults to 64.
        shuffle: Bool, whether arrays and folders come in a new order at each repetition and epoch. A `tf.data.Dataset`
            keeps its own order. Defaults to True.
        seed: Integer or None, the same seed gives the same batches. Defaults to None.
        input_shape: As for `as_dataset`. Defaults to None.
        missing: Bool, as for `as_dataset`: whether NaN stands for a missing value in the data. Defaults to False.

    Returns:
        A `tf.data.Dataset` of batches `(x, {task: y, ...})` or `(x, {task: y, ...}, sample_weight)`.

    Raises:
        ValueError: If the data sets' x differ in structure, kind of values or shape, their labels of one task do, or
            no length of an epoch can be told.

    Example:

    >>> digits = (np.zeros((3, 2)), np.array([1, 2, 3]))
    >>> ages = (np.ones((2, 2)), np.array([[30.5], [41.0]]))
    >>> for x, y in tft.data.mix_tasks({"digit": digits, "age": ages}, batch_size=4, shuffle=False):
    ...     print(x[:, 0].numpy(), y["digit"].numpy(), y["age"].numpy().ravel())
    [0. 1. 0. 1.] [ 1 -1  2 -1] [ nan 30.5  nan 41. ]
    [0. 1. 0. 1.] [ 3 -1  1 -1] [ nan 30.5  nan 41. ]
    """
    if not isinstance(datasets, dict) or not datasets:
        raise ValueError(f"`datasets` must be a dict from tasks to their data. Received: {type(datasets).__name__}.")
    batch_size = _checks.integer(batch_size, "batch_size", minimum=len(datasets))
    seed = seed if seed is None else _checks.integer(seed, "seed", minimum=0)
    seeds = [int(number) for number in np.random.SeedSequence(seed).generate_state(len(datasets))]
    streams = [
        open_stream(
            data,
            f"data of {name!r}",
            share(batch_size, number, len(datasets)),
            shuffle,
            seeds[number],
            input_shape=input_shape,
            missing=missing,
        )
        for number, (name, data) in enumerate(datasets.items())
    ]
    labels = [_by_task(stream.spec[1], name) for stream, name in zip(streams, datasets, strict=True)]
    specs = _all_labels(streams, labels)
    weighted = any(len(stream.spec) == 3 for stream in streams)
    inputs = common_spec(streams, [stream.spec[0] for stream in streams], "x")

    def join(*elements):
        parts = []
        for stream, name, element in zip(streams, datasets, elements, strict=True):
            x, y, *weight = stream.read_element(element)
            x = tf.nest.map_structure(lambda leaf, spec: tf.cast(leaf, spec.dtype), x, inputs)
            known = _by_task(y, name)
            y = {task: _label(known.get(task), spec, stream.batch_size) for task, spec in specs.items()}
            weight = [tf.cast(*weight, tf.float32) if weight else tf.ones(stream.batch_size)] if weighted else []
            parts.append((x, y, *weight))
        order = in_turn(parts)
        batch = tf.nest.map_structure(lambda *leaves: tf.gather(tf.concat(leaves, 0), order), *parts)
        return tf.nest.map_structure(lambda leaf: tf.ensure_shape(leaf, [batch_size, *leaf.shape[1:]]), batch)

    steps = _steps(streams)
    dataset = tf.data.Dataset.zip(*(stream.batches() for stream in streams))
    if len(streams) == 1:
        dataset = streams[0].batches().map(lambda *element: (element if len(element) > 1 else element[0],))
    dataset = dataset.map(join, num_parallel_calls=tf.data.AUTOTUNE)
    # Batching anew forgets it, and `fit` shows no progress without it.
    ends = dataset if steps is None else dataset.take(steps)
    length = tf.data.experimental.assert_cardinality(INFINITE if steps is None else steps)
    return ends.apply(length).prefetch(tf.data.AUTOTUNE)


def _by_task(labels, name):
    return labels if isinstance(labels, dict) else {name: labels}


def _all_labels(streams, labels):
    """Returns the specification of one label of each task."""
    having = {task: [at for at, own in enumerate(labels) if task in own] for own in labels for task in own}
    return {
        task: common_spec([streams[at] for at in places], [labels[at][task] for at in places], f"labels of {task!r}")
        for task, places in having.items()
    }


def _label(label, spec, batch_size):
    if label is not None:
        return tf.cast(label, spec.dtype)
    value = float("nan") if spec.dtype.is_floating else MISSING_CLASS
    return tf.fill([batch_size, *spec.shape], tf.constant(value, spec.dtype))


def _steps(streams):
    """Returns the batches of an epoch, or None for one that does not end."""
    unknown = [stream.name for stream in streams if stream.num_examples == UNKNOWN]
    if unknown:
        raise ValueError(
            f"The length of the {unknown[0]} is not known, and with it how long an epoch is. Tell it with "
            "`dataset.apply(tf.data.experimental.assert_cardinality(...))`."
        )
    known = [-(-stream.num_examples // stream.batch_size) for stream in streams if stream.num_examples != INFINITE]
    return max(known) if known else None
