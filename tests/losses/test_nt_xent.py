"""NT-Xent against NumPy, its symmetry, and its gradient."""

import numpy as np
import pytest
from loss_numerics import value_and_gradients

from tf_transfer.losses import NTXent

RNG = np.random.default_rng(4)
FIRST, SECOND = RNG.normal(size=(2, 6, 5))


def by_hand(first, second, temperature, groups):
    """Returns the loss of each of the 2N views, one after the other, with loops as the paper writes it."""
    views = np.concatenate([first, second])
    views = views / np.linalg.norm(views, axis=1, keepdims=True)
    groups = np.concatenate([groups, groups])
    values = []
    for i, view in enumerate(views):
        others = [j for j in range(len(views)) if j != i]
        total = np.log(sum(np.exp(view @ views[j] / temperature) for j in others))
        wanted = [total - view @ views[j] / temperature for j in others if groups[j] == groups[i]]
        values.append(np.mean(wanted))
    return np.array(values)


def test_it_is_the_mean_over_all_views_of_both_sides():
    expected = by_hand(FIRST, SECOND, 0.3, np.arange(6))
    assert float(NTXent(0.3)(FIRST, SECOND)) == pytest.approx(expected.mean(), rel=1e-5)
    found = NTXent(0.3).values(FIRST.astype("float32"), SECOND.astype("float32"), 1 / 0.3)
    np.testing.assert_allclose(found, (expected[:6] + expected[6:]) / 2, rtol=1e-5)


def test_with_groups_it_is_the_supervised_loss():
    groups = np.array([0, 1, 0, 2, 1, 0])
    expected = by_hand(FIRST, SECOND, 0.5, groups)
    found = NTXent(0.5).values(FIRST.astype("float32"), SECOND.astype("float32"), 2.0, groups)
    np.testing.assert_allclose(found, (expected[:6] + expected[6:]) / 2, rtol=1e-5)


def test_neither_the_order_of_views_nor_lengths_matter():
    value = float(NTXent()(FIRST, SECOND))
    assert float(NTXent()(SECOND, FIRST)) == pytest.approx(value, rel=1e-6)
    assert float(NTXent()(3 * FIRST, SECOND / 7)) == pytest.approx(value, rel=1e-5)
    order = RNG.permutation(6)
    assert float(NTXent()(FIRST[order], SECOND[order])) == pytest.approx(value, rel=1e-5)


def test_equal_embeddings_give_the_logarithm_of_the_others():
    assert float(NTXent()(np.ones((4, 3)), np.ones((4, 3)))) == pytest.approx(np.log(7), rel=1e-6)


def test_its_gradient_is_that_of_finite_differences():
    _, slopes = value_and_gradients(NTXent(0.5), FIRST, SECOND)
    for place, side in ((0, 0), (3, 1)):
        moved = []
        for step in (-1e-4, 1e-4):
            parts = [FIRST.copy(), SECOND.copy()]
            parts[side][place, 2] += step
            moved.append(by_hand(*parts, 0.5, np.arange(6)).mean())
        assert float(slopes[side][place, 2]) == pytest.approx(np.diff(moved)[0] / 2e-4, rel=1e-3)
