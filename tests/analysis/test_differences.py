"""Two classifiers on the same examples, and one on groups of them."""

import numpy as np
import pytest
from scipy.stats import binomtest

from tf_transfer.analysis import ClassifierEvaluation
from tf_transfer.analysis.differences import paired_accuracies

RNG = np.random.default_rng(0)


def evaluation(right, labels):
    """Returns an evaluation that is right where it is said to be."""
    predictions = np.where(right, labels, (labels + 1) % 3)
    return ClassifierEvaluation(np.eye(3)[predictions], labels)


def test_mcnemar_counts_those_that_only_one_has_right():
    labels = RNG.integers(0, 3, 60)
    one, other = np.ones(60, bool), np.ones(60, bool)
    other[:12], one[12:15], one[20:30], other[20:30] = False, False, False, False
    found = evaluation(one, labels).difference(evaluation(other, labels))
    assert found.mean == pytest.approx(9 / 60)
    # Of a fair coin: 12 of 15 or more, either way.
    assert found.p_value == pytest.approx(2 * sum(_choose(15, k) for k in range(12, 16)) / 2**15)
    assert found.low < found.mean < found.high and found.low > 0
    mirrored = evaluation(other, labels).difference(evaluation(one, labels))
    assert (mirrored.mean, mirrored.low, mirrored.high) == pytest.approx((-found.mean, -found.high, -found.low))


def _choose(n, k):
    return np.prod(np.arange(n - k + 1, n + 1)) / np.prod(np.arange(1, k + 1)) if k else 1


def test_the_interval_holds_what_it_should_about_as_often_as_it_says():
    held = []
    for _ in range(400):
        draws = RNG.uniform(size=80)
        right, others = draws < 0.75, (draws < 0.6) | (draws > 0.9)
        found = paired_accuracies(right, others)
        held.append(found.low <= 0.05 <= found.high)
    assert 0.92 < np.mean(held) < 0.985


def test_two_that_agree_differ_by_nothing():
    found = paired_accuracies(np.ones(9), np.ones(9))
    assert (found.mean, found.p_value) == (0.0, 1.0) and found.low < 0 < found.high
    assert paired_accuracies([True], [False]).p_value == binomtest(1, 1).pvalue


def test_slices_are_evaluations_of_their_own():
    labels, groups = RNG.integers(0, 3, 30), np.array(["day", "night", "day"] * 10)
    whole = evaluation(groups == "day", labels)
    parts = whole.slices(groups)
    assert list(parts) == ["day", "night"]
    assert (parts["day"].accuracy, parts["night"].accuracy) == (1.0, 0.0)
    assert sum(len(part.labels) for part in parts.values()) == 30
    assert parts["day"].class_names == whole.class_names
    assert list(whole.slices(labels)) == [0, 1, 2]


def test_other_examples_and_groups_that_do_not_fit_are_refused():
    labels = np.arange(6) % 3
    whole = evaluation(np.ones(6, bool), labels)
    with pytest.raises(ValueError, match="the same examples"):
        whole.difference(evaluation(np.ones(6, bool), labels[::-1]))
    with pytest.raises(ValueError, match="one name an example, 6"):
        whole.slices(["a", "b"])
