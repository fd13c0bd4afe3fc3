"""From raw images in 0..255 to what a pretrained network was trained on, in Keras' own layers."""

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.backbones.table import PREPROCESSING


def preprocess(images, mode):
    """Applies a preprocessing mode to a tensor of raw images.

    Args:
        images: Tensor or `KerasTensor` of shape `(batch, height, width, channels)`, values in 0..255.
        mode: String, a key of `PREPROCESSING`: "none", "unit" ([0, 1]), "tf" ([-1, 1]), "tf128" (the same by 128),
            "caffe" (blue, green, red minus their means), "torch" (ImageNet's mean and deviation) or "efficientnet"
            (the same, deviation to the power of 1.5). For other than three channels the constants are averaged.

    Returns:
        A tensor of the same shape.

    Example:

    >>> white = np.full((1, 1, 1, 3), 255.0)
    >>> float(tft.backbones.preprocess(white, "tf")[0, 0, 0, 0])
    1.0
    """
    _checks.one_of(mode, "preprocessing", PREPROCESSING)
    scale, offset, reverse = constants(mode, images.shape[-1])
    if mode == "none":
        return images
    if reverse:
        images = keras.ops.flip(images, axis=-1)
    return keras.layers.Rescaling(_plain(scale), offset=_plain(offset), name="preprocessing")(images)


def constants(mode, num_channels):
    """Returns the `(scale, offset, reverse)` of a mode for images of `num_channels` channels.

    For other than three channels the scales are averaged, and so are the pixel values that become zero.
    """
    scale, offset, reverse = PREPROCESSING[mode]
    if num_channels == 3:
        return scale, offset, reverse
    return float(np.mean(scale)), float(-np.mean(zero_pixel(mode)) * np.mean(scale)), False


def zero_pixel(mode):
    """Returns, per channel, the pixel value in 0..255 that the mode maps to zero, as an array of shape `(3,)`."""
    scale, offset, _ = PREPROCESSING[mode]
    return np.broadcast_to(-np.asarray(offset) / np.asarray(scale), (3,))


def _plain(value):
    return list(value) if isinstance(value, tuple) else value
