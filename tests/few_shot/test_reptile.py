"""Reptile: its steps by hand, the update of one step, random examples, batch normalization, and what it learns."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from few_shot_toys import twins

import tf_transfer as tft

RNG = np.random.default_rng(0)
# Two tasks of linear regression: four examples of three inputs to learn from, three to be asked about.
SUPPORT, QUERY, SLOPES = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(2, 3, 3)), RNG.normal(size=(2, 3))
TARGETS, ASKED = np.einsum("tsi,ti->ts", SUPPORT, SLOPES), np.einsum("tqi,ti->tq", QUERY, SLOPES)
W, B = RNG.normal(size=(3, 1)) * 0.5, np.array([0.1])


def batches():
    x = {"support": SUPPORT, "support_labels": TARGETS[..., None], "query": QUERY}
    x = {name: part.astype("float32") for name, part in x.items()}
    return tf.data.Dataset.from_tensors((x, ASKED[..., None].astype("float32")))


def linear(optimizer=None, regularizer=None, **options):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_regularizer=regularizer)])
    network.set_weights([W, B])
    model = tft.few_shot.Reptile(network, 0.1, **{"inner_optimizer": "sgd", "inner_batch_size": None, **options})
    model.compile(optimizer, "mse")
    return model


def slope(x, y, w, b, penalty=0.0):
    """Returns the gradient of the mean squared error of a line."""
    errors = x @ w[:, 0] + b[0] - y
    return 2 * (x * errors[:, None]).mean(0)[:, None] + 2 * penalty * w, np.array([2 * errors.mean()])


def adapted(task, steps, penalty=0.0):
    w, b = W, B
    for _ in range(steps):
        dw, db = slope(SUPPORT[task], TARGETS[task], w, b, penalty)
        w, b = w - 0.1 * dw, b - 0.1 * db
    return w, b


def test_the_weights_go_a_part_of_the_way_to_the_mean_of_the_adapted_ones():
    model = linear(inner_steps=3, step_size=0.5)
    history = model.fit(batches(), verbose=0).history
    ends = [adapted(task, 3) for task in range(2)]
    for found, start, which in zip(model.model.get_weights(), (W, B), (0, 1), strict=True):
        mean = np.mean([end[which] for end in ends], axis=0)
        np.testing.assert_allclose(found, start + 0.5 * (mean - start), rtol=1e-4)
    errors = [QUERY[task] @ ends[task][0][:, 0] + ends[task][1] - ASKED[task] for task in range(2)]
    assert history["loss"][0] == pytest.approx(np.square(errors).mean(), rel=1e-4)
    first = [np.square(SUPPORT[task] @ W[:, 0] + B - TARGETS[task]).mean() for task in range(2)]
    assert history["support_loss"][0] == pytest.approx(np.mean(first), rel=1e-4)


def test_one_inner_step_is_a_step_of_gradient_descent_on_all_tasks_together():
    model = linear(inner_steps=1, regularizer=keras.regularizers.L2(0.05))
    model.fit(batches(), verbose=0)
    together = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.05))]
    )
    together.set_weights([W, B])
    together.compile(keras.optimizers.SGD(0.1), "mse")
    together.fit(SUPPORT.reshape(8, 3), TARGETS.reshape(8, 1), batch_size=8, verbose=0)
    for one, other in zip(model.model.get_weights(), together.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_the_steps_of_adam_have_no_momentum_and_hand_their_mean_squares_on():
    def steps(w, squares, count, task, num):
        for _ in range(num):
            count += 1
            dw, _ = slope(SUPPORT[task], TARGETS[task], w, np.array([0.0]))
            squares = 0.999 * squares + 0.001 * dw**2
            w = w - 0.1 * dw / (np.sqrt(squares / (1 - 0.999**count)) + 1e-8)
        return w, squares

    model = tft.few_shot.Reptile(
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)]), 0.1, 2, evaluation_steps=1,
        inner_batch_size=None,
    )  # fmt: skip
    model.model.set_weights([W])
    model.compile(None, "mse")
    model.fit(batches(), verbose=0)
    ends = [steps(W, np.zeros((3, 1)), 0, task, 2) for task in range(2)]
    theta, squares = (np.mean([end[which] for end in ends], axis=0) for which in (0, 1))
    np.testing.assert_allclose(model.model.get_weights()[0], theta, rtol=1e-3)
    np.testing.assert_allclose(model.mean_squares[0], squares, rtol=1e-3)
    # A task that comes later begins with them.
    plain = model.adapt(SUPPORT[1].astype("float32"), TARGETS[1][:, None].astype("float32"))
    np.testing.assert_allclose(plain.get_weights()[0], steps(theta, squares, 2, 1, 1)[0], rtol=1e-3)
    np.testing.assert_allclose(model.mean_squares[0], squares, rtol=1e-3)


def test_each_step_draws_examples_none_twice_before_all_were():
    model = linear(inner_batch_size=2, seed=3)
    orders = model.task_parts(5, 6, 6, True)["orders"].numpy()
    assert orders.shape == (5, 6, 2)
    for task in orders:
        assert sorted(task[:3].ravel()) == sorted(task[3:].ravel()) == list(range(6))
    assert (orders[0] != orders[1]).any() and (orders != model.task_parts(5, 6, 6, True)["orders"].numpy()).any()
    # In evaluation the same each time; a batch that is larger than the support is the support.
    asked = [linear(inner_batch_size=9).task_parts(2, 4, 3, False)["orders"].numpy() for _ in range(2)]
    np.testing.assert_array_equal(*asked)
    assert asked[0].shape == (2, 3, 4)


def test_a_convolutional_network_task_by_task_is_the_dense_one_all_at_once():
    dense, image = twins()
    for network in (dense, image):
        model = tft.few_shot.Reptile(network, 0.05, 3, inner_batch_size=3, seed=0)
        model.compile(None, "mse")
        model.fit(batches(), verbose=0)
        plain = model.adapt(SUPPORT[0].astype("float32"), TARGETS[0][:, None].astype("float32"), steps=4)
        np.testing.assert_allclose(plain(QUERY[0]), model_answers(model, 4)[0], atol=1e-4)
    for one, other in zip(dense.get_weights(), image.get_weights(), strict=True):
        np.testing.assert_allclose(one, np.reshape(other, one.shape), atol=1e-5)


def model_answers(model, steps):
    model.evaluation_steps = steps
    return model(next(iter(batches()))[0])


def test_the_step_size_follows_its_schedule_and_other_optimizers_take_theirs():
    model = linear(step_size=tft.schedules.linear(1.0, 0.0), inner_steps=1)
    weights = [np.copy(W)]
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.model.get_weights()[0]))
    model.fit(batches(), epochs=4, verbose=0, callbacks=[keep])
    ways = [np.abs(after - before).max() for before, after in itertools.pairwise(weights)]
    # A quarter of the way less each time, besides that tasks are learned.
    assert ways[0] > ways[1] > ways[2] > ways[3] > 0
    assert float(model._step_size) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="Adam do not follow `step_size`"):
        linear(keras.optimizers.Adam(), step_size=tft.schedules.linear(1.0, 0.0))
    adam = linear(keras.optimizers.Adam(0.01), inner_steps=1)
    adam.fit(batches(), verbose=0)
    np.testing.assert_allclose(np.abs(adam.model.get_weights()[0] - W), 0.01, rtol=1e-2)


def test_batch_normalization_by_its_policy():
    for transductive, source in ((True, QUERY), (False, SUPPORT)):
        network = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
        network.layers[1].set_weights([W, B])
        model = tft.few_shot.Reptile(network, evaluation_steps=0, transductive=transductive)
        normal = (QUERY[0] - source[0].mean(0)) / np.sqrt(source[0].var(0) + 1e-3)
        np.testing.assert_allclose(model(next(iter(batches()))[0])[0], normal @ W + B, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_classes_that_were_never_seen_are_learned_in_fewer_steps():
    rng = np.random.default_rng(1)
    # What tells classes apart is in two coordinates; eight louder ones are noise.
    x = np.concatenate([rng.normal(size=(20, 2)).repeat(10, axis=0) * 3, rng.normal(0, 2, (200, 8))], axis=1)
    x[:, :2] += rng.normal(0, 0.3, (200, 2))
    y = np.arange(20).repeat(10)
    known, unknown = tft.data.split_classes(y, (0.6, 0.4), seed=0)
    network = keras.Sequential([keras.Input((10,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
    model = tft.few_shot.Reptile(network, 0.02, 5, evaluation_steps=8, seed=0)
    model.compile()
    test = tft.data.episodes(x, y, 3, 2, 3, classes=unknown, fixed=True, batch_size=20, seed=1)
    before = model.evaluate_episodes(test, 200).accuracy
    train = tft.data.episodes(x, y, 3, 8, 1, classes=known, num_episodes=1200, batch_size=6, seed=0)
    model.fit(train, epochs=2, verbose=0)
    assert model.evaluate_episodes(test, 200).accuracy > before + 0.15
