"""The bytes of a WAV file in, one waveform of a fixed rate and length out; and why some files give none."""

import io
import math
import struct
from typing import NamedTuple

import numpy as np

from tf_transfer import _checks
from tf_transfer.data.example_files import FileKind

_SUFFIXES = (".wav", ".wave")
# Sound all right, but in formats that are not read: named as bad, never passed over as "no recording".
_UNREADABLE_SUFFIXES = (".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".au", ".amr")
# Nobody records below the first; above the second a header is wrong, and resampling would take all memory.
_LOWEST_RATE, _HIGHEST_RATE = 500, 1_000_000
_NEEDED = (b"fmt ", b"data")
_PARSING_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, EOFError, struct.error, NameError)


class BadRecording(NamedTuple):
    """A file of sound that cannot be used, and why."""

    file: str
    reason: str


def decode_audio(contents, sample_rate, num_samples=None):
    """Decodes the bytes of one WAV file to a single channel at a given rate.

    Integers of 8 to 32 bits are scaled to [-1, 1], floats are taken as they are, channels are averaged. Another
    rate is resampled by `scipy.signal.resample_poly`, whose filter keeps what is above the new rate's half from
    coming back as noise below it.

    Args:
        contents: Bytes of a WAV file: PCM of 8, 16, 24 or 32 bits, or floats of 32 or 64.
        sample_rate: Integer, samples a second of the result.
        num_samples: Integer, the length to which the result is cut, or filled with zeros at its end. Defaults to
            None: as long as it is.

    Returns:
        A float32 array of shape `(num_samples,)`.

    Raises:
        ValueError: If a rate is none from 500 to 1,000,000, or `contents` is no such file, is truncated, has no
            samples, or values that are not finite.

    Example:

    >>> import io
    >>> from scipy.io import wavfile
    >>> file = io.BytesIO()
    >>> wavfile.write(file, 8000, np.array([0, 16384, -32768], np.int16))
    >>> tft.data.decode_audio(file.getvalue(), sample_rate=8000, num_samples=4).tolist()
    [0.0, 0.5, -1.0, 0.0]
    """
    sample_rate = check_sample_rate(sample_rate)
    try:
        rate, samples = _samples(contents)
    except ValueError as error:
        raise ValueError(f"The recording {error}.") from error
    if num_samples is not None:
        # What the filter at the last sample sees, and no more of a long recording.
        seen = math.ceil(num_samples * rate / sample_rate) + math.ceil(10 * max(1, rate / sample_rate)) + 1
        samples = samples[:seen]
    wave = _as_floats(samples)
    if wave.ndim > 1:
        wave = wave.mean(axis=1)
    if rate != sample_rate:
        common = math.gcd(rate, sample_rate)
        # Half the cost of importing the package, if it stood at the top.
        from scipy.signal import resample_poly

        wave = resample_poly(wave, sample_rate // common, rate // common)
    if num_samples is not None:
        wave = np.pad(wave[:num_samples], (0, max(0, num_samples - len(wave))))
    return wave.astype(np.float32)


def check_sample_rate(value, name="sample_rate"):
    """Returns `value` as an integer number of samples a second, else raises a `ValueError`."""
    return _checks.integer(value, name, _LOWEST_RATE, _HIGHEST_RATE)


def _as_floats(samples):
    if samples.dtype.kind == "f":
        return samples.astype(np.float64)
    if samples.dtype == np.uint8:
        return (samples - 128.0) / 128.0
    # 24 bits come in the upper three bytes of 32.
    return samples / -float(np.iinfo(samples.dtype).min)


def _samples(contents):
    """Returns the rate and the samples, `(num_samples,)` or `(num_samples, channels)`, as they are in the file."""
    from scipy.io import wavfile

    chunks = _chunks(contents)
    # The rest of a file is for people; SciPy would warn of each chunk that it does not know.
    body = b"WAVE" + b"".join(struct.pack("<4sI", name, len(chunks[name])) + chunks[name] for name in _NEEDED)
    try:
        rate, samples = wavfile.read(io.BytesIO(struct.pack("<4sI", b"RIFF", len(body)) + body))
    except _PARSING_ERRORS as error:
        raise ValueError(f"is corrupt, or of an encoding that is not read: save it as 16-bit PCM ({error})") from error
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise ValueError(f"says that it has {rate} samples a second")
    if not len(samples):
        raise ValueError("has no samples")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise ValueError("has values that are not finite")
    return rate, samples


def _chunks(contents):
    """Returns the chunks "fmt " and "data" of a WAV file, once it is clear that it has all of them."""
    if contents[:4] != b"RIFF" or contents[8:12] != b"WAVE":
        raise ValueError("is no WAV file: convert it, for instance with `ffmpeg -i FILE FILE.wav`")
    chunks, place = {}, 12
    while place + 8 <= len(contents) and b"data" not in chunks:
        name, size = struct.unpack_from("<4sI", contents, place)
        body = contents[place + 8 : place + 8 + size]
        if len(body) < size:
            raise ValueError(f"is truncated ({len(body)} of {size} bytes of {name.decode('ascii', 'replace')!r})")
        chunks[name] = body
        place += 8 + size + size % 2
    for name in _NEEDED:
        if name not in chunks:
            raise ValueError(f"is truncated or corrupt (it has no {name.decode()!r})")
    return chunks


def _why_bad(contents):
    try:
        _samples(contents)
    except ValueError as error:
        return str(error)
    return ""


RECORDINGS = FileKind(
    noun="recording",
    nouns="recordings",
    other="no recording",
    others="no recordings",
    suffixes=_SUFFIXES,
    unreadable=_UNREADABLE_SUFFIXES,
    why_bad=_why_bad,
    bad=BadRecording,
)
