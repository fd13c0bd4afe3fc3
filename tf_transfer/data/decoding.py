"""Encoded image bytes in, a float image of one size out; the same ops in training and in the served graph."""

import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data.file_streams import read_files
from tf_transfer.data.image_headers import check_header

# ITU-R BT.601, what JPEG itself and Pillow use; they sum to 1, unlike those of `tf.image.rgb_to_grayscale`.
_LUMINANCE = (0.299, 0.587, 0.114)


def decode_image(contents, image_size, channels=3):
    """Decodes the bytes of one image and resizes it.

    Works in eager mode, inside `tf.data` and inside an exported signature (one image at a time:
    `tf.map_fn` makes it a batch). The aspect ratio is not kept: the whole image is scaled, bilinear
    with antialiasing. An animation gives its first frame, 16 bits a channel become 8, grey is
    repeated to RGB or RGB weighted to grey, and an alpha channel is dropped unless four channels
    are asked for, which an opaque image fills with 255. EXIF orientation is not applied. What its
    header says is checked first: an image of more than 2**27 pixels and an animated WebP, which
    TensorFlow cannot decode, are refused.

    Args:
        contents: Scalar string tensor (or `bytes`), an encoded JPEG, PNG, BMP, GIF or still WebP.
        image_size: Pair of positive integers (height, width), pixels.
        channels: 1 (grey), 3 (RGB) or 4 (RGB and alpha). Defaults to 3.

    Returns:
        A float32 tensor of static shape (height, width, channels), values in 0..255.

    Raises:
        ValueError: If `image_size` or `channels` is none of the above.
        tf.errors.InvalidArgumentError: When the op runs, if `contents` is no image, or is refused.

    Example:

    >>> contents = tf.io.encode_png(tf.fill((2, 2, 1), tf.constant(7, tf.uint8)))
    >>> image = decode_image(contents, image_size=(4, 3))
    >>> image.shape, float(tf.reduce_min(image)), float(tf.reduce_max(image))
    (TensorShape([4, 3, 3]), 7.0, 7.0)
    """
    image_size = check_image_size(image_size)
    _checks.one_of(channels, "channels", (1, 3, 4))
    # Resized as bytes and converted afterwards: a large image takes a quarter of the memory, and none twice.
    image = tf.image.resize(decode_pixels(contents), image_size, method="bilinear", antialias=True)
    image = _convert_channels(tf.cast(image, tf.float32), channels)
    image.set_shape((*image_size, channels))
    return image


def decode_pixels(contents):
    """Returns the uint8 pixels (height, width, 1 to 4) of one image, however it is encoded, once its header is checked.

    Every image that anybody gives to this package is decoded here.
    """
    # Channels are converted later: the decoders disagree (a GIF has no grey, a JPEG no alpha).
    image = tf.io.decode_image(check_header(contents), channels=0, dtype=tf.uint8, expand_animations=False)
    image.set_shape((None, None, None))
    return image


def read_images(indices, image_size, channels, files, *labels):
    """Returns a dataset of single examples (image, *labels) in the order of `indices`, a dataset of integers."""
    return read_files(indices, lambda file: decode_image(tf.io.read_file(file), image_size, channels), files, *labels)


def check_image_size(value, name="image_size"):
    """Returns `value` as a (height, width) tuple of positive integers, else raises a `ValueError`."""
    try:
        size = tuple(_checks.integer(side, name, minimum=1) for side in value)
    except (TypeError, ValueError):
        size = ()
    if len(size) != 2:
        raise ValueError(
            f"`{name}` must be (height, width), two positive integers such as (224, 224). Received: {name}={value!r}."
        )
    return size


def _convert_channels(image, channels):
    """Turns 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels into as many as asked for."""
    shape = tf.shape(image)
    has_alpha = shape[2] % 2 == 0
    color = image[:, :, : shape[2] - tf.cast(has_alpha, tf.int32)]
    rgb = tf.broadcast_to(color, (shape[0], shape[1], 3))
    if channels == 3:
        return rgb
    if channels == 1:
        grey = tf.reduce_sum(rgb * _LUMINANCE, axis=-1, keepdims=True)
        return tf.where(shape[2] < 3, rgb[:, :, :1], grey)
    alpha = tf.where(has_alpha, image[:, :, -1:], 255.0)
    return tf.concat([rgb, alpha], axis=-1)
