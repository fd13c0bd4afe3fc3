"""Random changes of training waveforms in the data pipeline, so that they are in no saved model."""

import math

import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data.audio_files import check_sample_rate
from tf_transfer.data.labels import example_spec
from tf_transfer.data.random_layers import map_with_layers
from tf_transfer.layers import SpecAugment

# The strongest masks bands as the paper does, 27 of 80.
AUDIO_RECIPES = {
    "none": None,
    "light": {"num_frequency_masks": 1, "frequency_mask": 0.1, "num_time_masks": 1, "time_mask": 0.1},
    "standard": {"num_frequency_masks": 2, "frequency_mask": 0.15, "num_time_masks": 2, "time_mask": 0.1},
    "strong": {
        "num_frequency_masks": 2,
        "frequency_mask": 27 / 80,
        "num_time_masks": 2,
        "time_mask": 0.2,
        "time_warp": 0.05,
    },
}
_WINDOW_SECONDS = 0.032
_FLOOR = 1e-3


def augment_audio(dataset, recipe="standard", *, sample_rate, seed=None):
    """Hides random bands and stretches of the waveforms of a dataset: each by itself, each epoch anew.

    This is SpecAugment for models that take waveforms: the waveform's Fourier transform is masked by
    `tft.layers.SpecAugment`, with its phases as they were, and turned back. So whatever spectrogram the model makes has
    the masks in it, and the model and its export have no trace of them. Where nothing is masked the waveform is
    what it was.

    Args:
        dataset: A `tf.data.Dataset` of batches (x, y) or (x, y, sample_weight), as `as_dataset` makes them; x are
            waveforms (batch, num_samples), or a dict with such a "waveform".
        recipe: A name in `audio_recipe_names()`, a `tft.layers.SpecAugment`, which is cloned, or None for the dataset
            as it is. Defaults to "standard".
        sample_rate: Integer, samples a second.
        seed: Integer or None, the same seed gives the same stream. Defaults to None.

    Returns:
        A `tf.data.Dataset` of the same batches, waveforms float32.

    Raises:
        ValueError: If the recipe is unknown or x are no batches of waveforms.

    Example:

    >>> noise = np.random.default_rng(0).normal(size=(2, 4000)).astype("float32")
    >>> dataset = tft.data.as_dataset((noise, [0, 1]))
    >>> ((x, y),) = tft.data.augment_audio(dataset, sample_rate=8000, seed=0)
    >>> x.shape, 0.3 < float(tf.norm(x) / np.linalg.norm(noise)) < 1
    (TensorShape([2, 4000]), True)

    Reference:
        Park et al., 2019, https://arxiv.org/abs/1904.08779
    """
    sample_rate = check_sample_rate(sample_rate)
    layer = _recipe_layer(recipe, sample_rate)
    _check_waveforms(example_spec(dataset)[0])
    if layer is None:
        return dataset
    return map_with_layers(dataset, [layer], lambda batch: _apply(layer, sample_rate, *batch), seed)


def audio_recipe_names():
    """Returns the names of the augmentation recipes for sound.

    - "none": waveforms as they are.
    - "light": one mask of up to 10% of the mel bands and one of up to 10% of the time.
    - "standard": two of up to 15% of the bands and two of up to 10% of the time.
    - "strong": two of up to a third of the bands and two of up to 20% of the time, which is warped by up to 5%.

    Example:

    >>> audio_recipe_names()
    ['none', 'light', 'standard', 'strong']
    """
    return list(AUDIO_RECIPES)


def _recipe_layer(recipe, sample_rate):
    if isinstance(recipe, SpecAugment):
        options = {**recipe.get_config(), "dtype": "float32"}
    else:
        options = AUDIO_RECIPES[_checks.one_of("none" if recipe is None else recipe, "recipe", AUDIO_RECIPES)]
    return options and SpecAugment(**{**options, "sample_rate": sample_rate})


def _check_waveforms(spec):
    if isinstance(spec, dict):
        if "waveform" not in spec:
            raise ValueError(f'x must have a "waveform" to augment. Received: {sorted(spec)}.')
        spec = spec["waveform"]
    if not hasattr(spec, "shape") or spec.shape.rank != 2 or not spec.dtype.is_floating:
        raise ValueError(
            "x must be batches of waveforms, floats of shape (batch, num_samples); `as_dataset` makes them. "
            f"Received: {spec}."
        )


def _apply(layer, sample_rate, x, *rest):
    if isinstance(x, dict):
        return {**x, "waveform": _masked(layer, sample_rate, x["waveform"])}, *rest
    return _masked(layer, sample_rate, x), *rest


def _masked(layer, sample_rate, waves):
    """Returns waveforms whose Fourier transforms have been through the layer, in magnitude."""
    length = 2 ** max(4, round(math.log2(_WINDOW_SECONDS * sample_rate)))
    step, waves = length // 4, tf.cast(waves, tf.float32)
    # With as much silence around it as a window overlaps, every sample is in four windows.
    padded = tf.pad(waves, [[0, 0], [length, 2 * length]])
    transform = tf.signal.stft(padded, length, step)
    magnitude = tf.abs(transform)
    loudest = tf.reduce_max(magnitude, axis=(1, 2), keepdims=True)
    before = tf.math.log(tf.maximum(magnitude, _FLOOR * loudest + 1e-12))
    after = tf.transpose(layer(tf.transpose(before, [0, 2, 1]), training=True), [0, 2, 1])
    # Only what changes goes through the windows and back.
    change = transform * tf.cast(tf.exp(after - before) - 1.0, tf.complex64)
    window = tf.signal.inverse_stft_window_fn(step)
    changed = tf.signal.inverse_stft(change, length, step, window_fn=window)
    return waves + changed[:, length : length + tf.shape(waves)[1]]
