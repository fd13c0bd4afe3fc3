"""`SpecAugment`: where masks may be, what they leave, and what a warp does to time."""

import numpy as np
import pytest

from tf_transfer.layers import SpecAugment

NONE = {"num_frequency_masks": 0, "num_time_masks": 0}


def spectrograms(num=200, bands=40, frames=50):
    return np.random.default_rng(0).normal(size=(num, bands, frames)).astype("float32")


def runs(hidden):
    """Returns how long each stretch of True is."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hidden.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()


@pytest.mark.parametrize("axis", ["frequency", "time"])
def test_one_mask_is_one_stretch_of_the_mean_up_to_its_width_anywhere(axis):
    x = spectrograms(800)
    options = {**NONE, f"num_{axis}_masks": 1, f"{axis}_mask": 0.4, "seed": 1}
    y = SpecAugment(**options)(x, training=True).numpy()
    changed = y != x
    hidden = changed.any(axis=2 if axis == "frequency" else 1)
    size, lengths = hidden.shape[1], [runs(row) for row in hidden]
    assert all(len(each) <= 1 for each in lengths)
    widths = np.array([sum(each) for each in lengths])
    assert 0.35 * size < widths.max() <= 0.4 * size + 1
    # A width drawn evenly from 0 to 0.4 is 0.2 in the mean, when nothing of it stands outside.
    assert abs(widths.mean() / size - 0.2) < 0.013
    middle = slice(size // 3, 2 * size // 3)
    # A place at distance d from an end is hidden less often only where a whole mask does not fit.
    assert hidden[:, middle].mean() > hidden[:, [0, -1]].mean() > 0
    each = np.broadcast_to(x.mean(axis=(1, 2), keepdims=True), x.shape)
    np.testing.assert_allclose(y[changed], each[changed], atol=1e-5)


def test_channels_are_masked_alike_and_nothing_is_in_inference():
    x = np.stack([spectrograms(8)] * 2, axis=-1)
    layer = SpecAugment(seed=0)
    y = layer(x, training=True).numpy()
    np.testing.assert_array_equal(y[..., 0], y[..., 1])
    assert (y != x).any()
    np.testing.assert_array_equal(layer(x), x)
    assert not np.array_equal(layer(x, training=True), y), "the same masks twice"


def test_masks_of_a_fourier_transform_are_even_in_mel():
    x = spectrograms(400, bands=129)
    options = {**NONE, "num_frequency_masks": 1, "frequency_mask": 0.2, "seed": 2}
    hidden = (SpecAugment(sample_rate=8000, **options)(x, training=True).numpy() != x).any(axis=2)
    # By the formula of the mel scale, the lower half of it ends at 700 (exp(log(1 + 4000 / 700) / 2) - 1) = 1114 Hz.
    low = hidden[:, : round(1114 / 4000 * 129)].mean()
    assert abs(low / hidden[:, round(1114 / 4000 * 129) :].mean() - 1) < 0.25
    plain = (SpecAugment(**options)(x, training=True).numpy() != x).any(axis=2)
    assert hidden.sum(axis=1).max() > 1.4 * plain.sum(axis=1).max()


def test_a_warp_moves_time_by_up_to_its_share_and_keeps_the_ends():
    frames = 100
    ramp = np.broadcast_to(np.arange(frames, dtype="float32"), (300, 4, frames)).copy()
    y = SpecAugment(**NONE, time_warp=0.1, seed=4)(ramp, training=True).numpy()
    assert np.all(np.diff(y, axis=2) >= -1e-4), "time runs backwards"
    np.testing.assert_allclose(y[:, 0], y[:, 3])
    shift = np.abs(y[:, 0] - ramp[:, 0]).max(axis=1)
    assert 8 < shift.max() <= 10.01
    # Only a moment that was moved to an end takes the place of what was there.
    assert (np.abs(y - ramp)[:, 0, [0, -1]] < 1.01).mean() > 0.98


def test_warping_by_hand():
    """A moment at 0.5 that moves to 0.75 stretches the first half by 1.5 and halves the rest."""
    layer = SpecAugment(**NONE, time_warp=0.25)
    draws = iter([0.5, 1.0])
    layer._uniform = lambda shape, low, high: np.full(shape, next(draws, 0.0), "float32")
    ramp = (np.arange(12, dtype="float32") + 0.5)[None, None, :] / 12
    y = layer(ramp, training=True).numpy()[0, 0]
    places = (np.arange(12) + 0.5) / 12
    expected = np.where(places < 0.75, places / 1.5, 0.5 + (places - 0.75) * 2)
    np.testing.assert_allclose(y, np.clip(expected, 0.5 / 12, 11.5 / 12), atol=1e-6)
