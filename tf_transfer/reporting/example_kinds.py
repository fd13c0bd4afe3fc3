"""Examples on a page: pictures, sounds, texts or rows, by what the model takes."""

import numpy as np
import tensorflow as tf

SHORT = 300
# What is played back from a page; longer sounds would make the page larger than a mail may be.
_MOST_SECONDS = 15


def is_images(inputs):
    return isinstance(inputs, np.ndarray) and inputs.ndim == 4


def is_texts(inputs):
    return isinstance(inputs, np.ndarray) and inputs.dtype.kind in "OSU"


def is_rows(inputs):
    return isinstance(inputs, dict)


def is_waveforms(subject):
    return getattr(subject.input_builder, "num_samples", None) is not None and getattr(subject.inputs, "ndim", 0) == 2


def show(page, subject, places, captions, what):
    """Adds examples to a page, each with what is said of it.

    Args:
        page: `HTMLReport`.
        subject: `Subject`, whose inputs are shown.
        places: Sequence of integers, which of them.
        captions: Sequence of strings.
        what: String, what the captions are, the name of their column.
    """
    inputs = subject.inputs
    if is_images(inputs):
        page.pictures([_drawable(inputs[place]) for place in places], captions)
    elif is_waveforms(subject):
        rate = subject.input_builder.sample_rate
        waves = [inputs[place] for place in places]
        sounds = [_wav(wave, rate) for wave in waves] if len(waves[0]) <= _MOST_SECONDS * rate else None
        page.pictures([_spectrogram(wave, subject.input_builder) for wave in waves], captions, sounds)
    elif is_texts(inputs):
        page.table(["text", what], [[text_of(inputs[place])[:SHORT], said] for place, said in zip(places, captions)])
    elif is_rows(inputs):
        rows = [[said, *(_value(inputs[name][place]) for name in inputs)] for place, said in zip(places, captions)]
        page.table([what, *inputs], rows)
    else:
        page.table(["example", what], [[place, said] for place, said in zip(places, captions)])


def text_of(value):
    """Returns one text as a string, whether it came as an array, bytes or a string."""
    value = value.item() if isinstance(value, np.ndarray) else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _value(value):
    if value.dtype.kind in "OSU":
        return text_of(value)[:SHORT]
    return f"{value.item():.4g}" if value.size == 1 else "..."


def _drawable(image):
    return image if image.shape[-1] in (1, 3) else image[..., : 3 if image.shape[-1] == 4 else 1]


def _spectrogram(wave, builder):
    """Returns what the model sees of a waveform, low frequencies at the bottom, as an image."""
    from matplotlib import colormaps

    from tf_transfer.backbones import log_mel

    names = ("num_mel_bins", "frame_seconds", "step_seconds", "min_frequency", "max_frequency")
    options = {name: getattr(builder, name) for name in names}
    bands = np.asarray(log_mel(tf.constant(wave[None], tf.float32), builder.sample_rate, **options))[0, ::-1, :, 0]
    spread = np.ptp(bands) or 1.0
    return colormaps["magma"]((bands - bands.min()) / spread)[..., :3] * 255


def _wav(wave, rate):
    sound = tf.constant(np.clip(wave, -1, 1)[:, None], tf.float32)
    return tf.audio.encode_wav(sound, rate).numpy()
