"""Random masks over frequencies and times of spectrograms."""

import keras
from keras import ops

from tf_transfer import _checks


@keras.saving.register_keras_serializable(package="tf_transfer")
class SpecAugment(keras.layers.Layer):
    """Masks random bands and stretches of spectrograms, each example by itself, in training only.

    A mask has a width from 0 to the largest, drawn evenly, and stands anywhere with all of it inside. What it covers
    becomes the mean of its example, which says nothing, where the paper has 0 in spectrograms of mean 0. Builders have
    it in the data pipeline (`tft.data.augment_audio`), not in their models.

    Args:
        num_frequency_masks: Integer of at least 0. Defaults to 2.
        frequency_mask: Float in [0, 1], largest width of one, as a share of the bands. Defaults to 0.15.
        num_time_masks: Integer of at least 0. Defaults to 2.
        time_mask: Float in [0, 1], largest width of one, as a share of the frames. Defaults to 0.1.
        time_warp: Float in [0, 0.5), how far, as a share of the frames, a random moment is moved to either side, the
            times around it being stretched and compressed. Defaults to 0, no warping.
        sample_rate: Integer, where the frequencies are evenly spaced in hertz, as those of a Fourier transform, from 0
            to half of this: masks are then as wide as they would be on mel bands. Defaults to None: they are mel bands.
        seed: Integer or None. Defaults to None.

    Call arguments:
        inputs: Float tensor of shape `(batch, bands, frames)` or `(batch, bands, frames, channels)`, best logarithmic.
        training: Boolean, whether to mask.

    Returns:
        A tensor of the same shape.

    Example:

    >>> spectrogram = np.random.default_rng(0).normal(size=(1, 20, 50)).astype("float32")
    >>> masked = SpecAugment(num_frequency_masks=0, num_time_masks=1, time_mask=0.5, seed=3)(spectrogram, training=True)
    >>> changed = np.any(masked.numpy() != spectrogram, axis=(0, 1))
    >>> int(changed.sum()), float(np.ptp(masked.numpy()[0, :, changed]))
    (22, 0.0)

    Reference:
        Park et al., 2019, https://arxiv.org/abs/1904.08779
    """

    def __init__(
        self,
        num_frequency_masks=2,
        frequency_mask=0.15,
        num_time_masks=2,
        time_mask=0.1,
        time_warp=0.0,
        sample_rate=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_frequency_masks = _checks.integer(num_frequency_masks, "num_frequency_masks", 0)
        self.frequency_mask = _checks.number(frequency_mask, "frequency_mask", 0.0, 1.0)
        self.num_time_masks = _checks.integer(num_time_masks, "num_time_masks", 0)
        self.time_mask = _checks.number(time_mask, "time_mask", 0.0, 1.0)
        self.time_warp = _checks.number(time_warp, "time_warp", 0.0, 0.5 - 1e-6)
        self.sample_rate = None if sample_rate is None else _checks.integer(sample_rate, "sample_rate", 1)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        if len(input_shape) not in (3, 4):
            raise ValueError(
                "`SpecAugment` takes spectrograms of shape (batch, bands, frames) or (batch, bands, frames, channels). "
                f"Received: shape {tuple(input_shape)}."
            )

    def call(self, inputs, training=False):
        if not training:
            return inputs
        with_channels = inputs if len(inputs.shape) == 4 else ops.expand_dims(inputs, -1)
        if self.time_warp:
            with_channels = self._warp(with_channels)
        fill = ops.mean(with_channels, axis=(1, 2, 3), keepdims=True)
        bands = self._hidden(with_channels, self._band_places(inputs.shape[1]), self.num_frequency_masks, "frequency")
        times = self._hidden(with_channels, _places(ops.shape(inputs)[2]), self.num_time_masks, "time")
        hidden = ops.logical_or(bands[:, :, None, None], times[:, None, :, None])
        return ops.reshape(ops.where(hidden, fill, with_channels), ops.shape(inputs))

    def _hidden(self, spectrograms, places, num_masks, axis):
        """Returns which of the places, positions from 0 to 1, the masks cover, `(batch, num_places)`."""
        shape = (ops.shape(spectrograms)[0], num_masks, 1)
        width = self._uniform(shape, 0.0, self.frequency_mask if axis == "frequency" else self.time_mask)
        start = self._uniform(shape, 0.0, 1.0) * (1.0 - width)
        return ops.any(ops.logical_and(places >= start, places < start + width), axis=1)

    def _band_places(self, num_bands):
        if self.sample_rate is None:
            return _places(num_bands)
        hertz = _places(num_bands) * self.sample_rate / 2
        return ops.log(1.0 + hertz / 700.0) / ops.log(1.0 + self.sample_rate / 1400.0)

    def _warp(self, spectrograms):
        """Moves a moment of each example to another place, and what is around it along, with linear interpolation."""
        shape, num_frames = ops.shape(spectrograms), ops.shape(spectrograms)[2]
        moment = self._uniform((shape[0], 1), self.time_warp, 1.0 - self.time_warp)
        moved = moment + self._uniform((shape[0], 1), -1.0, 1.0) * self.time_warp
        place = _places(num_frames)[None]
        before = place * moment / ops.maximum(moved, 1e-6)
        after = moment + (place - moved) * (1.0 - moment) / ops.maximum(1.0 - moved, 1e-6)
        frame = ops.where(place < moved, before, after) * ops.cast(num_frames, "float32") - 0.5
        frame = ops.clip(frame, 0.0, ops.cast(num_frames - 1, "float32"))
        lower = ops.floor(frame)
        share = ops.cast(frame - lower, spectrograms.dtype)[:, None, :, None]
        lower = ops.cast(lower, "int32")[:, None, :, None]
        first = ops.take_along_axis(spectrograms, lower, axis=2)
        second = ops.take_along_axis(spectrograms, ops.minimum(lower + 1, num_frames - 1), axis=2)
        return first * (1 - share) + second * share

    def _uniform(self, shape, low, high):
        return low + (high - low) * keras.random.uniform(shape, dtype="float32", seed=self.generator)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("num_frequency_masks", "frequency_mask", "num_time_masks", "time_mask", "time_warp", "sample_rate")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, "seed": self.seed}


def _places(size):
    """Returns the middles of `size` equal parts of the way from 0 to 1."""
    return (ops.cast(ops.arange(size), "float32") + 0.5) / ops.cast(size, "float32")
