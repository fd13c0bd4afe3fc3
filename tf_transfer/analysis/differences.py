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
