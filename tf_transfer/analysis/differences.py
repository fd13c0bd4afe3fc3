"""How far one of two is ahead of the other, and whether chance would do as much."""

import typing

import numpy as np


class Difference(typing.NamedTuple):
    """How far one method is ahead of another.

    Attributes:
        mean: Float, the mean difference; above 0 where the first is better.
        low, high: Floats, its 95% interval.
        p_value: Float in (0, 1], how often chance alone gives as much, either way.
    """

    mean: float
    low: float
    high: float
    p_value: float


def paired_accuracies(right, others):
    """Returns the `Difference` of two accuracies on the same examples.

    The test is McNemar's exact one, of those that only one of the two has right; the interval that of Agresti and Min.

    Args:
        right: Boolean array of shape `(num_examples,)`, which the first has right.
        others: The same of the second.

    Reference:
        McNemar, 1947; Agresti and Min, 2005, https://doi.org/10.1002/sim.1781
    """
    from scipy.stats import binomtest, norm

    right, others = np.asarray(right, bool), np.asarray(others, bool)
    ahead, behind = int(np.sum(right & ~others)), int(np.sum(~right & others))
    p_value = float(binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0
    # Half an example more in each of the four cells: plain intervals are too short for few examples.
    num, one, other = len(right) + 2, ahead + 0.5, behind + 0.5
    centre = (one - other) / num
    half = norm.ppf(0.975) * np.sqrt((one + other) - (one - other) ** 2 / num) / num
    return Difference((ahead - behind) / len(right), float(centre - half), float(centre + half), p_value)


def paired_errors(errors, others):
    """Returns the `Difference` of two mean errors on the same examples: how far the first is ahead, its errors smaller.

    The test is Student's, on the differences, and so is the interval.

    Args:
        errors: Float array of shape `(num_examples,)`, the absolute errors of the first.
        others: The same of the second.

    Example:

    >>> found = paired_errors(np.array([1.0, 2.0, 2.0]), np.array([2.0, 4.0, 3.0]))
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (1.333, -0.101, 2.768)
    """
    from scipy.stats import ttest_rel

    ahead = np.asarray(others, float) - np.asarray(errors, float)
    mean = float(ahead.mean())
    if len(ahead) < 2 or np.ptp(ahead) == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 1 / max(2, len(ahead)))
    found = ttest_rel(others, errors)
    low, high = found.confidence_interval(0.95)
    return Difference(mean, float(low), float(high), float(found.pvalue))
