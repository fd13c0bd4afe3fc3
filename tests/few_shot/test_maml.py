"""MAML: its gradients against finite differences and by hand, its variants, and what a task may see."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from few_shot_toys import twins

import tf_transfer as tft
from tf_transfer.few_shot.inner_loop import InnerLoop

RNG = np.random.default_rng(0)
# Two tasks of linear regression: five examples of three inputs to learn from, four to be asked about.
SUPPORT, QUERY = RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 4, 3))
SLOPES = RNG.normal(size=(2, 3))
TARGETS, ASKED = np.einsum("tsi,ti->ts", SUPPORT, SLOPES), np.einsum("tqi,ti->tq", QUERY, SLOPES)
W, B = RNG.normal(size=(3, 1)) * 0.5, np.array([0.1])


def batches(dtype="float32"):
    x = {"support": SUPPORT, "support_labels": TARGETS[..., None], "query": QUERY}
    x = {name: part.astype(dtype) for name, part in x.items()}
    return tf.data.Dataset.from_tensors((x, ASKED[..., None].astype(dtype)))


def linear(**options):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    network.set_weights([W, B])
    model = tft.few_shot.MAML(network, inner_learning_rate=0.1, **options)
    model.compile(keras.optimizers.SGD(1.0), "mse")
    return model


def slope(x, y, w, b):
    """Returns the gradient of the mean squared error of a line."""
    errors = x @ w[:, 0] + b[0] - y
    return 2 * (x * errors[:, None]).mean(0)[:, None], np.array([2 * errors.mean()])


def adapted(w, b, task, steps, rate=0.1, moves_w=True):
    for _ in range(steps):
        dw, db = slope(SUPPORT[task], TARGETS[task], w, b)
        w, b = (w - rate * dw if moves_w else w), b - rate * db
    return w, b


def objective(w, b, steps=2, **options):
    total = 0.0
    for task in range(2):
        w_task, b_task = adapted(w, b, task, steps, **options)
        total += np.mean((QUERY[task] @ w_task[:, 0] + b_task[0] - ASKED[task]) ** 2) / 2
    return total


def test_the_meta_gradient_is_that_of_finite_differences_through_two_steps():
    model = linear(inner_steps=2)
    expected = []
    for at in range(3):
        step = np.zeros_like(W)
        step[at] = 1e-5
        expected.append((objective(W + step, B) - objective(W - step, B)) / 2e-5)
    history = model.fit(batches(), verbose=0).history
    np.testing.assert_allclose(W[:, 0] - model.model.get_weights()[0][:, 0], expected, rtol=1e-3)
    assert history["loss"][0] == pytest.approx(objective(W, B), rel=1e-5)
    first = np.mean([(SUPPORT[task] @ W[:, 0] + B[0] - TARGETS[task]) ** 2 for task in range(2)])
    assert history["support_loss"][0] == pytest.approx(first, rel=1e-5)


def test_the_first_order_gradient_is_that_at_the_adapted_weights():
    model = linear(inner_steps=2, first_order=True)
    model.fit(batches(), verbose=0)
    at_adapted = [slope(QUERY[task], ASKED[task], *adapted(W, B, task, 2))[0] for task in range(2)]
    np.testing.assert_allclose(W - model.model.get_weights()[0], np.mean(at_adapted, axis=0), rtol=1e-4)
    second = linear(inner_steps=2)
    second.fit(batches(), verbose=0)
    assert np.abs(second.model.get_weights()[0] - model.model.get_weights()[0]).max() > 1e-3


def test_rates_of_single_weights_are_learned_by_the_gradient_of_the_objective():
    model = linear(inner_steps=1, learned_rates=True)
    assert len(model.trainable_variables) == 4
    model.fit(batches(), verbose=0)
    # A file has the optimizer's slots in this order, and rates have the shapes of weights.
    assert [each.path for each in model.optimizer._trainable_variables] == [v.path for v in model.trainable_variables]
    step = 1e-6
    rates = np.full((3, 1), 0.1)
    expected = np.zeros(3)
    for at in range(3):
        moved = [rates.copy(), rates.copy()]
        moved[0][at] += step
        moved[1][at] -= step
        values = []
        for each in moved:
            total = 0.0
            for task in range(2):
                dw, db = slope(SUPPORT[task], TARGETS[task], W, B)
                w, b = W - each * dw, B - 0.1 * db
                total += np.mean((QUERY[task] @ w[:, 0] + b[0] - ASKED[task]) ** 2) / 2
            values.append(total)
        expected[at] = (values[0] - values[1]) / (2 * step)
    np.testing.assert_allclose(0.1 - np.asarray(model.rates[0].value)[:, 0], expected, rtol=1e-3)


def test_only_the_named_layers_adapt_and_all_are_learned():
    network = keras.Sequential([
        keras.Input((3,)), keras.layers.Dense(4, activation="tanh", name="body"), keras.layers.Dense(1, name="end")
    ])  # fmt: skip
    for adapts in ("head", ["end"]):
        model = tft.few_shot.MAML(network, inner_learning_rate=0.1, adapts=adapts)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        plain = model.adapt(SUPPORT[0].astype("float32"), TARGETS[0].astype("float32"), steps=3)
        before, after = network.get_weights(), plain.get_weights()
        np.testing.assert_array_equal(after[0], before[0])
        assert np.abs(after[2] - before[2]).max() > 1e-3
    body = network.layers[0].get_weights()[0]
    model.fit(batches(), verbose=0)
    assert np.abs(network.layers[0].get_weights()[0] - body).max() > 1e-5
    with pytest.raises(ValueError, match="Did you mean 'body'"):
        tft.few_shot.MAML(network, adapts=["bodi"])


def test_a_convolutional_network_task_by_task_is_the_dense_one_all_at_once():
    dense, image = twins()
    models = [tft.few_shot.MAML(each, 0.1, 2) for each in (dense, image)]
    assert [model.loop().can_be_vectorized for model in models] == [True, False]
    for model in models:
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(batches(), verbose=0)
    for one, other in zip(dense.get_weights(), image.get_weights(), strict=True):
        np.testing.assert_allclose(one, np.reshape(other, one.shape), atol=1e-5)


def test_the_adapted_model_answers_as_the_method_does():
    model = linear(inner_steps=1, evaluation_steps=4)
    x, _ = next(iter(batches()))
    plain = model.adapt(x["support"][1], x["support_labels"][1])
    expected = QUERY[1] @ adapted(W, B, 1, 4)[0] + adapted(W, B, 1, 4)[1]
    np.testing.assert_allclose(plain.predict(QUERY[1].astype("float32"), verbose=0), expected, rtol=1e-4)
    np.testing.assert_allclose(model(x)[1], expected, rtol=1e-4)
    np.testing.assert_allclose(model.model.get_weights()[0], W, rtol=1e-6)


def test_dropout_differs_between_steps_and_tasks_and_from_batch_to_batch():
    network = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(1)])
    seen = []
    network.layers[1].kernel.assign(np.zeros((50, 1)))
    loop = InnerLoop(network, lambda y, outputs: seen.append(outputs) or outputs, [0, 1], False, True)
    weights, state = loop.weights()
    _, after, _ = loop.adapted(weights, state, [0.0, 0.0], tf.ones((1, 50)), None, 3)
    (at,) = loop.seeds
    # One draw a step, and so another mask.
    np.testing.assert_array_equal(after[at] - state[at], [0, 3])
    model = tft.few_shot.MAML(network)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = {"support": np.ones((2, 1, 50)), "support_labels": np.ones((2, 1, 1)), "query": np.ones((2, 1, 50))}
    network.layers[1].kernel.assign(np.ones((50, 1)))
    outputs = model({name: tf.constant(part, "float32") for name, part in x.items()}, training=True)
    assert float(abs(outputs[0, 0, 0] - outputs[1, 0, 0])) > 1e-3
    before = np.asarray(network.non_trainable_variables[at])
    model.fit(tf.data.Dataset.from_tensors((x, np.ones((2, 1, 1)))), verbose=0)
    assert np.asarray(network.non_trainable_variables[at])[1] > before[1]


def test_batch_normalization_by_its_policy():
    def made(transductive):
        network = keras.Sequential(
            [keras.Input((3,)), keras.layers.BatchNormalization(momentum=0.9), keras.layers.Dense(1)]
        )
        network.layers[1].set_weights([W, B])
        model = tft.few_shot.MAML(network, 0.1, evaluation_steps=0, transductive=transductive)
        model.compile("sgd", "mse")
        return model

    x, _ = next(iter(batches()))
    for transductive, source in ((True, QUERY), (False, SUPPORT)):
        model = made(transductive)
        normal = (QUERY[0] - source[0].mean(0)) / np.sqrt(source[0].var(0) + 1e-3)
        np.testing.assert_allclose(model(x)[0], normal @ W + B, rtol=1e-3, atol=1e-3)
    # What is deployed answers each query by itself, and the network keeps its own statistics.
    plain = made(True).adapt(x["support"][0], x["support_labels"][0])
    np.testing.assert_allclose(
        plain.predict(QUERY[0].astype("float32"), verbose=0), normal @ W + B, rtol=1e-3, atol=1e-3
    )
    np.testing.assert_array_equal(model.model.layers[0].moving_mean, np.zeros(3))
    model.fit(batches(), verbose=0)
    assert np.isfinite(model.model.layers[1].kernel).all()


def test_weights_of_tasks_and_regularizers_are_part_of_the_objective():
    network = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.5))]
    )
    network.set_weights([W, B])
    model = tft.few_shot.MAML(network, 0.1)
    model.compile(keras.optimizers.SGD(1.0), "mse")
    x, y = next(iter(batches()))
    weighted = tf.data.Dataset.from_tensors((x, y, np.array([2.0, 0.0], "float32")))
    history = model.fit(weighted, verbose=0).history
    # The inner step has no regularization, the objective has.
    w, b = adapted(W, B, 0, 1)
    expected = np.mean((QUERY[0] @ w[:, 0] + b[0] - ASKED[0]) ** 2) + 0.5 * np.sum(W**2)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_sinusoid_is_learned_from_ten_points():
    def tasks():
        rng = np.random.default_rng(0)
        while True:
            amplitude, phase = rng.uniform(0.1, 5, (25, 1, 1)), rng.uniform(0, np.pi, (25, 1, 1))
            x = rng.uniform(-5, 5, (25, 20, 1))
            y = amplitude * np.sin(x - phase)
            parts = [part.astype("float32") for part in (x[:, :10], y[:, :10], x[:, 10:], y[:, 10:])]
            yield dict(zip(("support", "support_labels", "query"), parts[:3], strict=True)), parts[3]

    spec = tf.TensorSpec((25, 10, 1))
    signature = ({"support": spec, "support_labels": spec, "query": spec}, spec)
    stream = tf.data.Dataset.from_generator(tasks, output_signature=signature)
    layers = [
        keras.layers.Dense(40, activation="relu", kernel_initializer=keras.initializers.HeNormal(i)) for i in (1, 2)
    ]
    network = keras.Sequential([keras.Input((1,)), *layers, keras.layers.Dense(1)])
    model = tft.few_shot.MAML(network, 0.01, evaluation_steps=5)
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    history = model.fit(stream, steps_per_epoch=1500, epochs=6, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["support_loss"][-1]
    assert model.evaluate(stream, steps=40, verbose=0) < 1.5
