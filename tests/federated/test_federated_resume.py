"""A run that was stopped goes on, and ends bit for bit as it would have; many clients take the memory of few."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from federated_toys import linear, network, opposed

import tf_transfer as tft

HERE = Path(__file__).parent


def run(folder, stop_at=None, how=None, personal_folder=None):
    """Returns the history and the weights of all, after a run that stops at the n-th client if told so."""
    calls = []

    def lazy(client):
        def examples():
            calls.append(client)
            if len(calls) == stop_at:
                how()
            return opposed()[client]

        return examples

    model = network(batch_norm=True, dropout=0.4)
    model.optimizer = keras.optimizers.SGD(0.2, momentum=0.9)
    server = tft.federated.FedAdam(model, personal="head", personal_folder=personal_folder)
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=9)
    history = server.fit(
        [lazy(client) for client in range(4)], 5, clients_per_round=3, local_epochs=2, batch_size=7, seed=4, verbose=0,
        resume=folder, callbacks=[stop],
    )  # fmt: skip
    own = [array for client in range(4) for array in server.personal_states.get(client)]
    return history, [*model.get_weights(), *own, *server.slots], server.participation, stop.best


def _interrupt():
    raise KeyboardInterrupt


def _equal(one, other):
    assert one[0].history == other[0].history and one[0].epoch == other[0].epoch
    assert one[2:] == other[2:]
    for left, right in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("on_disk", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_interrupted_run_ends_as_an_unbroken_one(tmp_path, on_disk):
    places = [tmp_path / name if on_disk else None for name in ("whole", "broken")]
    whole = run(None, personal_folder=places[0])
    # In the middle of the first round, and, three clients a round, of the fourth.
    for stop_at in (2, 11):
        with pytest.raises(KeyboardInterrupt, match="the same call goes on from there"):
            run(tmp_path / "state", stop_at, _interrupt, places[1])
    _equal(run(tmp_path / "state", personal_folder=places[1]), whole)
    assert not (tmp_path / "state").exists()


def test_another_run_is_refused(tmp_path):
    def fit(seed, *, stop, **options):
        server = tft.federated.FedAvg(linear(), **options)
        given = [_interrupt if stop else (np.ones((2, 3)), np.ones((2, 1)))]
        return server.fit(given, seed=seed, resume=tmp_path / "state", verbose=0)

    with pytest.raises(KeyboardInterrupt):
        fit(1, stop=True)
    with pytest.raises(ValueError, match="seed was 1 and is 2"):
        fit(2, stop=False)
    with pytest.raises(ValueError, match="clip_norm was None and is 1"):
        fit(1, stop=False, clip_norm=1.0)
    fit(1, stop=False)


def test_memory_does_not_grow_with_the_number_of_clients():
    """100 clients with 3 MB of examples and updates of 2 MB: 500 MB if anything of them were kept."""
    resident = []

    def examples():
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
        resident.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        return np.ones((500, 1000), "float32"), np.ones((500, 500), "float32")

    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(500)])
    model.compile(keras.optimizers.SGD(1e-4), "mse")
    tft.federated.FedAvg(model).fit([examples] * 100, batch_size=500, verbose=0)
    assert max(resident[30:]) - resident[30] < 60, f"{resident[30]:.0f} MB grew to {max(resident):.0f} MB"


def _run_alone(folder, out, stop_at):
    script = (
        "import json, os, signal, sys\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from test_federated_resume import run\n"
        f"kill = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"history, arrays, *_ = run({str(folder)!r}, {stop_at!r}, kill)\n"
        "import numpy as np\n"
        f"np.savez({str(out)!r}, *arrays)\n"
        "print(json.dumps(history.history))\n"
    )
    path = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_a_killed_process_goes_on_and_ends_bit_for_bit_as_an_unbroken_one(tmp_path):
    code, *_ = _run_alone(tmp_path / "state", tmp_path / "none.npz", 8)
    assert code == -signal.SIGKILL
    found = []
    for name, folder in (("broken", tmp_path / "state"), ("whole", tmp_path / "other")):
        code, out, errors = _run_alone(folder, tmp_path / f"{name}.npz", None)
        assert code == 0, errors
        with np.load(tmp_path / f"{name}.npz") as stored:
            found.append((json.loads(out.splitlines()[-1]), [stored[key] for key in stored.files]))
    assert found[0][0] == found[1][0]
    for left, right in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(left, right)
