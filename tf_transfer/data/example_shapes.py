"""Shapes and kinds of examples: whether x is as `input_shape` says, and what becomes of it in a batch."""

import tensorflow as tf


def map_shapes(function, x, input_shape):
    """Calls `function(leaf, shape)` on x, or on each entry of a dict x; without an `input_shape` returns x."""
    if input_shape is None:
        return x
    if isinstance(x, dict) != isinstance(input_shape, dict) or (isinstance(x, dict) and set(x) != set(input_shape)):
        received = sorted(x) if isinstance(x, dict) else "one array"
        raise ValueError(f"x must have the structure of input_shape={input_shape!r}. Received: {received}.")
    if isinstance(x, dict):
        return {key: function(leaf, input_shape[key]) for key, leaf in x.items()}
    return function(x, input_shape)


def check_shape(spec, input_shape):
    """Raises a `ValueError` if a batch of such a specification cannot have examples of `input_shape`."""
    if not spec.shape.is_compatible_with((None, *input_shape)):
        raise ValueError(_wrong_shape(spec.shape, input_shape))


def are_batches(x, y, input_shape):
    """Whether the specifications are those of batches, read from x by `input_shape`, or without one from the labels."""
    if input_shape is None:
        return tf.nest.flatten(y)[0].shape.rank != 0
    expected = len(tf.nest.flatten(map_shapes(lambda _, shape: tf.TensorShape(shape), x, input_shape))[0])
    x = tf.nest.flatten(x)[0]
    if x.shape.rank is None:
        raise ValueError(
            "The shapes of the dataset are unknown, and with them whether it is batched. Give them, for instance "
            "with `tf.ensure_shape` in a `map` or `output_signature` of `from_generator`."
        )
    if x.shape.rank not in (expected, expected + 1):
        raise ValueError(_wrong_shape(x.shape, input_shape))
    return x.shape.rank == expected + 1


def images_as_floats(x, input_shape):
    """Returns the batch x with its images, known by three dimensions in `input_shape`, as float32."""

    def cast(leaf, shape):
        return tf.cast(leaf, tf.float32) if len(shape) == 3 else leaf

    return map_shapes(cast, x, input_shape)


def check_batch(x, *rest, input_shape, missing=False):
    """Returns the batch as a tuple; in a dataset, an empty one or a value not finite or of another size is an error."""
    x = tf.nest.map_structure(_check_filled, x)
    x = map_shapes(_check_sizes, x, input_shape)
    check = _check_not_infinite if missing else _check_finite
    return tf.nest.map_structure(check, (images_as_floats(x, input_shape), *rest))


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


def _check_filled(leaf):
    if leaf.shape.rank == 0 or leaf.shape[:1].is_fully_defined():
        return leaf
    # The mean over no examples is NaN, and with it the loss.
    return _unless(
        tf.shape(leaf)[0] == 0, leaf, "A batch of the stream is empty; remove it with `filter`. Received: shape"
    )


def _check_sizes(leaf, shape):
    if leaf.shape.rank == len(shape) + 1 and not leaf.shape[1:].is_fully_defined():
        expected = [-1 if size is None else size for size in shape]
        differs = tf.reduce_any((tf.shape(leaf)[1:] != expected) & (tf.constant(expected) >= 0))
        sentence = f"All x of the stream must have shape (batch, {', '.join(map(str, shape))}). Received: shape"
        leaf = _unless(differs, leaf, sentence)
    return tf.ensure_shape(leaf, (None, *shape))


def _unless(wrong, leaf, sentence):
    check = tf.debugging.Assert(~wrong, [sentence, tf.shape(leaf)])
    with tf.control_dependencies([check]):
        return tf.identity(leaf)


def _check_finite(tensor):
    return tf.debugging.check_numerics(tensor, "The data must be finite") if tensor.dtype.is_floating else tensor


def _check_not_infinite(tensor):
    if not tensor.dtype.is_floating:
        return tensor
    check = tf.debugging.Assert(~tf.reduce_any(tf.math.is_inf(tensor)), ["The data must be finite or missing (NaN)"])
    with tf.control_dependencies([check]):
        return tf.identity(tensor)
