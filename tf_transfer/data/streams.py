"""Arrays, folders and `tf.data` in, one kind of stream out: batches (x, y) or (x, y, sample_weight)."""

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data.image_folder import ImageFolder
from tf_transfer.data.labels import check_labels, example_spec

_DEFAULT_BATCH_SIZE = 32


def as_dataset(
    data, *, batch_size=None, input_shape=None, num_classes=None, shuffle=False, seed=None, drop_remainder=False
):
    """Turns whatever holds examples into batches (x, y) or (x, y, sample_weight).

    Arrays and folders are checked at once. Of a `tf.data.Dataset` only the specification can be; its
    values (not finite, another size) are checked as they pass. Images, known by an `input_shape` of
    three dimensions, become float32 batch by batch, so uint8 arrays stay small.

    Whether a dataset is batched is read from its specification: x has one dimension more than
    `input_shape`. Without an `input_shape`, scalar labels mean single examples, anything else batches.

    Args:
        data: Arrays `(x, y)` or `(x, y, sample_weight)` in a tuple (NumPy, tensors or lists; x may be
            a dict of arrays), an `ImageFolder`, or a `tf.data.Dataset` of such tuples, batched or
            not, finite or endless.
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
        return _from_dataset(data, batch_size, input_shape, drop_remainder)
    batch_size = batch_size or _DEFAULT_BATCH_SIZE
    if isinstance(data, ImageFolder):
        _check_folder(data, input_shape, num_classes)
        return data.dataset(batch_size, shuffle=shuffle, seed=seed, drop_remainder=drop_remainder)
    if not isinstance(data, tuple) or len(data) not in (2, 3):
        received = f"a tuple of {len(data)}" if isinstance(data, tuple) else f"{type(data).__name__}"
        raise TypeError(
            "Expected a tuple of arrays (x, y) or (x, y, sample_weight), an ImageFolder, or a tf.data.Dataset of such "
            f"tuples. Received: {received}."
        )
    arrays = _check_arrays(data, input_shape, num_classes)
    return _from_arrays(arrays, batch_size, input_shape, shuffle, seed, drop_remainder)


def _from_arrays(arrays, batch_size, input_shape, shuffle, seed, drop_remainder):
    with tf.device("CPU:0"):
        tensors = tf.nest.map_structure(tf.convert_to_tensor, arrays)
    num_examples = len(tf.nest.flatten(tensors)[0])
    indices = tf.data.Dataset.range(num_examples)
    # Shuffling numbers and gathering whole batches is faster than shuffling images, and copies nothing.
    if shuffle:
        indices = indices.shuffle(num_examples, seed=seed, reshuffle_each_iteration=True)

    def gather(batch):
        x, *rest = tf.nest.map_structure(lambda tensor: tf.gather(tensor, batch), tensors)
        return _as_floats(x, input_shape), *rest

    dataset = indices.batch(batch_size, drop_remainder=drop_remainder)
    return dataset.map(gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _from_dataset(dataset, batch_size, input_shape, drop_remainder):
    spec = example_spec(dataset)
    if dataset.cardinality() == 0:
        raise ValueError("The dataset is empty: it has no examples.")
    if not _is_batched(spec, input_shape):
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
    _map_shapes(_check_shape, dataset.element_spec[0], input_shape)

    def check(x, y, *weight):
        x = _map_shapes(_ensure_shape, _as_floats(x, input_shape), input_shape)
        return tf.nest.map_structure(_check_finite, (x, y, *weight))

    return dataset.map(check, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _is_batched(spec, input_shape):
    x, y = tf.nest.flatten(spec[0])[0], tf.nest.flatten(spec[1])[0]
    if input_shape is None:
        return y.shape.rank != 0
    expected = len(tf.nest.flatten(_map_shapes(lambda _, shape: tf.TensorShape(shape), spec[0], input_shape))[0])
    if x.shape.rank is None:
        raise ValueError(
            "The shapes of the dataset are unknown, and with them whether it is batched. Give them, for instance "
            "with `tf.ensure_shape` in a `map` or `output_signature` of `from_generator`."
        )
    if x.shape.rank not in (expected, expected + 1):
        raise ValueError(_wrong_shape(x.shape, input_shape))
    return x.shape.rank == expected + 1


def _check_arrays(data, input_shape, num_classes):
    names = ("x", "y", "sample_weight")[: len(data)]
    arrays = tuple(_to_arrays(part, name) for part, name in zip(data, names, strict=True))
    lengths = [len(leaf) for leaf in tf.nest.flatten(arrays)]
    if len(set(lengths)) != 1:
        raise ValueError(f"All of {', '.join(names)} must have the same length. Received: lengths {lengths}.")
    if not lengths[0]:
        raise ValueError(f"The data is empty. Expected at least one example. Received: {', '.join(names)} of length 0.")
    _map_shapes(lambda leaf, shape: _check_shape(tf.TensorSpec((None, *leaf.shape[1:])), shape), arrays[0], input_shape)
    if num_classes is not None:
        check_labels(arrays[1], num_classes)
    return arrays


def _to_arrays(part, name):
    if isinstance(part, dict):
        return {key: _to_array(values, f"{name}[{key!r}]") for key, values in part.items()}
    return _to_array(part, name)


def _to_array(values, name):
    try:
        array = keras.ops.convert_to_numpy(values) if tf.is_tensor(values) else np.asarray(values)
    except ValueError as error:
        raise ValueError(f"`{name}` must be one array. Received parts of different shapes ({error}).") from error
    if array.ndim == 0 or (array.dtype == object and not isinstance(array.flat[0], (str, bytes))):
        raise ValueError(f"`{name}` must be an array of examples. Received: {type(values).__name__} {values!r:.80}.")
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    # The extremes tell whether any value is NaN or infinite, without a second array of that size.
    if array.dtype.kind == "f" and array.size and not np.isfinite([array.min(), array.max()]).all():
        index = int(np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))[0])
        raise ValueError(f"`{name}` must be finite. Received: NaN or infinity, first in example {index}.")
    return array


def _check_folder(folder, input_shape, num_classes):
    shape = (*folder.image_size, folder.channels)
    if input_shape is not None:
        _check_shape(tf.TensorSpec((None, *shape)), input_shape)
    if num_classes is not None and len(folder.class_names) != num_classes:
        raise ValueError(f"{folder!r} has {len(folder.class_names)} classes. Expected: num_classes={num_classes}.")


def _map_shapes(function, x, input_shape):
    """Calls `function(leaf, shape)` on x, or on each entry of a dict x; without an `input_shape` returns x."""
    if input_shape is None:
        return x
    if isinstance(x, dict) != isinstance(input_shape, dict) or (isinstance(x, dict) and set(x) != set(input_shape)):
        received = sorted(x) if isinstance(x, dict) else "one array"
        raise ValueError(f"x must have the structure of input_shape={input_shape!r}. Received: {received}.")
    if isinstance(x, dict):
        return {key: function(leaf, input_shape[key]) for key, leaf in x.items()}
    return function(x, input_shape)


def _check_shape(spec, input_shape):
    if not spec.shape.is_compatible_with((None, *input_shape)):
        raise ValueError(_wrong_shape(spec.shape, input_shape))


def _wrong_shape(shape, input_shape):
    hint = ""
    sizes = tuple(shape)
    if len(input_shape) == 3:
        hint = f" Scale the images with `tf.image.resize(x, {tuple(input_shape[:2])})`, or change `input_shape`."
        if sizes[-2:] == tuple(input_shape[:2]):
            hint = " Add the axis of channels with `x[..., None]`."
        elif sizes[-3:-1] == tuple(input_shape[:2]):
            hint = f" The images have {sizes[-1]} channels; {input_shape[2]} are expected."
    return f"x must have shape (batch, {', '.join(map(str, input_shape))}). Received: shape {sizes}.{hint}"


def _ensure_shape(tensor, shape):
    return tf.ensure_shape(tensor, (None, *shape))


def _as_floats(x, input_shape):
    def cast(leaf, shape):
        return tf.cast(leaf, tf.float32) if len(shape) == 3 else leaf

    return _map_shapes(cast, x, input_shape)


def _check_finite(tensor):
    return tf.debugging.check_numerics(tensor, "The data must be finite") if tensor.dtype.is_floating else tensor
