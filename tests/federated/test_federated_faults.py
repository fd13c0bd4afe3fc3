"""Clients that fail, send NaN or have nothing: the round goes on without them, and says so."""

import numpy as np
import pytest
from federated_toys import clients, data, gradient_step, linear

import tf_transfer as tft


def _failing():
    raise ConnectionError("no answer")


def _fit(server, given, **options):
    return server.fit(given, verbose=0, **{"seed": 0, "batch_size": 64, **options})


def _exploding():
    x, y = data(4)
    return x, y * 1e30


def test_a_round_goes_on_without_those_that_fail_or_send_nan():
    good = clients(4, 8)
    given = {
        "good": good[0],
        "gone": _failing,
        "wild": _exploding,
        "also good": good[1],
        "odd": (np.eye(2), np.ones(2)),
    }
    model = linear()
    before = model.get_weights()
    server = tft.federated.FedAvg(model)
    with pytest.warns(UserWarning) as caught:
        history = _fit(server, given).history
    ends = [gradient_step(before, *client) for client in good]
    np.testing.assert_allclose(model.get_weights()[0], (4 * ends[0][0] + 8 * ends[1][0]) / 12, rtol=1e-5)
    assert server.participation == [{"clients": ["good", "also good"], "dropped": ["gone", "odd"], "refused": ["wild"]}]
    assert [history[name] for name in ("clients", "dropped", "refused")] == [[2.0], [2.0], [1.0]]
    assert np.isfinite(history["loss"][0])
    said = [str(each.message) for each in caught]
    assert any("'gone': ConnectionError: no answer" in each for each in said)
    assert any("refused what client 'wild' sent" in each for each in said)


def test_a_round_with_nobody_left_keeps_the_weights():
    model, calls = linear(), []

    def once():
        calls.append(1)
        return data(4) if len(calls) == 1 else _failing()

    server = tft.federated.FedAvg(model)
    with pytest.warns(UserWarning, match="Round 2 had no client left"):
        history = _fit(server, [once], rounds=2).history
    np.testing.assert_allclose(model.get_weights()[0], gradient_step(linear().get_weights(), *data(4))[0], rtol=1e-5)
    assert history["clients"] == [1.0, 0.0] and np.isnan(history["loss"][1])


def test_a_run_that_nobody_ever_took_part_in_is_an_error_with_its_cause():
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="no answer"):
        _fit(tft.federated.FedAvg(linear()), [_failing, _failing], rounds=2)


def test_a_client_that_breaks_off_half_way_leaves_nothing_behind():
    """A label that the loss refuses, in the last batch."""
    import keras

    def model():
        made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_initializer="zeros")])
        made.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
        return made

    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    good, bad = (x, np.arange(8) % 2), (x, np.arange(8) % 2, np.ones((8, 7, 7), "float32"))
    alone, both = model(), model()
    _fit(tft.federated.FedAvg(alone), [good], batch_size=2)
    with pytest.warns(UserWarning, match="goes on without client 1"):
        _fit(tft.federated.FedAvg(both), [good, bad], batch_size=2)
    np.testing.assert_array_equal(alone.get_weights()[0], both.get_weights()[0])


def test_an_interrupt_leaves_the_weights_of_the_last_round():
    model = linear()

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fit(tft.federated.FedAvg(model), [data(4), interrupt], rounds=2)
    np.testing.assert_array_equal(model.get_weights()[0], linear().get_weights()[0])


def test_an_empty_stream_is_left_out():
    import tensorflow as tf

    x, y = data(4)
    nothing = tf.data.Dataset.from_tensor_slices((x, y)).filter(lambda *_: False).batch(2)
    with pytest.warns(UserWarning, match="no examples"):
        history = _fit(tft.federated.FedAvg(linear()), [(x, y), nothing]).history
    assert history["dropped"] == [1.0] and history["clients"] == [1.0]
