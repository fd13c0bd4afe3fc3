"""Losses and metrics that pass over missing labels, against NumPy."""

import keras
import numpy as np
import pytest

import tf_transfer as tft

RNG = np.random.default_rng(3)
SCORES = RNG.dirichlet(np.ones(3), 5).astype("float32")
LABELS = np.array([2, -1, 0, 1, -1])
KNOWN = np.array([0, 2, 3])
PER_EXAMPLE = -np.log(SCORES[KNOWN, LABELS[KNOWN]])


def sparse(**arguments):
    return tft.losses.LabelledLoss("sparse_categorical_crossentropy", missing=-1, **arguments)


def test_the_mean_is_over_the_examples_with_a_label():
    np.testing.assert_allclose(sparse()(LABELS, SCORES), PER_EXAMPLE.mean(), rtol=1e-5)
    np.testing.assert_allclose(sparse()(LABELS[:, None], SCORES), PER_EXAMPLE.mean(), rtol=1e-5)


def test_weights_of_examples_and_of_classes_multiply():
    weights, of_class = np.arange(1.0, 6.0), {0: 3.0, 2: 0.5}
    by_class = np.array([0.5, 3.0, 1.0])
    found = sparse(class_weight=of_class)(LABELS, SCORES, sample_weight=weights)
    np.testing.assert_allclose(found, (PER_EXAMPLE * weights[KNOWN] * by_class).mean(), rtol=1e-5)


def test_class_weights_of_one_hot_labels_are_those_of_their_class():
    one_hot = np.where(LABELS[:, None] < 0, -1, np.eye(3)[LABELS])
    loss = tft.losses.LabelledLoss("categorical_crossentropy", missing=-1, class_weight={0: 3.0, 2: 0.5})
    np.testing.assert_allclose(loss(one_hot, SCORES), sparse(class_weight={0: 3.0, 2: 0.5})(LABELS, SCORES), rtol=1e-5)


def test_a_missing_number_is_nan_and_leaves_no_trace_in_the_gradient():
    targets = np.array([[1.0, 2.0], [np.nan, 5.0], [np.nan, np.nan]], "float32")
    values = np.array([[2.0, 4.0], [9.0, 6.0], [7.0, 7.0]], "float32")
    loss = tft.losses.LabelledLoss(keras.losses.MeanSquaredError(), by_entry=True)
    # The first example has (1 + 4) / 2, the second its one entry, the third none.
    assert float(loss(targets, values)) == pytest.approx((2.5 + 1.0) / 2)

    import tensorflow as tf

    with tf.GradientTape() as tape:
        predicted = tf.Variable(values)
        value = loss(targets, predicted)
    expected = np.array([[1.0, 2.0], [0.0, 2.0], [0.0, 0.0]]) / 2
    np.testing.assert_allclose(tape.gradient(value, predicted), expected, rtol=1e-6)


def test_without_any_label_the_value_is_0():
    assert float(sparse()(np.full(5, -1), SCORES)) == 0.0
    assert float(tft.losses.LabelledLoss("mse")(np.full((2, 1), np.nan), np.ones((2, 1)))) == 0.0


def test_entries_of_several_labels_count_by_themselves():
    labels = np.array([[1, 0, -1], [-1, -1, -1], [0, 1, 1]])
    scores = SCORES[:3]
    terms = -np.where(labels == 1, np.log(scores), np.log(1 - scores))
    loss = tft.losses.LabelledLoss("binary_crossentropy", missing=-1, by_entry=True, class_weight={1: 4.0})
    expected = np.mean([(terms[0, 0] + 4 * terms[0, 1]) / 2, (terms[2, 0] + 4 * terms[2, 1] + terms[2, 2]) / 3])
    np.testing.assert_allclose(loss(labels, scores), expected, rtol=1e-5)


def test_where_all_have_labels_it_is_the_loss_itself():
    labels = np.arange(5) % 3
    np.testing.assert_allclose(
        sparse()(labels, SCORES), keras.losses.SparseCategoricalCrossentropy()(labels, SCORES), rtol=1e-6
    )


def test_metrics_pass_over_missing_labels():
    metric = tft.losses.LabelledMetric(keras.metrics.SparseCategoricalAccuracy(name="accuracy"), missing=-1)
    metric.update_state(LABELS, SCORES)
    expected = np.mean(SCORES[KNOWN].argmax(-1) == LABELS[KNOWN])
    assert float(metric.result()) == pytest.approx(expected)
    metric.reset_state()
    metric.update_state(np.full(5, -1), SCORES)
    assert float(metric.result()) == 0.0

    error = tft.losses.LabelledMetric(keras.metrics.MeanAbsoluteError(), by_entry=True)
    error.update_state(np.array([[1.0, np.nan], [np.nan, np.nan]]), np.array([[3.0, 9.0], [9.0, 9.0]]))
    assert float(error.result()) == pytest.approx(2.0)


def test_the_area_under_the_curve_of_each_label_leaves_out_missing_entries():
    labels = np.array([[1, 0], [0, 1], [1, -1], [0, 0]])
    scores = np.array([[0.9, 0.2], [0.3, 0.7], [0.2, 0.99], [0.1, 0.8]])
    metric = tft.losses.LabelledMetric(keras.metrics.AUC(multi_label=True, num_thresholds=200), -1, by_entry=True)
    metric.update_state(labels, scores)
    # First label: 0.9 and 0.2 against 0.3 and 0.1; second: 0.7 against 0.2 and 0.8.
    assert float(metric.result()) == pytest.approx((3 / 4 + 1 / 2) / 2, abs=0.01)


def test_what_can_not_be_is_said():
    with pytest.raises(ValueError, match="`class_weight` must be a dict"):
        sparse(class_weight={0: -1.0})
    with pytest.raises(ValueError, match=r"`metric` must be a keras.metrics.Metric"):
        tft.losses.LabelledMetric("accuracy")
