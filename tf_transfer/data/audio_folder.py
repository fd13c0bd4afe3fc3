"""A folder of recordings, one subfolder a class, as a stream of batches."""

import copy
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data.audio_files import RECORDINGS, check_sample_rate, decode_audio
from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.file_streams import read_files


class AudioFolder(ClassFolder):
    """Labelled recordings in one folder a class, checked before anything is trained.

    The sorted names of the subfolders are the labels 0, 1, ...; WAV files of any rate may lie deeper inside them.
    Each becomes one waveform of `seconds` at `sample_rate`: channels are averaged, other rates are resampled, a longer
    recording is cut at its end and a shorter one filled with silence. Every file is decoded once here, so that a
    damaged one is named now. Files are read anew in each epoch and never held in memory at once.

    Args:
        directory: Path of the folder that has the class folders.
        sample_rate: Integer, samples a second. Defaults to 16000.
        seconds: Float above 0, the length of each waveform. Defaults to 1.
        skip_bad: Bool, whether to leave out bad files with a warning instead of raising an error that lists them.
            Defaults to False.
        class_names: List of folder names that gives the labels their order, for instance `train.class_names` for a
            test folder that lacks a class. Other folders are left out, with a warning. Defaults to None: all
            folders, sorted.

    Attributes:
        files: List of strings, the WAV files.
        labels: Integer array of shape (num_recordings,), dtype int64.
        class_names: List of strings, one a label.
        bad: List of `BadRecording(file, reason)`, what was left out by `skip_bad=True`.
        num_samples: Integer, the length of a waveform.

    Raises:
        FileNotFoundError: If `directory` does not exist.
        NotADirectoryError: If it is a file.
        PermissionError: If it may not be read.
        ValueError: If it has no recordings, a single class, a class without recordings, or bad ones.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from scipy.io import wavfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("high", "low"):
    ...     (folder / name).mkdir()
    ...     wavfile.write(folder / name / "1.wav", 8000, np.zeros(4000, np.int16))
    >>> recordings = tft.data.AudioFolder(folder, sample_rate=8000, seconds=0.25)
    >>> len(recordings), recordings.class_names, recordings.labels.tolist()
    (2, ['high', 'low'], [0, 1])
    >>> [x.shape for x, y in recordings.dataset(batch_size=2)]
    [TensorShape([2, 2000])]
    """

    kind = RECORDINGS

    def __init__(self, directory, sample_rate=16000, seconds=1.0, *, skip_bad=False, class_names=None):
        self.sample_rate = check_sample_rate(sample_rate)
        self.num_samples = _num_samples(seconds, self.sample_rate)
        super().__init__(directory, skip_bad, class_names)

    @property
    def example_shape(self):
        return (self.num_samples,)

    def in_order(self, indices):
        """Returns a dataset of single pairs (waveform, label) in the order of `indices`, a dataset of integers."""
        return read_files(indices, self._read, self.files, self.labels)

    def examples(self, num_recordings):
        """Returns a float32 array of `num_recordings` waveforms (or all, if there are fewer) over all the classes."""
        _checks.integer(num_recordings, "num_recordings", minimum=1)
        # Files are sorted by class, so equal steps visit all the classes.
        chosen = np.linspace(0, len(self) - 1, min(num_recordings, len(self))).astype(int)
        return np.stack([self._decode(self.files[index]) for index in chosen])

    def resampled(self, sample_rate, seconds):
        """Returns the same recordings, which are not checked again, at another rate or length.

        Args:
            sample_rate: Integer, samples a second.
            seconds: Float above 0, the length of each waveform.

        Returns:
            An `AudioFolder`.
        """
        part = copy.copy(self)
        part.sample_rate = check_sample_rate(sample_rate)
        part.num_samples = _num_samples(seconds, part.sample_rate)
        return part

    def _read(self, file):
        wave = tf.numpy_function(self._decode, [file], tf.float32, stateful=False)
        return tf.ensure_shape(wave, (self.num_samples,))

    def _decode(self, file):
        file = file.decode() if isinstance(file, bytes) else file
        try:
            return decode_audio(Path(file).read_bytes(), self.sample_rate, self.num_samples)
        except ValueError as error:
            # It was all right when the folder was opened.
            raise ValueError(f"{file} has changed. {error}") from error


def _num_samples(seconds, sample_rate):
    num_samples = round(_checks.positive(seconds, "seconds") * sample_rate)
    if num_samples < 1:
        raise ValueError(f"`seconds` must be at least one sample, {1 / sample_rate:g}. Received: seconds={seconds!r}.")
    return num_samples
