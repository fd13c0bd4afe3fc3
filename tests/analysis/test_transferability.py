"""Scores of transferability, each against an independent computation."""

import keras
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from tf_transfer.analysis import h_score, leep, log_me, nce, nleep, trans_rate

RNG = np.random.default_rng(0)
LABELS = np.arange(48) % 3
# Directions of unlike length, as those of a network: those of one length would be shrunk to nothing.
FEATURES = (RNG.normal(size=(48, 5)) + 1.5 * np.eye(5)[LABELS]) * [1.0, 3.0, 0.5, 0.2, 2.0]


def largest_evidence(features, y):
    """Returns the largest log density of y under N(0, F F^T / alpha + I / beta), by search."""

    def minus(logs):
        covariance = features @ features.T * np.exp(-logs[0]) + np.eye(len(y)) * np.exp(-logs[1])
        return -multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)

    return -min(minimize(minus, start, method="Nelder-Mead", tol=1e-9).fun for start in ([0, 0], [2, 2], [4, 0]))


def test_log_me_is_the_largest_evidence_of_a_bayesian_line():
    targets = (LABELS[:, None] == np.arange(3)).astype("float64")
    expected = np.mean([largest_evidence(FEATURES, y) for y in targets.T]) / 48
    assert log_me(FEATURES, LABELS) == pytest.approx(expected, abs=1e-5)


def test_log_me_of_numbers_and_of_more_features_than_examples():
    wide = RNG.normal(size=(20, 30))
    y = wide[:, :2] @ [2.0, -1.0] + 0.5 * RNG.normal(size=20)
    assert log_me(wide, y, regression=True) == pytest.approx(largest_evidence(wide, y) / 20, abs=1e-4)
    both = np.stack([y, y], axis=1)
    assert log_me(wide, both, regression=True) == pytest.approx(log_me(wide, y, regression=True))


def test_h_score_by_its_definition():
    centred = FEATURES - FEATURES.mean(0)
    means = np.stack([centred[kind == LABELS].mean(0) for kind in LABELS])
    expected = np.trace(np.linalg.solve(np.cov(centred.T, bias=True), np.cov(means.T, bias=True)))
    assert h_score(FEATURES, LABELS, regularized=False) == pytest.approx(expected)
    shrunk = h_score(FEATURES, LABELS)
    assert 0 < shrunk < expected


def test_ledoits_and_wolfs_shrinkage_by_their_formula():
    centred = FEATURES - FEATURES.mean(0)
    num, dim = centred.shape
    sample = centred.T @ centred / num
    scale = np.trace(sample) / dim
    spread = np.sum((sample - scale * np.eye(dim)) ** 2)
    noise = sum(np.sum((np.outer(row, row) - sample) ** 2) for row in centred) / num**2
    amount = min(noise, spread) / spread
    covariance = (1 - amount) * sample + amount * scale * np.eye(dim)
    means = np.stack([centred[kind == LABELS].mean(0) for kind in LABELS])
    expected = (1 - amount) * np.trace(np.linalg.solve(covariance, means.T @ means / num))
    assert h_score(FEATURES, LABELS) == pytest.approx(expected)


def test_h_score_of_noise_stays_low_where_features_are_many():
    noise = RNG.normal(size=(30, 200))
    assert h_score(noise, np.arange(30) % 3, regularized=False) == pytest.approx(2.0), "the inverse explains noise"
    assert h_score(noise, np.arange(30) % 3) < 1.0


def test_trans_rate_by_eigenvalues():
    def rate(part):
        return 0.5 * np.log1p(np.linalg.svd(part, compute_uv=False) ** 2 / (len(part) * 0.01)).sum()

    centred = FEATURES - FEATURES.mean(0)
    expected = rate(centred) - np.mean([rate(centred[kind == LABELS]) for kind in range(3)])
    assert trans_rate(FEATURES, LABELS, distortion=0.01) == pytest.approx(expected)
    wide = np.concatenate([FEATURES, np.zeros((48, 60))], axis=1)
    assert trans_rate(wide, LABELS, distortion=0.01) == pytest.approx(expected)


def test_leep_by_loops():
    theta = RNG.dirichlet(np.ones(4), 48)
    joint = {(y, z): sum(theta[i, z] for i in range(48) if LABELS[i] == y) / 48 for y in range(3) for z in range(4)}
    given = {(y, z): value / sum(joint[k, z] for k in range(3)) for (y, z), value in joint.items()}
    expected = np.mean([np.log(sum(given[LABELS[i], z] * theta[i, z] for z in range(4))) for i in range(48)])
    assert leep(theta, LABELS) == pytest.approx(expected)


def test_leep_of_certain_answers_is_nce():
    source = RNG.integers(0, 4, 48)
    assert leep(np.eye(4)[source], LABELS) == pytest.approx(nce(source, LABELS))


def test_nce_is_minus_the_conditional_entropy():
    source = RNG.integers(0, 4, 48)

    def entropy(*columns):
        counts = np.unique(np.stack(columns, 1), axis=0, return_counts=True)[1] / 48
        return -np.sum(counts * np.log(counts))

    assert nce(source, LABELS) == pytest.approx(entropy(source) - entropy(source, LABELS))
    assert nce(np.zeros(48), LABELS) == pytest.approx(-np.log(3))


def test_nleep_is_leep_of_a_mixture_and_repeats():
    assert nleep(FEATURES, LABELS, num_components=1) == pytest.approx(-np.log(3))
    assert nleep(FEATURES, LABELS, seed=1) == nleep(FEATURES, LABELS, seed=1)
    assert -np.log(3) < nleep(FEATURES, LABELS) < 0


@pytest.mark.parametrize("score", [log_me, h_score, trans_rate, nleep, lambda f, y: nce(f[:, 0] > 1, y)])
def test_what_separates_scores_higher_than_what_does_not(score):
    near = RNG.normal(size=(48, 5)) + 0.4 * np.eye(5)[LABELS]
    far = near + 3.0 * np.eye(5)[LABELS]
    shuffled = RNG.permutation(LABELS)
    assert score(far, LABELS) > score(near, LABELS) and score(far, LABELS) > score(far, shuffled)
    order = RNG.permutation(48) if score is not nleep else np.arange(48)
    np.testing.assert_allclose(score(far[order], LABELS[order]), score(far, LABELS), rtol=1e-6)
    np.testing.assert_allclose(score(far, np.array(list("abc"))[LABELS]), score(far, LABELS), rtol=1e-6)


@pytest.mark.parametrize("score", [log_me, h_score, trans_rate, nleep, leep])
def test_what_can_not_be_scored_is_said(score):
    with pytest.raises(ValueError, match="one class an example"):
        score(FEATURES, LABELS[:-1])
    with pytest.raises(ValueError, match="argmax"):
        score(FEATURES, keras.utils.to_categorical(LABELS))
    with pytest.raises(ValueError, match="two classes or more"):
        score(FEATURES, np.zeros(48))
    with pytest.raises(ValueError, match=r"must be finite\. Received: 1 of 48"):
        score(np.where(np.arange(48)[:, None] == 7, np.nan, FEATURES), LABELS)


def test_leep_wants_probabilities():
    with pytest.raises(ValueError, match=r"sum to 1.*Logits become probabilities"):
        leep(FEATURES, LABELS)
