"""FedAvg, FedProx and FedAdam against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from federated_toys import clients, data, gradient_step, linear, network

import tf_transfer as tft


def _fit(server, given, **options):
    return server.fit(given, verbose=0, **{"seed": 0, "batch_size": 64, **options})


def test_the_mean_is_weighted_by_examples():
    model, given = linear(), clients(4, 12)
    before = model.get_weights()
    _fit(tft.federated.FedAvg(model), given)
    ends = [gradient_step(before, *client) for client in given]
    for found, one, other in zip(model.get_weights(), *ends, strict=True):
        np.testing.assert_allclose(found, (4 * one + 12 * other) / 16, rtol=1e-5, atol=1e-6)


def test_one_full_batch_step_of_all_is_one_step_on_the_joint_data():
    model, joint, given = linear(), linear(), clients(6, 6, 6)
    _fit(tft.federated.FedAvg(model), given, rounds=3)
    x, y = (np.concatenate(part) for part in zip(*given, strict=True))
    joint.fit(x, y, batch_size=18, epochs=3, verbose=0)
    for found, wanted in zip(model.get_weights(), joint.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_client_does_what_fit_does():
    """Several epochs and batches of Adam with dropout-free layers, in the order that the seed gives."""
    given = data(10)
    model = linear(keras.optimizers.Adam(0.05))
    history = _fit(tft.federated.FedAvg(model), [given], local_epochs=3, batch_size=4).history
    plain = linear(keras.optimizers.Adam(0.05))
    rng = np.random.default_rng((0, 0, 2, 0))
    losses = []
    for _ in range(3):
        order = rng.permutation(10)
        stream = tf.data.Dataset.from_tensor_slices(tuple(part[order] for part in given)).batch(4)
        losses.append(plain.fit(stream, shuffle=False, verbose=0).history["loss"][0])
    for found, wanted in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(history["loss"][0], np.mean(losses), rtol=1e-5)


def test_the_optimizer_of_a_client_begins_anew_and_that_of_the_model_is_left_alone():
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    model, given = linear(optimizer), clients(5)
    model.fit(*given[0], verbose=0)
    before, momenta = model.get_weights(), [np.array(each) for each in optimizer.variables]
    _fit(tft.federated.FedAvg(model), given, rounds=2)
    wanted = gradient_step(gradient_step(before, *given[0]), *given[0])
    np.testing.assert_allclose(model.get_weights()[0], wanted[0], rtol=1e-5)
    assert model.optimizer is optimizer
    for after, was in zip(optimizer.variables, momenta, strict=True):
        np.testing.assert_array_equal(after, was)
    model.fit(*given[0], verbose=0)


def test_optimizer_and_rates_are_arguments():
    model, given = linear(keras.optimizers.Adam(0.5)), clients(4, 4)
    before = model.get_weights()
    half = tft.federated.FedAvg(
        model, client_optimizer=keras.optimizers.SGD(9.0), learning_rate=tft.schedules.linear(0.1, 0.0),
        server_learning_rate=0.5,
    )  # fmt: skip
    _fit(half, given, rounds=2)
    for rate in (0.1, 0.05):
        ends = [gradient_step(before, *client, rate) for client in given]
        before = [old + 0.5 * (np.mean(new, axis=0) - old) for old, *new in zip(before, *ends, strict=True)]
    np.testing.assert_allclose(model.get_weights()[0], before[0], rtol=1e-5)
    decaying = keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))
    with pytest.raises(ValueError, match="begins anew in each round"):
        tft.federated.FedAvg(linear(decaying), learning_rate=0.1)


def test_fed_prox_without_mu_is_fed_avg_and_a_large_mu_stays_near():
    given, moved = clients(6, 9), {}
    for mu in (None, 0.0, 1.0, 4.0):
        model = linear()
        before = model.get_weights()[0]
        server = tft.federated.FedAvg(model) if mu is None else tft.federated.FedProx(model, mu=mu)
        history = _fit(server, given, local_epochs=20).history
        moved[mu] = model.get_weights()[0] - before
    np.testing.assert_allclose(moved[0.0], moved[None], rtol=1e-5)
    norms = [np.linalg.norm(moved[mu]) for mu in (0.0, 1.0, 4.0)]
    assert norms[0] > 1.3 * norms[1] and norms[1] > 1.3 * norms[2]
    np.testing.assert_allclose(history["loss"], np.add(history["compiled_loss"], history["proximal_loss"]), rtol=1e-5)
    assert history["proximal_loss"][0] > 0


def test_the_proximal_gradient_is_mu_times_the_distance_to_the_weights_of_the_round():
    """Two rounds of two steps, since the anchors have to move with the server."""
    model, (x, y) = linear(), data(6)
    weights = [np.asarray(weight, "float64") for weight in model.get_weights()]
    _fit(tft.federated.FedProx(model, mu=0.7), [(x, y)], rounds=2, local_epochs=2)
    for _ in range(2):
        anchors = weights
        for _ in range(2):
            plain = gradient_step(weights, x, y)
            weights = [new - 0.1 * 0.7 * (old - anchor) for new, old, anchor in zip(plain, weights, anchors)]
    for found, wanted in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_fed_adam_is_the_update_of_the_paper():
    model, given = linear(), clients(4, 4)
    weights = [np.asarray(weight, "float64") for weight in model.get_weights()]
    options = {"server_learning_rate": 0.2, "beta_1": 0.8, "beta_2": 0.9, "tau": 0.01}
    _fit(tft.federated.FedAdam(model, **options), given, rounds=3)
    first, second = [0.0, 0.0], [1e-4, 1e-4]
    for _ in range(3):
        ends = [gradient_step(weights, *client) for client in given]
        change = [np.mean(new, axis=0) - old for old, *new in zip(weights, *ends, strict=True)]
        first = [0.8 * m + 0.2 * d for m, d in zip(first, change, strict=True)]
        second = [0.9 * v + 0.1 * d**2 for v, d in zip(second, change, strict=True)]
        weights = [w + 0.2 * m / (np.sqrt(v) + 0.01) for w, m, v in zip(weights, first, second, strict=True)]
    for found, wanted in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.slow
def test_streams_and_functions_are_clients_too_and_weights_of_examples_count():
    x, y = data(6)
    weight = np.array([0, 0, 0, 2, 2, 2], "float32")
    kinds = {
        "arrays": [(x, y, weight)],
        "stream": [tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(6)],
        "lazy": {"alice": lambda: (x, y, weight)},
    }
    kernels = {}
    for kind, given in kinds.items():
        model = linear()
        _fit(tft.federated.FedAvg(model), given)
        kernels[kind] = model.get_weights()[0]
    wanted = gradient_step(linear().get_weights(), x[3:], y[3:])[0]
    for kind, kernel in kernels.items():
        np.testing.assert_allclose(kernel, wanted, rtol=1e-5, err_msg=kind)


def test_the_step_of_a_client_is_traced_once():
    calls = []

    class Counting(keras.layers.Layer):
        def call(self, x):
            calls.append(1)
            return x

    model = keras.Sequential([keras.Input((3,)), Counting(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    traced = []
    for sizes in ((5,), (5, 9, 7, 30)):
        calls.clear()
        _fit(tft.federated.FedAvg(model), clients(*sizes), rounds=2, batch_size=4, validation_data=data(3))
        traced.append(len(calls))
    # Once for the clients, once for the validation; the first time Keras builds the metrics besides.
    assert traced == [3, 2]


def test_history_has_means_over_examples_counts_and_the_validation_of_the_server():
    model, given = network(dropout=0.3), clients(4, 12)
    given = [(x, (y[:, 0] > 0).astype("int64")) for x, y in given]
    server = tft.federated.FedAvg(model)
    history = _fit(server, given, rounds=2, validation_data=given[0])
    assert history.epoch == [0, 1]
    assert set(history.history) == {
        "accuracy", "clients", "dropped", "loss", "refused", "val_accuracy", "val_loss"
    }  # fmt: skip
    loss, accuracy = model.evaluate(*given[0], verbose=0)
    np.testing.assert_allclose([history.history["val_loss"][-1], history.history["val_accuracy"][-1]], [loss, accuracy])
    assert server.evaluate(given[0]) == pytest.approx({"loss": loss, "accuracy": accuracy})
    assert server.participation == [{"clients": [0, 1], "dropped": [], "refused": []}] * 2
    # One client's accuracy counts a third of the other's.
    single = [_fit(tft.federated.FedAvg(network()), [each]).history["accuracy"][0] for each in given]
    both = _fit(tft.federated.FedAvg(network()), given).history["accuracy"][0]
    assert both == pytest.approx((4 * single[0] + 12 * single[1]) / 16)


def test_the_seed_decides_who_is_drawn_the_order_and_dropout():
    given = [(x, (y[:, 0] > 0).astype("int64")) for x, y in clients(*[8] * 6)]

    def run(seed):
        model = network(dropout=0.5)
        server = tft.federated.FedAvg(model)
        _fit(server, given, rounds=4, clients_per_round=2, batch_size=4, seed=seed)
        return model.get_weights()[0], [each["clients"] for each in server.participation]

    (one, drawn), (again, drawn_again), (other, others) = run(1), run(1), run(2)
    np.testing.assert_array_equal(one, again)
    assert drawn == drawn_again != others and not np.array_equal(one, other)
    assert all(len(set(each)) == 2 for each in drawn) and len({client for each in drawn for client in each}) > 2


def test_callbacks_see_rounds_as_epochs_and_can_stop():
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=1e9)
    history = _fit(
        tft.federated.FedAvg(linear()), clients(4, 4), rounds=9, validation_data=data(5), callbacks=[stop]
    )  # fmt: skip
    assert history.epoch == [0, 1]


def test_what_can_not_be_federated_is_refused():
    server = tft.federated.FedAvg(linear())
    with pytest.raises(TypeError, match=r"clients\[0\] must be arrays"):
        _fit(server, data(4))
    with pytest.raises(ValueError, match="from 1 to 2"):
        _fit(server, clients(3, 3), clients_per_round=3)
    with pytest.raises(ValueError, match="is empty"):
        _fit(server, [])
    with pytest.raises(ValueError, match="not compiled"):
        tft.federated.FedAvg(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
    frozen = linear()
    frozen.trainable = False
    with pytest.raises(ValueError, match="no weights left"):
        tft.federated.FedAvg(frozen)
