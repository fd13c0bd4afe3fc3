"""Pseudo-labels, FixMatch and FlexMatch: objectives and thresholds by hand, and what no gradient reaches."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from semi_supervised_toys import X_LABELLED, X_UNLABELLED, Y, batch, cross_entropy, network, once, softmax

import tf_transfer as tft


def strong(x):
    return 0.5 * x + 0.3


def papers_objective(model, weight, threshold):
    """The objective of FixMatch in NumPy, on the toys' one batch; `model` has no batch normalization."""
    weak, hard = (softmax(model, each) for each in (X_UNLABELLED, strong(X_UNLABELLED)))
    mask = weak.max(1) >= threshold
    unlabelled = np.mean(mask * -np.log(hard[np.arange(len(hard)), weak.argmax(1)]))
    return unlabelled, mask.mean(), cross_entropy(model) + weight * unlabelled


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.95])
def test_fix_match_is_the_papers_formula(threshold):
    plain = network()
    unlabelled, share, loss = papers_objective(plain, 1.5, threshold)
    assert threshold != 0.6 or 0 < share < 1
    model = tft.semi_supervised.FixMatch(plain, unlabelled_weight=1.5, threshold=threshold)
    history = once(model, batch(strong=strong))
    found = [history[name] for name in ("unlabelled_loss", "mask_share", "loss", "classification_loss")]
    np.testing.assert_allclose(found, [unlabelled, share, loss, loss - 1.5 * unlabelled], rtol=1e-5)


def test_pseudo_labels_are_the_argmax_of_what_is_learnt():
    plain = network()
    p = softmax(plain, X_UNLABELLED)
    model = tft.semi_supervised.PseudoLabel(plain, unlabelled_weight=2.0)
    history = once(model, batch())
    expected = np.mean(-np.log(p.max(1)))
    np.testing.assert_allclose(history["unlabelled_loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(history["loss"], cross_entropy(plain) + 2.0 * expected, rtol=1e-5)
    assert history["mask_share"] == 1.0


def test_the_weight_of_pseudo_labels_rises_as_in_the_paper():
    model = tft.semi_supervised.PseudoLabel(network())
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", steps_per_execution=5)
    weights = model.fit(batch().repeat(5), epochs=4, verbose=0).history["unlabelled_weight"]
    ramp = [3.0 * np.clip((step / 20 - 0.1) / 0.5, 0, 1) for step in range(20)]
    np.testing.assert_allclose(weights, np.reshape(ramp, (4, 5)).mean(1), rtol=1e-5)


@pytest.mark.parametrize("method", ["PseudoLabel", "FixMatch"])
def test_a_step_is_that_of_fixed_labels_so_no_gradient_finds_its_way_into_a_guess(method):
    plain = network()
    fixed = [tf.Variable(w) for w in plain.get_weights()]
    weak = softmax(plain, X_UNLABELLED)
    mask, guesses = (weak.max(1) >= 0.6).astype("float32"), weak.argmax(1)
    learnt = X_UNLABELLED if method == "PseudoLabel" else strong(X_UNLABELLED)

    def logits(x):
        return tf.tanh(x @ fixed[0] + fixed[1]) @ fixed[2] + fixed[3]

    with tf.GradientTape() as tape:
        few = tf.nn.sparse_softmax_cross_entropy_with_logits(Y, logits(X_LABELLED))
        many = tf.nn.sparse_softmax_cross_entropy_with_logits(guesses, logits(learnt))
        objective = tf.reduce_mean(few) + 0.7 * tf.reduce_mean(mask * many)
    gradients = tape.gradient(objective, fixed)
    model = getattr(tft.semi_supervised, method)(plain, unlabelled_weight=0.7, threshold=0.6)
    once(model, batch(strong=strong) if method == "FixMatch" else batch(), rate=0.1)
    for variable, before, gradient in zip(plain.weights, fixed, gradients, strict=True):
        np.testing.assert_allclose(variable, before - 0.1 * gradient, atol=1e-6)


@pytest.mark.parametrize(("mapping", "warm_up"), [("convex", True), ("linear", False), ("concave", True)])
def test_flex_match_lowers_the_thresholds_of_classes_it_has_guessed_less(mapping, warm_up):
    plain = network()
    model = tft.semi_supervised.FlexMatch(plain, 10, threshold=0.6, mapping=mapping, warm_up=warm_up)
    last = np.array([0, 0, 0, 1, 1, -1, -1, 2, -1, -1])
    model.last_guesses.assign(last)
    counts = np.array([3, 2, 1])
    beta = counts / (max(3, 4) if warm_up else 3)
    curve = {"convex": beta / (2 - beta), "linear": beta, "concave": np.log(beta + 1) / np.log(2)}[mapping]
    np.testing.assert_allclose(model.thresholds(), 0.6 * curve, rtol=1e-6)

    p, index = softmax(plain, X_UNLABELLED), np.arange(8)
    guesses, confidence = p.argmax(1), p.max(1)
    history = once(model, batch(strong=strong, index=index))
    np.testing.assert_allclose(history["mask_share"], np.mean(confidence > 0.6 * curve[guesses]))
    np.testing.assert_allclose(history["mean_threshold"], np.mean(0.6 * curve), rtol=1e-6)
    confident = confidence > 0.6
    assert 0 < confident.sum() < 8
    expected = last.copy()
    expected[:8][confident] = guesses[confident]
    np.testing.assert_array_equal(model.last_guesses, expected)


def test_thresholds_begin_at_zero_and_end_at_the_fixed_one():
    model = tft.semi_supervised.FlexMatch(network(), 6, threshold=0.9)
    np.testing.assert_array_equal(model.thresholds(), [0, 0, 0])
    model.last_guesses.assign([0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(model.thresholds(), [0.9] * 3)
