"""Mean Teacher: its objective and its averages by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from semi_supervised_toys import X_LABELLED, X_UNLABELLED, Y, batch, cross_entropy, network, once, softmax

import tf_transfer as tft


def strong(x):
    return 0.5 * x + 0.3


def apart(model):
    """Gives the teacher of a method other weights than the student's."""
    model.teacher.set_weights(network(seed=5).get_weights())
    return model


def test_the_objective_is_the_papers_formula():
    student = network()
    model = apart(tft.semi_supervised.MeanTeacher(student, consistency_weight=3.0))
    gap = softmax(student, strong(X_UNLABELLED)) - softmax(model.teacher, X_UNLABELLED)
    expected = np.mean(gap**2)
    supervised = cross_entropy(student)
    history = once(model, batch(strong=strong))
    np.testing.assert_allclose(history["consistency_loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(history["classification_loss"], supervised, rtol=1e-5)
    np.testing.assert_allclose(history["loss"], supervised + 3.0 * expected, rtol=1e-5)
    assert history["consistency_weight"] == 3.0


def test_one_view_is_seen_by_both():
    student = network()
    model = apart(tft.semi_supervised.MeanTeacher(student, consistency_weight=1.0))
    expected = np.mean((softmax(student, X_UNLABELLED) - softmax(model.teacher, X_UNLABELLED)) ** 2)
    np.testing.assert_allclose(once(model, batch())["consistency_loss"], expected, rtol=1e-5)


def test_a_step_moves_the_student_towards_a_fixed_answer():
    student = network()
    model = apart(tft.semi_supervised.MeanTeacher(student, consistency_weight=3.0, momentum=1.0))
    fixed = [tf.Variable(w) for w in student.get_weights()]
    answers = softmax(model.teacher, X_UNLABELLED).astype("float32")

    def logits(x):
        return tf.tanh(x @ fixed[0] + fixed[1]) @ fixed[2] + fixed[3]

    with tf.GradientTape() as tape:
        few = tf.nn.sparse_softmax_cross_entropy_with_logits(Y, logits(X_LABELLED))
        gap = tf.nn.softmax(logits(X_UNLABELLED)) - answers
        objective = tf.reduce_mean(few) + 3.0 * tf.reduce_mean(gap**2)
    gradients = tape.gradient(objective, fixed)
    once(model, batch(), rate=0.1)
    for variable, before, gradient in zip(student.weights, fixed, gradients, strict=True):
        np.testing.assert_allclose(variable, before - 0.1 * gradient, atol=1e-6)


def test_the_teacher_is_averaged_once_a_step():
    model = tft.semi_supervised.MeanTeacher(network(), 1.0, momentum=tft.schedules.linear(0.5, 0.9))
    model.compile(keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy")
    expected, students = model.teacher.get_weights(), []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: students.append(model.model.get_weights())
    )
    model.fit(batch().repeat(6), callbacks=[watch], verbose=0)
    for step, weights in enumerate(students):
        momentum = min(0.5 + 0.4 * step / 6, 1 - 1 / (step + 2))
        expected = [momentum * old + (1 - momentum) * new for old, new in zip(expected, weights, strict=True)]
    for found, wanted in zip(model.teacher.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)

    again = tft.semi_supervised.MeanTeacher(network(), 1.0, momentum=tft.schedules.linear(0.5, 0.9))
    again.compile(keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy", steps_per_execution=3)
    again.fit(batch().repeat(6), verbose=0)
    for found, wanted in zip(again.weights, model.weights, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6, err_msg=found.path)


@pytest.mark.parametrize("statistics", ["own", "average"])
def test_the_teachers_moving_statistics_follow_the_policy(statistics):
    model = tft.semi_supervised.MeanTeacher(
        network(batch_norm=True), 1.0, momentum=0.4, batch_statistics="labelled", teacher_statistics=statistics
    )
    before = [tf.constant(w) for w in model.teacher.get_weights()]
    hidden = tf.tanh(X_UNLABELLED @ before[0] + before[1]).numpy()
    once(model, batch(), rate=0.1)
    found = model.teacher.get_layer("norm").moving_mean.numpy()
    students = model.model.get_layer("norm").moving_mean.numpy()
    seen = tf.tanh(X_LABELLED @ before[0] + before[1]).numpy()
    np.testing.assert_allclose(students, 0.2 * seen.mean(0), atol=1e-6)
    expected = 0.2 * hidden.mean(0) if statistics == "own" else 0.6 * students
    np.testing.assert_allclose(found, expected, atol=1e-6)
    kernel = 0.4 * before[0] + 0.6 * model.model.weights[0]
    np.testing.assert_allclose(model.teacher.weights[0], kernel, atol=1e-6)


def test_only_the_student_trains_and_the_teacher_answers():
    student = network(regularizer=keras.regularizers.L2(0.1))
    model = apart(tft.semi_supervised.MeanTeacher(student, 0.0, momentum=1.0))
    assert [v.path for v in model.trainable_variables] == [v.path for v in student.trainable_variables]
    history = once(model, batch(), rate=0.1)
    loss = history["classification_loss"] + 0.1 * np.sum(network().get_weights()[0] ** 2)
    np.testing.assert_allclose(history["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(model.predict(X_LABELLED, verbose=0), softmax(model.teacher, X_LABELLED), atol=1e-6)
    assert model.deployable() is model.teacher and len(model.optimizer.variables) == 2


def test_a_layer_with_a_seed_drops_other_units_in_the_teacher():
    layers = [keras.Input((50,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(3, activation="softmax")]
    model = tft.semi_supervised.MeanTeacher(keras.Sequential(layers))
    x = np.ones((1, 50), "float32")
    student, teacher = (each.layers[0](x, training=True).numpy() for each in (model.model, model.teacher))
    assert np.mean(student == teacher) < 0.8


@pytest.mark.slow
def test_on_two_moons_the_unlabelled_examples_bend_the_boundary():
    rng = np.random.default_rng(0)
    y, angle = np.arange(600) % 2, rng.uniform(0, np.pi, 600)
    moons = [np.where(y, 1 - np.cos(angle), np.cos(angle)), np.where(y, 0.5 - np.sin(angle), np.sin(angle))]
    x = (np.stack(moons, 1) + rng.normal(scale=0.08, size=(600, 2))).astype("float32")

    def accuracy(weight):
        hidden = [keras.layers.Dense(32, activation="relu") for _ in range(2)]
        student = keras.Sequential([keras.Input((2,)), *hidden, keras.layers.Dense(2, activation="softmax")])
        model = tft.semi_supervised.MeanTeacher(tft.backbones.reinitialize(student, 0), weight, momentum=0.9)
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")

        def noisy(x):
            return x + tf.random.normal(tf.shape(x), stddev=0.2, seed=1)

        stream = tft.data.pair_labelled((x[:6], y[:6]), x, 6, ratio=16, weak=noisy, strong=noisy, seed=0)
        model.fit(stream.repeat(), steps_per_epoch=300, verbose=0)
        return np.mean(model.predict(x, verbose=0).argmax(1) == y)

    assert accuracy(tft.schedules.gaussian(10.0, finish=0.5)) > max(accuracy(0.0) + 0.03, 0.97)
