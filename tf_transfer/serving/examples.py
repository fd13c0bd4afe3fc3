"""The inputs on which a model and its export are compared."""

import numpy as np
import tensorflow as tf

_NUM_GENERATED = 8
_WORDS = ("a", "photo", "of", "the", "very", "small", "yellow", "bird", "not", "good")


def generate(specs):
    """Makes varied inputs for `specs` (list of `tf.TensorSpec`), the same at every call: a flat list of arrays."""
    rng = np.random.default_rng(0)
    return [_generate(spec, rng) for spec in specs]


def given(examples, specs):
    """Turns what a user calls examples into a flat list of arrays in the order of `specs`.

    Args:
        examples: Array, dict of arrays by input name, list of arrays (several inputs), or a
            batched `tf.data.Dataset` of inputs or `(inputs, labels, ...)`, of which the first batch is taken.
        specs: List of `tf.TensorSpec`, the inputs of the model.
    """
    if isinstance(examples, tf.data.Dataset):
        element = next(iter(examples))
        examples = element[0] if isinstance(element, tuple) else element
    names = [spec.name for spec in specs]
    if isinstance(examples, dict):
        if set(examples) != set(names):
            raise ValueError(f"`examples` must be a dict with the keys {names}. Received the keys {sorted(examples)}.")
        arrays = [examples[name] for name in names]
    elif len(specs) > 1:
        arrays = list(examples)
        if len(arrays) != len(specs):
            raise ValueError(f"`examples` must have one array for each of {names}. Received {len(arrays)}.")
    else:
        arrays = [examples]
    return [_checked(value, spec) for value, spec in zip(arrays, specs, strict=True)]


def png_bytes(images):
    """Encodes an integral image array (batch, height, width, channels) without loss: an array of bytes objects."""
    return np.array([tf.io.encode_png(image).numpy() for image in images.astype("uint8")], dtype=object)


def _checked(value, spec):
    array = np.asarray(value, spec.dtype.as_numpy_dtype)
    if array.ndim == 0 or not spec.shape.is_compatible_with(array.shape) or len(array) == 0:
        raise ValueError(
            f"`examples` for input {spec.name!r} must have the shape {tuple(spec.shape)} with at least one row. "
            f"Received shape {array.shape}."
        )
    return array


def _generate(spec, rng):
    # Where the model leaves a size open, 32 is enough for small convolutional nets and for sequences.
    shape = (_NUM_GENERATED, *(size or 32 for size in spec.shape[1:]))
    if spec.dtype == tf.string:
        texts = [" ".join(rng.choice(_WORDS, 6)) for _ in range(np.prod(shape))]
        return np.array(texts, dtype=object).reshape(shape)
    if spec.dtype == tf.bool:
        return rng.random(shape) < 0.5
    if len(shape) == 4:
        return _smooth_images(shape, rng).astype(spec.dtype.as_numpy_dtype)
    if spec.dtype.is_integer:
        return rng.integers(0, 2, shape).astype(spec.dtype.as_numpy_dtype)
    return rng.standard_normal(shape).astype(spec.dtype.as_numpy_dtype)


def _smooth_images(shape, rng):
    """Whole numbers 0..255 that vary slowly, as photographs do; white noise would average out in a deep net."""
    coarse = rng.uniform(0, 255, (shape[0], 4, 4, shape[3]))
    return np.rint(tf.image.resize(coarse, shape[1:3], method="bicubic").numpy().clip(0, 255))
