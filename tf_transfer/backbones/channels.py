"""Pretrained weights for images with other than three channels."""

import keras
import numpy as np

from tf_transfer.backbones.preprocessing import constants, zero_pixel
from tf_transfer.backbones.table import PREPROCESSING


def adapt_channels(rgb, model, mode):
    """Gives the weights of an RGB network to the same network for images with another number of channels.

    For one channel the first kernel is summed over its channels, for N channels it is averaged and repeated, so that
    a grey image, or N equal channels, give what three equal channels gave. The scales that differ between red, green
    and blue go into the kernel, the means into the bias (or the statistics of the batch normalisation behind it);
    only at zero-padded borders something of the difference between the three means remains.

    Args:
        rgb: `keras.Model` for three channels, the source of the weights.
        model: `keras.Model` of the same architecture for another number of channels; its weights are replaced.
        mode: String, the preprocessing mode of the network.
    """
    weights = [
        _fit(weight, tuple(old.shape), mode) for weight, old in zip(rgb.get_weights(), model.weights, strict=True)
    ]
    model.set_weights([old if new is None else new for new, old in zip(weights, model.get_weights(), strict=True)])
    convolution = _first(model, keras.layers.Conv2D)
    shift = _shift(_first(rgb, keras.layers.Conv2D).kernel.numpy(), mode)
    if convolution.use_bias:
        convolution.bias.assign_add(shift)
    elif np.any(shift):
        _first(model, keras.layers.BatchNormalization).moving_mean.assign_sub(shift)


def _fit(weight, shape, mode):
    if weight.shape == shape:
        return weight
    if len(shape) == 4 and weight.shape == (*shape[:2], 3, shape[3]):
        scale = _channel_scale(mode) / constants(mode, 1)[0]
        gray = np.sum(weight * scale[:, np.newaxis], axis=2, keepdims=True)
        return np.repeat(gray, shape[2], axis=2) / shape[2]
    if weight.shape == (3,) and len(shape) == 1:
        # The statistics of a normalisation inside the network: the new one has averaged ones already.
        return None
    raise ValueError(f"A weight of shape {weight.shape} can't be fitted to shape {shape}.")


def _shift(kernel, mode):
    """Returns what each filter's output lacks when the three zero pixels are replaced by their mean."""
    zero = zero_pixel(mode)
    return np.sum(kernel * (_channel_scale(mode) * (zero.mean() - zero))[:, np.newaxis], axis=(0, 1, 2))


def _channel_scale(mode):
    return np.broadcast_to(np.asarray(PREPROCESSING[mode][0]), (3,))


def _first(model, kind):
    return next(layer for layer in model._flatten_layers() if isinstance(layer, kind))
