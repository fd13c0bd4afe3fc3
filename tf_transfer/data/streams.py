"""Arrays, folders and `tf.data` in, one kind of stream out: batches (x, y) or (x, y, sample_weight)."""

import functools

import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.example_arrays import batch_reader, check_arrays
from tf_transfer.data.example_shapes import are_batches, check_batch, check_shape, map_shapes
from tf_transfer.data.labels import check_labels, example_spec
from tf_transfer.data.text_files import LabelledText

_DEFAULT_BATCH_SIZE = 32


def as_dataset(
    data,
    *,
    batch_size=None,
    input_shape=None,
    num_classes=None,
    shuffle=False,
    seed=None,
    drop_remainder=False,
    missing=False,
):
    """Turns whatever holds examples into batches (x, y) or (x, y, sample_weight).

    Arrays and folders are checked at once. Of a `tf.data.Dataset` only the specification can be; its
    values (not finite, another size) are checked as they pass. Images, known by an `input_shape` of
    three dimensions, become float32 batch by batch, so uint8 arrays stay small.

    Whether a dataset is batched is read from its specification: x has one dimension more than
    `input_shape`. Without an `input_shape`, scalar labels mean single examples, anything else batches.

    Args:
        data: Arrays `(x, y)` or `(x, y, sample_weight)` in a tuple (NumPy, tensors or lists; x may be
            a dict of arrays), an `ImageFolder` or `AudioFolder`, a `LabelledText`, or a
            `tf.data.Dataset` of such tuples, batched or not, finite or endless.
        batch_size: Positive integer or None. None means 32 for single examples, and for a batched
            dataset its own batches; a number batches those anew.
        input_shape: Shape of one x, with None for a size that varies; a dict of shapes if x is a
            dict. Defaults to None: any.
        num_classes: Integer; labels of arrays and folders are then checked at once to lie in
            0..num_classes - 1. Defaults to None: no check.
        shuffle: Bool, whether arrays and folders come in a new order each epoch. A `tf.data.Dataset`
            keeps its own order, as in `fit`: shuffle it with `dataset.shuffle(...)`. Defaults to False.
        seed: Integer or None, the same seed gives the same orders. Defaults to None.
        drop_remainder: Bool, whether to leave out a last batch that is not full. Defaults to False.
        missing: Bool, whether NaN stands for a value that is missing, in a column of a table or the labels of a task,
            instead of being an error. Defaults to False.

    Returns:
        A batched `tf.data.Dataset`; its cardinality is known for arrays and folders.

    Raises:
        TypeError: If `data` is none of the above.
        ValueError: If it is empty, its parts differ in length, x has another shape than
            `input_shape`, a value is not finite, or a label is outside `num_classes`.

    Example:

    >>> dataset = as_dataset((np.zeros((5, 2)), [0, 1, 0, 1, 0]), batch_size=2)
    >>> [tuple(y.numpy().tolist()) for x, y in dataset]
    [(0, 1), (0, 1), (0,)]
    """
    if batch_size is not None:
        batch_size = _checks.integer(batch_size, "batch_size", minimum=1)
    if isinstance(data, tf.data.Dataset):
        return _from_dataset(data, batch_size, input_shape, drop_remainder, missing)
    batch_size = batch_size or _DEFAULT_BATCH_SIZE
    if isinstance(data, ClassFolder):
        _check_folder(data, input_shape, num_classes)
        return data.dataset(batch_size, shuffle=shuffle, seed=seed, drop_remainder=drop_remainder)
    if isinstance(data, LabelledText):
        data = tuple(data)
    if not isinstance(data, tuple) or len(data) not in (2, 3):
        received = f"a tuple of {len(data)}" if isinstance(data, tuple) else f"{type(data).__name__}"
        raise TypeError(
            "Expected a tuple of arrays (x, y) or (x, y, sample_weight), an ImageFolder or AudioFolder, a "
            f"LabelledText, or a tf.data.Dataset of such tuples. Received: {received}."
        )
    arrays = check_arrays(data, ("x", "y", "sample_weight")[: len(data)], input_shape, missing)
    if num_classes is not None:
        check_labels(arrays[1], num_classes)
    return _from_arrays(arrays, batch_size, input_shape, shuffle, seed, drop_remainder)


def _from_arrays(arrays, batch_size, input_shape, shuffle, seed, drop_remainder):
    num_examples, read = batch_reader(arrays, input_shape)
    indices = tf.data.Dataset.range(num_examples)
    # Shuffling numbers and gathering whole batches is faster than shuffling images, and copies nothing.
    if shuffle:
        indices = indices.shuffle(num_examples, seed=seed, reshuffle_each_iteration=True)
    dataset = indices.batch(batch_size, drop_remainder=drop_remainder)
    return dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _from_dataset(dataset, batch_size, input_shape, drop_remainder, missing):
    spec = example_spec(dataset)
    if dataset.cardinality() == 0:
        raise ValueError("The dataset is empty: it has no examples.")
    if not are_batches(*spec[:2], input_shape):
        dataset = dataset.batch(batch_size or _DEFAULT_BATCH_SIZE, drop_remainder=drop_remainder)
    elif batch_size is not None:
        endless = dataset.cardinality() == tf.data.INFINITE_CARDINALITY
        dataset = dataset.rebatch(batch_size, drop_remainder=drop_remainder)
        # `rebatch` forgets it, and `fit` then cannot ask for `steps_per_epoch`.
        dataset = (
            dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)) if endless else dataset
        )
    elif drop_remainder and tf.nest.flatten(spec)[0].shape[0] is None:
        raise ValueError("`drop_remainder` of a batched dataset needs a `batch_size`, to tell which batch is full.")
    map_shapes(check_shape, dataset.element_spec[0], input_shape)
    check = functools.partial(check_batch, input_shape=input_shape, missing=missing)
    return dataset.map(check, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _check_folder(folder, input_shape, num_classes):
    if input_shape is not None:
        check_shape(tf.TensorSpec((None, *folder.example_shape)), input_shape)
    if num_classes is not None and len(folder.class_names) != num_classes:
        raise ValueError(f"{folder!r} has {len(folder.class_names)} classes. Expected: num_classes={num_classes}.")
