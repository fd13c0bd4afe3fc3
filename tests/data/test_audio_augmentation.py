"""`augment_audio`: what is masked is silent in whatever spectrogram, and the rest stays what it was."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import stft

from tf_transfer.data import as_dataset, audio_augmentation, augment_audio
from tf_transfer.layers import SpecAugment

RATE = 8000
NONE = {"num_frequency_masks": 0, "num_time_masks": 0}


def noise(num=16, num_samples=8000):
    return np.random.default_rng(0).normal(size=(num, num_samples)).astype("float32")


def augmented(x, recipe, seed=0):
    ((waves, labels),) = augment_audio(
        as_dataset((x, np.arange(len(x))), batch_size=len(x)), recipe, sample_rate=RATE, seed=seed
    )
    np.testing.assert_array_equal(labels, np.arange(len(x)))
    return waves.numpy()


def decibels(waves):
    # Another window than the one that masks.
    return 20 * np.log10(np.abs(stft(waves, RATE, nperseg=200, noverlap=120)[2]) + 1e-9)


@pytest.mark.parametrize("recipe", [None, "none", SpecAugment(**NONE), SpecAugment(frequency_mask=0.0, time_mask=0.0)])
def test_without_masks_waveforms_stay(recipe):
    np.testing.assert_allclose(augmented(noise(), recipe), noise(), atol=1e-6)


def test_a_time_mask_flattens_a_stretch_and_leaves_the_rest():
    x = noise()
    # A loud half, so that the mean differs from both.
    x[:, 4000:] *= 0.01
    y = augmented(x, SpecAugment(**{**NONE, "num_time_masks": 1}, time_mask=0.3), seed=3)
    same = np.isclose(x, y, atol=1e-4 * np.abs(x).max()).mean(axis=1)
    # What the mask and the windows around it cover.
    assert 0.6 < same.min() < 0.9
    assert abs((1 - same).mean() - 0.15) < 0.08


def test_a_frequency_mask_is_seen_by_another_transform():
    x = noise()
    # Noise that falls by 60 dB towards high frequencies: its mean level is not that of any band.
    spectrum = np.fft.rfft(x)
    x = np.fft.irfft(spectrum * 10 ** (-3 * np.linspace(0, 1, spectrum.shape[1]))).astype("float32")
    y = augmented(x, SpecAugment(**{**NONE, "num_frequency_masks": 1}, frequency_mask=0.4), seed=1)
    change = np.abs(decibels(y).mean(axis=2) - decibels(x).mean(axis=2))
    touched = (change > 3).mean(axis=1)
    assert 0.05 < touched.mean() < 0.4
    assert (change < 1).mean() > 0.5


def test_what_happens_to_the_transform_happens_to_the_waveform_in_its_place():
    x = noise(2, 3000)

    def later_half_quieter(spectrogram, training):
        frames = tf.shape(spectrogram)[2]
        return spectrogram + tf.where(tf.range(frames) < frames // 2, 0.0, np.log(0.5))

    got = audio_augmentation._masked(lambda s, training: s + np.log(0.5), RATE, x)
    np.testing.assert_allclose(got, 0.5 * x, atol=1e-5)
    got = audio_augmentation._masked(later_half_quieter, RATE, x).numpy()
    np.testing.assert_allclose(got[:, :1300], x[:, :1300], atol=1e-5)
    np.testing.assert_allclose(got[:, 1900:], 0.5 * x[:, 1900:], atol=1e-5)


def test_a_seed_repeats_the_stream_and_epochs_differ():
    x = noise()

    def epochs(seed):
        stream = augment_audio(as_dataset((x, np.arange(16)), batch_size=4), "strong", sample_rate=RATE, seed=seed)
        return [np.concatenate([waves for waves, _ in stream.as_numpy_iterator()]) for _ in range(2)]

    first, second = epochs(1)
    np.testing.assert_array_equal(epochs(1), [first, second])
    assert not np.allclose(first, second, atol=0.1)
    assert not np.allclose(epochs(2)[0], first, atol=0.1)


def test_silence_short_waveforms_dicts_and_weights_pass():
    x = {"waveform": np.zeros((4, 37), "float32"), "age": np.arange(4.0)}
    batches = as_dataset((x, np.arange(4), np.ones(4)), batch_size=4)
    ((waves, labels, weights),) = augment_audio(batches, "strong", sample_rate=RATE, seed=0)
    np.testing.assert_array_equal(waves["waveform"], np.zeros((4, 37)))
    assert (waves["age"].shape, labels.shape, weights.shape) == ((4,), (4,), (4,))


def test_what_is_no_waveform_is_refused():
    with pytest.raises(ValueError, match=r'must have a "waveform".*\[\'age\'\]'):
        augment_audio(as_dataset(({"age": np.zeros(4)}, np.arange(4))), sample_rate=RATE)
    with pytest.raises(ValueError, match="floats of shape"):
        augment_audio(tf.data.Dataset.from_tensors((np.zeros((2, 9), "int16"), [0, 1])), sample_rate=RATE)
