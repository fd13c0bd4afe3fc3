"""`log_mel` beside a spectrogram worked out with NumPy, and what an example's own must not depend on."""

import keras
import numpy as np
import pytest

from tf_transfer.backbones import log_mel

RATE, BANDS, WINDOW, STEP, FFT = 8000, 20, 200, 80, 256


def waves(num=3, num_samples=4000):
    rng, time = np.random.default_rng(0), np.arange(num_samples) / RATE
    tones = np.sin(2 * np.pi * np.array([300.0, 900.0, 2500.0])[:num, None] * time)
    return (0.3 * tones + 0.01 * rng.normal(size=(num, num_samples))).astype("float32")


def by_hand(wave, low=20.0, high=RATE / 2):
    """Returns decibels (bands, frames) by the definition: windows of Hann, power, triangles on the mel scale."""
    window = np.zeros(FFT)
    start = (FFT - WINDOW) // 2
    window[start : start + WINDOW] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    mirrored = np.pad(wave.astype(float), FFT // 2, mode="reflect")
    frames = [mirrored[i : i + FFT] * window for i in range(0, len(mirrored) - FFT + 1, STEP)]
    power = np.abs(np.fft.rfft(frames)) ** 2
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)  # noqa: E731
    edges = np.linspace(mel(low), mel(high), BANDS + 2)
    places = mel(np.fft.rfftfreq(FFT, 1 / RATE))
    bands = []
    for left, center, right in zip(edges, edges[1:], edges[2:]):
        bands.append(np.interp(places, [left, center, right], [0, 1, 0]))
    return 10 * np.log10(np.maximum(power @ np.array(bands).T, 1e-6)).T


@pytest.mark.parametrize("frequencies", [(20.0, None), (300.0, 3400.0)])
def test_values_are_those_of_the_definition(frequencies):
    x = waves()
    low, high = frequencies
    got = log_mel(x, RATE, BANDS, min_frequency=low, max_frequency=high, normalization=None)
    expected = np.stack([by_hand(wave, low, high or RATE / 2) for wave in x])[..., None]
    assert got.shape == expected.shape == (3, BANDS, 51, 1)
    np.testing.assert_allclose(got, expected, atol=0.05)


def test_normalizations():
    x = waves()
    decibels = log_mel(x, RATE, BANDS, normalization=None).numpy()
    mean, deviation = decibels.mean(axis=(1, 2, 3), keepdims=True), decibels.std(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(log_mel(x, RATE, BANDS), (decibels - mean) / deviation, atol=1e-3)
    fixed = log_mel(x, RATE, BANDS, normalization=(-30.0, 15.0))
    np.testing.assert_allclose(fixed, (decibels + 30) / 15, atol=1e-3)


@pytest.mark.parametrize("normalization", ["example", None])
def test_an_example_does_not_depend_on_its_neighbors(normalization):
    x = waves()
    x[1] *= 1e-3
    alone = log_mel(x[1:2], RATE, BANDS, normalization=normalization)
    np.testing.assert_allclose(log_mel(x, RATE, BANDS, normalization=normalization)[1:2], alone, atol=1e-3)


def test_loudness_cancels_in_an_examples_own_normalization():
    x = waves()
    np.testing.assert_allclose(log_mel(0.5 * x, RATE, BANDS), log_mel(x, RATE, BANDS), atol=2e-3)


@pytest.mark.parametrize("num_samples", [3999, 4000, 4001, 4079, 4080])
def test_the_promised_number_of_frames_comes(num_samples):
    waveform = keras.Input((num_samples,))
    model = keras.Model(waveform, log_mel(waveform, RATE, BANDS))
    got = model(waves(1, num_samples))
    assert tuple(got.shape[1:]) == tuple(model.output_shape[1:])
    assert got.shape[2] in (1 + num_samples // STEP, 1 + (num_samples + 1) // STEP)
