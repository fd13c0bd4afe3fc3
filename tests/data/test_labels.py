"""Labels: checks, class weights, integers to one-hot and back."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from tf_transfer.data import balanced_class_weight, check_labels, match_labels


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


def labels_of(y, num_classes, one_hot, weight=None):
    parts = (np.zeros((len(y), 2)), np.asarray(y)) if weight is None else (np.zeros((len(y), 2)), np.asarray(y), weight)
    return match_labels(tf.data.Dataset.from_tensor_slices(parts).batch(2), num_classes, one_hot)


def joined(dataset):
    return np.concatenate([batch[1] for batch in dataset.as_numpy_iterator()])


@pytest.mark.parametrize(
    "y",
    [
        [2, 0, 1],
        [[2], [0], [1]],
        [2.0, 0.0, 1.0],
        np.uint8([2, 0, 1]),
        np.eye(3)[[2, 0, 1]],
        np.eye(3, dtype=int)[[2, 0, 1]],
    ],
)
def test_every_form_of_labels_becomes_both(y):
    as_indices, as_rows = labels_of(y, 3, one_hot=False), labels_of(y, 3, one_hot=True)
    assert joined(as_indices).tolist() == [2, 0, 1]
    assert joined(as_rows).tolist() == np.eye(3)[[2, 0, 1]].tolist()
    assert as_indices.element_spec[1].dtype == tf.int64
    assert as_rows.element_spec[1] == tf.TensorSpec((None, 3), tf.float32)


def test_booleans_are_two_classes():
    assert joined(labels_of([True, False], 2, one_hot=False)).tolist() == [1, 0]


def test_soft_and_multiple_labels_stay_but_become_no_integers():
    soft = np.array([[0.5, 0.5, 0], [1, 1, 0]])
    assert joined(labels_of(soft, 3, one_hot=True)).tolist() == soft.tolist()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"single 1 in each row.*0\.5 0\.5"):
        joined(labels_of(soft, 3, one_hot=False))


def test_inputs_and_weights_are_kept():
    (x, _, weight), *_ = labels_of([0, 1], 2, one_hot=True, weight=[3.0, 4.0])
    assert x.shape == (2, 2)
    assert weight.numpy().tolist() == [3.0, 4.0]


@pytest.mark.parametrize(("bad", "shown"), [(3, r"\[3\]"), (-1, r"\[-1\]"), (0.5, r"\[0\.5\]"), (np.nan, "nan")])
@pytest.mark.parametrize("one_hot", [False, True])
def test_wrong_label_in_a_stream_is_named(bad, shown, one_hot):
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"from 0 to 2 \(num_classes=3\)\. Received:.*{shown}"):
        joined(labels_of([0, 1, bad], 3, one_hot))


def test_one_byte_labels_meet_many_classes():
    assert joined(labels_of(np.uint8([255, 0]), 300, one_hot=False)).tolist() == [255, 0]


def test_columns_outside_zero_and_one_are_named():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must be from 0 to 1\. Received:.*2"):
        joined(labels_of([[0, 2, 0]], 3, one_hot=True))


@pytest.mark.parametrize(
    ("y", "message"), [(["a", "b"], "Received: strings"), (np.zeros((4, 2)), r"Received: shape \(None, 2\)")]
)
def test_labels_of_a_wrong_kind(y, message):
    with pytest.raises(ValueError, match=message):
        labels_of(y, 3, one_hot=True)
