"""From waveforms to pictures of them: logarithmic mel spectrograms in Keras' own layers."""

import keras

from tf_transfer import _checks

# What 16 bits can tell from silence, in power.
_FLOOR = 1e-6
# Keras cuts at so many decibels below the loudest point of the whole batch, which would make the score of an example
# depend on its neighbors. This never cuts.
_NEVER = 1e4


def log_mel(
    waveforms,
    sample_rate,
    num_mel_bins=64,
    frame_seconds=0.025,
    step_seconds=0.01,
    *,
    min_frequency=20.0,
    max_frequency=None,
    normalization="example",
):
    """Turns waveforms into logarithmic mel spectrograms, as images of one channel.

    Args:
        waveforms: Tensor or `KerasTensor` of shape `(batch, num_samples)`, values in [-1, 1].
        sample_rate: Integer, samples a second.
        num_mel_bins: Integer, number of frequency bands, evenly spaced on the mel scale. Defaults to 64.
        frame_seconds: Float, length of the Hann window of one spectrum. Defaults to 0.025.
        step_seconds: Float, time from one spectrum to the next. Defaults to 0.01.
        min_frequency: Float, in hertz, where the lowest band begins. Defaults to 20.
        max_frequency: Float, in hertz, where the highest band ends. Defaults to half the sample rate.
        normalization: "example", by the mean and deviation of each example; a pair (mean, deviation) in decibels, the
            same for all; or None, decibels as they are, of at least -60. Defaults to "example".

    Returns:
        A float32 tensor of shape `(batch, num_mel_bins, num_frames, 1)`.

    Raises:
        ValueError: For frequencies or times that a waveform of this rate and length does not have.

    Example:

    >>> time = np.arange(8000) / 8000
    >>> tones = np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 1760 * time)]).astype("float32")
    >>> pictures = tft.backbones.log_mel(tones, 8000, num_mel_bins=40)
    >>> pictures.shape, pictures.numpy().mean(axis=2).argmax(axis=1).ravel().tolist()
    (TensorShape([2, 40, 101, 1]), [9, 26])
    """
    window, step = round(frame_seconds * sample_rate), round(step_seconds * sample_rate)
    _check(waveforms.shape, sample_rate, window, step, (min_frequency, max_frequency))
    mean, deviation = _constants(normalization)
    fft_length = 1 << (window - 1).bit_length()
    num_samples = waveforms.shape[1]
    if (num_samples + 1) % step == 0:
        # Keras' layer promises one frame more than it gives for such a length.
        waveforms = keras.ops.pad(waveforms, ((0, 0), (0, 1)))
        num_samples += 1
    decibels = keras.layers.MelSpectrogram(
        fft_length=fft_length,
        sequence_stride=step,
        sequence_length=window,
        sampling_rate=sample_rate,
        num_mel_bins=num_mel_bins,
        min_freq=min_frequency,
        max_freq=max_frequency,
        top_db=_NEVER,
        min_power=_FLOOR,
        name="log_mel",
        dtype="float32",
    )(waveforms)
    if normalization == "example":
        normalize = keras.layers.LayerNormalization(axis=[1, 2], center=False, scale=False, dtype="float32")
    else:
        normalize = keras.layers.Rescaling(1 / deviation, offset=-mean / deviation, dtype="float32")
    return keras.layers.Reshape((num_mel_bins, 1 + num_samples // step, 1), dtype="float32")(normalize(decibels))


def _check(shape, sample_rate, window, step, frequencies):
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(f"Waveforms must have shape (batch, num_samples). Received: shape {tuple(shape)}.")
    if not 2 <= window <= shape[1] or not 1 <= step <= window:
        raise ValueError(
            f"A frame must have at least 2 samples and at most the {shape[1]} of a waveform, and a step at most "
            f"those of a frame. Received: frames of {window} and steps of {step} at {sample_rate} samples a second."
        )
    low, high = frequencies[0], sample_rate / 2 if frequencies[1] is None else frequencies[1]
    if not 0 <= low < high <= sample_rate / 2:
        raise ValueError(
            f"Frequencies must lie from 0 to {sample_rate / 2:g}, half of the sample rate. Received: "
            f"min_frequency={frequencies[0]!r}, max_frequency={frequencies[1]!r}."
        )


def _constants(normalization):
    if normalization is None or normalization == "example":
        return 0.0, 1.0
    if isinstance(normalization, str) or not hasattr(normalization, "__len__") or len(normalization) != 2:
        raise ValueError(
            "`normalization` must be 'example', a pair (mean, deviation) in decibels, or None. "
            f"Received: normalization={normalization!r}."
        )
    mean = _checks.number(normalization[0], "normalization")
    return mean, _checks.positive(normalization[1], "normalization")
