"""Arrays of examples: checked before anything is done with them, and read batch by batch."""

import keras
import numpy as np
import tensorflow as tf

from tf_transfer.data.example_shapes import check_shape, images_as_floats, map_shapes


def check_arrays(parts, names, input_shape, missing=False):
    """Returns the tuple (x, ...) as NumPy arrays of one length, float64 as float32; errors call them by `names`."""
    arrays = tuple(_to_arrays(part, name, missing) for part, name in zip(parts, names, strict=True))
    lengths = [len(leaf) for leaf in tf.nest.flatten(arrays)]
    if len(set(lengths)) != 1:
        raise ValueError(f"All of {', '.join(names)} must have the same length. Received: lengths {lengths}.")
    if not lengths[0]:
        raise ValueError(f"The data is empty. Expected at least one example. Received: {', '.join(names)} of length 0.")
    map_shapes(lambda leaf, shape: check_shape(tf.TensorSpec((None, *leaf.shape[1:])), shape), arrays[0], input_shape)
    return arrays


def batch_reader(arrays, input_shape):
    """Returns the number of examples and a function that makes a batch (x, ...) from a tensor of indices."""
    with tf.device("CPU:0"):
        tensors = tf.nest.map_structure(tf.convert_to_tensor, arrays)

    def read(indices):
        x, *rest = tf.nest.map_structure(lambda tensor: tf.gather(tensor, indices), tensors)
        return images_as_floats(x, input_shape), *rest

    return len(tf.nest.flatten(tensors)[0]), read


def _to_arrays(part, name, missing):
    if isinstance(part, dict):
        return {key: _to_array(values, f"{name}[{key!r}]", missing) for key, values in part.items()}
    return _to_array(part, name, missing)


def _to_array(values, name, missing):
    try:
        array = keras.ops.convert_to_numpy(values) if tf.is_tensor(values) else np.asarray(values)
    except ValueError as error:
        raise ValueError(f"`{name}` must be one array. Received parts of different shapes ({error}).") from error
    if array.ndim == 0 or (array.dtype == object and not isinstance(array.flat[0], (str, bytes))):
        raise ValueError(f"`{name}` must be an array of examples. Received: {type(values).__name__} {values!r:.80}.")
    if array.dtype.kind not in "biufOSU":
        raise ValueError(f"`{name}` must have numbers or texts. Received: dtype {array.dtype}.")
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        # What float32 cannot hold is infinite from here on, and named below.
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    if array.dtype.kind == "f" and array.size:
        _check_finite(array, name, missing)
    return array


def _check_finite(array, name, missing):
    if missing:
        array, what = np.nan_to_num(array, nan=0.0, posinf=np.inf, neginf=-np.inf), "infinity"
    else:
        what = "NaN or infinity"
    # The extremes tell whether any value is NaN or infinite, without a second array of that size.
    if not np.isfinite([array.min(), array.max()]).all():
        index = int(np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))[0])
        raise ValueError(f"`{name}` must be finite. Received: {what}, first in example {index}.")
