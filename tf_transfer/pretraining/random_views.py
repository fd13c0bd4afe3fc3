"""Random views of images, drawn in the graph of a training step."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.training.counted_seeds import add_counted_seed, draw_uniform

_LARGEST = 255.0
# Of ITU-R 601, as `tf.image.rgb_to_grayscale` has it; hues turn around them in the YIQ space.
_LUMA = np.array([0.299, 0.587, 0.114])
_YIQ = np.array([_LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_ASPECT = math.log(4 / 3)
# How often colors change at all, how much at strength 1, and the hues, in turns.
_JITTERED, _JITTER, _HUE = 0.8, 0.8, 0.2
_BLUR = (0.1, 2.0)


@keras.saving.register_keras_serializable(package="tf_transfer")
class RandomViews(keras.layers.Layer):
    """Makes a random view of each image, as contrastive learning compares two of.

    In this order: a part of the image, resized to the whole; mirrored left to right; turned; brightness, contrast,
    saturation and hue changed; grey; blurred. All images of a batch at once, each by itself: one interpolation and one
    product of matrices, so that it costs little beside a small network. The numbers are those of a seed and a count
    that is saved with the model, and the same on several devices as on one.

    Keras' own layers for these cost several times as much, have no cropping that resizes, and their random state is
    not saved.

    Args:
        crop: Pair of floats in (0, 1], the smallest and the largest part of the area that is seen; its sides are as 3
            to 4 at most. Defaults to (0.2, 1.0).
        flip: Boolean, whether every other image is mirrored. Defaults to True.
        rotation: Float in [0, 180], degrees to both sides. What comes into view repeats the edge. Defaults to 0.
        color: Float of at least 0, strength of the changes of color, as in the paper: 1 for large photographs, 0.5 for
            small ones. One channel and more than three have brightness and contrast alone. Defaults to 0.5.
        grayscale: Float in [0, 1], how often a color image becomes grey. Defaults to 0.2.
        blur: Float in [0, 1], how often an image is blurred, by a Gaussian of up to two pixels. The paper blurs half of
            its large photographs and no small ones. Defaults to 0.
        seed: Integer or None, the same seed gives the same views. Defaults to None.
        **kwargs: `name` of a `keras.layers.Layer`.

    Call arguments:
        images: Tensor of shape `(batch, height, width, channels)` in 0..255.
        training: Boolean; with False, images stay as they are. Defaults to True.

    Returns:
        A float32 tensor of the same shape within 0..255.

    Example:

    >>> layer = tft.pretraining.RandomViews(crop=(1.0, 1.0), color=0.0, grayscale=0.0, seed=0)
    >>> layer(np.tile([[[[0.0], [9.0]]]], (4, 1, 1, 1))).numpy()[:, 0, :, 0].tolist()
    [[0.0, 9.0], [0.0, 9.0], [0.0, 9.0], [9.0, 0.0]]

    Reference:
        Chen et al., 2020, https://arxiv.org/abs/2002.05709
    """

    def __init__(
        self,
        crop=(0.2, 1.0),
        *,
        flip=True,
        rotation=0.0,
        color=0.5,
        grayscale=0.2,
        blur=0.0,
        seed=None,
        **kwargs,
    ):
        kwargs.pop("dtype", None)
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.crop = _pair(crop)
        self.flip = _checks.one_of(flip, "flip", [False, True])
        self.rotation = _checks.number(rotation, "rotation", 0.0, 180.0)
        self.color = _checks.number(color, "color", 0.0)
        self.grayscale = _checks.number(grayscale, "grayscale", 0.0, 1.0)
        self.blur = _checks.number(blur, "blur", 0.0, 1.0)
        self.seed = seed
        self.draws = add_counted_seed(self, seed)
        self.built = True

    def call(self, images, training=True):
        images = ops.cast(images, "float32")
        if not training:
            return images
        draws = _Draws(draw_uniform(self.draws, (ops.shape(images)[0], _Draws.NUMBER)))
        views = self._placed(images, draws)
        views = self._colored(views, draws)
        if self.blur:
            views = _blurred(views, ops.where(draws.chance(self.blur), draws.between(*_BLUR), 1e-3))
        return ops.clip(views, 0.0, _LARGEST)

    def _placed(self, images, draws):
        """Returns a part of each image in its whole size, mirrored and turned."""
        area = draws.between(*self.crop)
        # No side may be longer than the image.
        aspect = ops.exp(draws.between(-1.0, 1.0) * ops.minimum(_ASPECT, -ops.log(area)))
        wide, high = ops.sqrt(area * aspect), ops.sqrt(area / aspect)
        angle = draws.between(-self.rotation, self.rotation) * (math.pi / 180)
        turn = ops.where(draws.chance(0.5 * self.flip), -1.0, 1.0)
        height, width = images.shape[1:3]
        x = (0.5 * wide + draws.between(0.0, 1.0) * (1.0 - wide)) * width - 0.5
        y = (0.5 * high + draws.between(0.0, 1.0) * (1.0 - high)) * height - 0.5
        # From a pixel (u, v) of the view, counted from its middle, to one of the image.
        along = [turn * wide * ops.cos(angle), -turn * wide * ops.sin(angle)]
        down = [high * ops.sin(angle), high * ops.cos(angle)]
        u, v = (width - 1) / 2, (height - 1) / 2
        rows = [*along, x - along[0] * u - along[1] * v, *down, y - down[0] * u - down[1] * v]
        transforms = ops.stack([*rows, *[ops.zeros_like(x)] * 2], axis=1)
        return ops.image.affine_transform(images, transforms, fill_mode="nearest", data_format="channels_last")

    def _colored(self, images, draws):
        channels, jitters = images.shape[-1], draws.chance(_JITTERED)
        jitter = _JITTER * self.color
        brightness, contrast, saturation = (
            ops.where(jitters, draws.between(max(0.0, 1.0 - jitter), 1.0 + jitter), 1.0) for _ in range(3)
        )
        hue = ops.where(jitters, draws.between(-1.0, 1.0) * (_HUE * self.color), 0.0)
        saturation = ops.where(draws.chance(self.grayscale), 0.0, saturation)
        luma = _LUMA if channels == 3 else np.full(channels, 1 / channels)
        mean = ops.matmul(ops.mean(images, axis=(1, 2)), _constant(luma))
        # All changes are linear in the colors of a pixel, but for the mean that contrast leaves where it is.
        images = images * _each(brightness * contrast)
        if channels == 3:
            images = ops.einsum("bhwc,bdc->bhwd", images, _color_matrices(saturation, hue))
        return images + _each(brightness * (1.0 - contrast) * mean)

    def compute_output_spec(self, images, training=True):
        return keras.KerasTensor(images.shape, "float32")

    def get_config(self):
        names = ("crop", "flip", "rotation", "color", "grayscale", "blur", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class _Draws:
    """Uniform numbers of each image, taken one after the other."""

    NUMBER = 14

    def __init__(self, numbers):
        self._columns = iter(ops.unstack(numbers, num=self.NUMBER, axis=1))

    def between(self, low, high):
        return low + (high - low) * next(self._columns)

    def chance(self, probability):
        return next(self._columns) < probability


def _color_matrices(saturation, hue):
    """Returns matrices `(batch, 3, 3)` that change colors of the same luminance."""
    angle, zeros = 2 * math.pi * hue, ops.zeros_like(hue)
    cos, sin = saturation * ops.cos(angle), saturation * ops.sin(angle)
    rows = [[zeros + 1.0, zeros, zeros], [zeros, cos, -sin], [zeros, sin, cos]]
    turns = ops.stack([ops.stack(row, axis=-1) for row in rows], axis=1)
    return ops.matmul(_constant(np.linalg.inv(_YIQ)), ops.matmul(turns, _constant(_YIQ)))


def _blurred(images, sigma):
    """Returns images blurred by a Gaussian each, one direction after the other."""
    for axis in (1, 2):
        reach = min(math.ceil(2 * _BLUR[1]), images.shape[axis] - 1)
        offsets = np.arange(-reach, reach + 1)
        weights = ops.softmax(-_constant(offsets**2) / (2.0 * ops.square(sigma[:, None])), axis=-1)
        padded = tf.pad(images, [[reach, reach] if each == axis else [0, 0] for each in range(4)], "REFLECT")
        size = images.shape[axis]
        shifted = [padded[:, place : place + size] if axis == 1 else padded[:, :, place : place + size]
                   for place in range(len(offsets))]  # fmt: skip
        images = sum(_each(weights[:, place]) * each for place, each in enumerate(shifted))
    return images


def _each(values):
    return ops.reshape(values, (-1, 1, 1, 1))


def _constant(array):
    return ops.convert_to_tensor(array.astype("float32"))


def _pair(crop):
    if not isinstance(crop, list | tuple) or len(crop) != 2:
        raise ValueError(
            f"`crop` must be a pair of floats, the smallest and the largest area. Received: crop={crop!r}."
        )
    low, high = (_checks.number(each, "crop", 1e-3, 1.0) for each in crop)
    if low > high:
        raise ValueError(f"`crop` must begin with the smaller area. Received: crop={crop!r}.")
    return [low, high]
