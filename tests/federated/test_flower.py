"""Real machines by Flower: a server and clients as processes on loopback. Needs the extra `federated`."""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from federated_toys import network, opposed

import tf_transfer as tft

sys.path.insert(0, str(Path(__file__).parents[1] / "distribution"))
from worker_processes import finish, free_ports, start

needs_flower = pytest.mark.skipif(
    importlib.util.find_spec("flwr") is None,
    reason="needs flwr, which has an environment of its own: make test-federated",
)

SERVER = """
    import json, sys
    import flwr, numpy as np
    import test_flower as here
    port, out, kind = sys.argv[1:]
    server = here.server(kind)
    strategy = here.strategy(server, kind)
    # A machine that is merely slow must not count as one that is late.
    timeout = 20.0 if kind == "late" else 120.0
    config = flwr.server.ServerConfig(num_rounds=here.ROUNDS, round_timeout=timeout)
    flwr.server.start_server(server_address=f"127.0.0.1:{port}", config=config, strategy=strategy)
    np.savez(out, *server.model.get_weights())
    print("HISTORY " + json.dumps(strategy.history))
"""
CLIENT = """
    import os, sys
    import flwr
    import test_flower as here
    port, number, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    client = here.client(number, kind)
    flwr.client.start_client(server_address=f"127.0.0.1:{port}", client=client, max_retries=30)
"""
ROUNDS, OPTIONS = 3, {"local_epochs": 2, "batch_size": 8, "seed": 5}


def server(kind):
    if kind == "personal":
        model = network(batch_norm=True, dropout=0.3)
        return tft.federated.FedProx(model, 0.1, personal="head", learning_rate=tft.schedules.linear(0.3, 0.1))
    return tft.federated.FedAdam(network(), clip_norm=0.5) if kind == "adam" else tft.federated.FedAvg(network())


def strategy(made, kind):
    clients = 4 if kind == "faults" else 2
    scored = None if kind == "personal" else opposed(1)[0]
    return tft.federated.flower_strategy(made, ROUNDS, clients, validation_data=scored, **OPTIONS)


def client(number, kind):
    """Of "faults", client 1 always fails, 2 sends NaN, and 3 is gone in the second round; client 1 of "late" sleeps."""
    x, y = opposed(4)[number]
    calls = []

    def given():
        calls.append(1)
        if kind == "faults" and number == 1:
            raise OSError("the disk is gone")
        if kind == "faults" and number == 3 and len(calls) == 2:
            os._exit(1)
        if kind == "late" and number == 1 and len(calls) == 2:
            time.sleep(45)
        return x, y

    made = server(kind)
    if kind == "faults" and number == 2:
        made = tft.federated.FedAvg(network(), client_optimizer=keras.optimizers.SGD(3e38))
    return tft.federated.flower_client(made, given, number, validation_data=(x, y))


def _federate(kind, numbers, tmp_path):
    (port,) = free_ports(1)
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    quiet = {"PYTHONPATH": path, "FLWR_TELEMETRY_ENABLED": "0"}
    out = tmp_path / "weights.npz"
    processes = [start(SERVER, port, out, kind, **quiet)]
    processes += [start(CLIENT, port, number, kind, **quiet) for number in numbers]
    found = finish(processes, 300)
    assert found[0][0] == 0, found[0][2][-3000:]
    history = next(line for line in found[0][1].splitlines() if line.startswith("HISTORY "))
    with np.load(out) as stored:
        return json.loads(history.removeprefix("HISTORY ")), [stored[name] for name in stored.files]


@needs_flower
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["personal", "adam"])
def test_machines_learn_what_a_simulation_does(kind, tmp_path):
    history, weights = _federate(kind, [0, 1], tmp_path)
    made, given = server(kind), opposed(2)
    scored = given if kind == "personal" else opposed(1)[0]
    simulated = made.fit(given, ROUNDS, validation_data=scored, verbose=0, **OPTIONS).history
    for found, wanted in zip(weights, made.model.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert set(history) == set(simulated)
    for name, values in simulated.items():
        np.testing.assert_allclose(history[name], values, atol=5e-5, err_msg=name)


@needs_flower
@pytest.mark.slow
def test_machines_that_fail_send_nan_or_go_do_not_stop_a_round(tmp_path):
    history, weights = _federate("faults", [0, 1, 2, 3], tmp_path)
    assert history["clients"] == [2, 1, 1]
    assert history["dropped"] == [1, 2, 1] and history["refused"] == [1, 1, 1]
    assert all(np.isfinite(array).all() for array in weights) and np.isfinite(history["val_loss"]).all()


@needs_flower
@pytest.mark.slow
def test_a_machine_that_is_late_is_not_waited_for(tmp_path):
    history, weights = _federate("late", [0, 1], tmp_path)
    assert history["clients"][:2] == [2, 1] and history["dropped"][1] == 1
    assert all(np.isfinite(array).all() for array in weights)


def test_without_flower_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "flwr", None)
    for make in (lambda: tft.federated.flower_client(server("plain"), opposed(1)[0]),
                 lambda: tft.federated.flower_strategy(server("plain"), 1, 1)):  # fmt: skip
        with pytest.raises(ImportError, match=r"pip install 'tf-transfer\[federated\]'"):
            make()
