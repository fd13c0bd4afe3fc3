"""Class weights and the checks of labels."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from tf_transfer.data import balanced_class_weight, check_labels


def test_equals_scikit_learn():
    labels = np.random.default_rng(0).choice(4, size=100, p=[0.6, 0.2, 0.1, 0.1])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert balanced_class_weight(labels, 4) == pytest.approx(dict(enumerate(expected)))


def test_mean_weight_of_an_example_is_one_even_with_an_absent_class():
    labels = [0, 0, 0, 2]
    weight = balanced_class_weight(labels, 3)
    assert np.mean([weight[label] for label in labels]) == pytest.approx(1)
    assert weight[1] == 1


def test_one_hot_labels_weigh_the_same():
    labels = np.array([0, 1, 1, 2])
    assert balanced_class_weight(np.eye(3)[labels], 3) == balanced_class_weight(labels, 3)


def test_columns_and_whole_floats_are_labels():
    assert check_labels([[1.0], [0.0]], 2).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 5], r"from 0 to 2 \(num_classes=3\)\. Received: 5 \(1 of 3 labels are wrong\)"),
        ([0, -1], "Received: -1"),
        ([0.5, 1], "Received: 0.5"),
        ([np.nan, 1], "Received: nan"),
        (["cat", "dog"], "np.unique"),
        ([], r"Received: shape \(0,\)"),
        (np.zeros((4, 2)), r"Received: shape \(4, 2\)"),
        ([[1, 1, 0]], r"a single 1 in each row\. Received: \[1, 1, 0\]"),
    ],
)
def test_wrong_labels_are_named(labels, message):
    with pytest.raises(ValueError, match=message):
        check_labels(labels, 3)
