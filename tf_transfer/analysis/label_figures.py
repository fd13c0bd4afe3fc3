"""Figures of one label that an example has or has not, and their intervals by the bootstrap."""

import numpy as np

_NUM_DRAWS = 400


def ratio(part, whole):
    """Returns the quotient of two arrays, NaN of nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def known_mean(values):
    """Returns the mean of the values that are no NaN, NaN of none."""
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def f1(scores, labels, threshold, weights):
    """Returns the F1 of a label; NaN where no example has it and none is given it.

    Args:
        scores: Float array of shape `(num_examples,)`.
        labels: Array of the same shape, 0 or 1.
        threshold: Float, the score from which on the label is given.
        weights: Array of the same shape, how often each example counts.
    """
    given = scores >= threshold
    whole = np.sum(weights * given) + np.sum(weights * labels)
    return float(2 * np.sum(weights * labels * given) / whole) if whole else float("nan")


def average_precision(scores, labels, threshold=None, weights=None):
    """Returns the average precision of a label; examples of one score stand or fall together. Arguments as in `f1`."""
    from sklearn.metrics import average_precision_score

    if not np.sum(labels if weights is None else weights * labels):
        return float("nan")
    return float(average_precision_score(labels, scores, sample_weight=weights))


def bootstrap_interval(figure, scores, labels, threshold, *, confidence, rng):
    """Returns (low, high), the percentiles of a figure over draws of the examples; NaN where no example has the label.

    Args:
        figure: `f1` or `average_precision`.
        scores: As in `f1`.
        labels: As in `f1`.
        threshold: As in `f1`.
        confidence: Float in (0, 1).
        rng: `np.random.Generator`.
    """
    found, num = [], len(labels)
    for _ in range(_NUM_DRAWS if labels.any() else 0):
        weights = np.bincount(rng.integers(num, size=num), minlength=num)
        found.append(figure(scores, labels, threshold, weights))
    known = [each for each in found if each == each]
    if not known:
        return float("nan"), float("nan")
    low, high = np.percentile(known, 100 * np.array([0.5 - confidence / 2, 0.5 + confidence / 2]))
    return float(low), float(high)
