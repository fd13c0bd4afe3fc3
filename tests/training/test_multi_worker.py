"""Two worker processes train as one device does, on what one device gets; each training in processes of its own."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tf_transfer as tft

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent / "distribution"))
from worker_processes import finish, run_workers, start  # noqa: E402

SCRIPT = "import runpy; runpy.run_path({!r}, run_name='__main__')".format(str(_HERE / "training_runs.py"))


def train(kind, names, folder):
    if kind == "multi_worker":
        return run_workers(SCRIPT, kind, names, folder, timeout=900)
    [(code, output, errors)] = finish([start(SCRIPT, kind, names, folder, TF_CONFIG=None)], 900)
    assert code == 0, errors[-3000:]
    return [output]


def stored(folder, kind, name, worker=0):
    place = f"{folder / kind}_{name}_{worker}"
    return dict(np.load(f"{place}.npz")), json.loads(Path(f"{place}.json").read_text())


def assert_same(one, other, tolerance=1e-5, what="history"):
    (weights, logs), (others, other_logs) = one, other
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        np.testing.assert_allclose(others[name], value, rtol=0, atol=tolerance, err_msg=name)
    for part in (what, "scores"):
        assert logs[part].keys() == other_logs[part].keys()
        for name, value in logs[part].items():
            np.testing.assert_allclose(other_logs[part][name], value, rtol=tolerance, atol=tolerance, err_msg=name)


def compare(names, folder, kinds):
    for kind in ("one_device", *kinds):
        train(kind, ",".join(names), folder)
    for name in names:
        alone = stored(folder, "one_device", name)
        assert_moved(alone[0])
        for kind in kinds:
            assert_same(alone, stored(folder, kind, name))
            if kind == "multi_worker":
                assert_same(stored(folder, kind, name), stored(folder, kind, name, worker=1), tolerance=0)


def assert_moved(weights):
    assert max(np.abs(value).max() for value in weights.values()) > 0.01


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fast")
    compare(["builder_model", "dann"], folder, ["multi_worker"])
    return folder


def test_two_workers_train_as_one_device(fast):
    """Uneven last batches, weights of classes, validation and predictions included: see `training_runs.py`."""
    assert (fast / "multi_worker_dann.keras").exists()


def test_what_is_saved_is_the_plain_model(fast):
    model = keras.models.load_model(fast / "multi_worker_builder_model.keras")
    assert type(model).__name__ == "Functional"
    weights, _ = stored(fast, "multi_worker", "builder_model")
    for number, value in enumerate(model.get_weights()):
        np.testing.assert_array_equal(value, weights[f"{number:03}"])
    # Keras' own slots and step come along: six steps were made.
    assert int(model.optimizer.iterations) == 6


@pytest.mark.slow
def test_methods_and_streams_on_two_workers(tmp_path):
    compare(["distiller", "streams", "fine_tune", "adapters"], tmp_path, ["multi_worker"])


@pytest.mark.slow
def test_many_tasks_and_pairs_on_two_workers(tmp_path):
    """Tasks of which some labels are missing, and pairs that are compared with those of the other worker."""
    compare(["many_tasks", "contrastive"], tmp_path, ["multi_worker"])


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path, monkeypatch):
    monkeypatch.setenv("NUM_EVALUATED", "12")
    compare(["dann", "distiller", "fine_tune"], tmp_path, ["mirrored"])


@pytest.mark.slow
def test_a_batch_with_fewer_examples_than_replicas(tmp_path):
    for kind in ("one_device", "multi_worker"):
        train(kind, "leftover", tmp_path)
    one, two = (stored(tmp_path, kind, "leftover") for kind in ("one_device", "multi_worker"))
    for name, value in one[0].items():
        np.testing.assert_allclose(two[0][name], value, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_batch_statistics_are_those_of_replicas_and_saved_as_their_mean(tmp_path, monkeypatch):
    # Of 13 Keras would leave one for two devices, and normalize an empty batch.
    monkeypatch.setenv("NUM_EVALUATED", "12")
    train("multi_worker", "normalized", tmp_path)
    train("mirrored", "normalized", tmp_path)
    (first, scores), (second, others) = (stored(tmp_path, "multi_worker", "normalized", worker) for worker in (0, 1))
    saved = keras.models.load_model(tmp_path / "multi_worker_normalized.keras")
    for number, value in enumerate(saved.get_weights()):
        np.testing.assert_array_equal(first[f"{number:03}"], value)
        np.testing.assert_array_equal(second[f"{number:03}"], value)
    assert scores == others
    # Two devices of one machine learn the same from the same parts; their moving statistics stay apart there.
    mirrored, _ = stored(tmp_path, "mirrored", "normalized")
    moving = [number for number, each in enumerate(saved.weights) if "moving" in each.path]
    for number in set(range(len(saved.weights))) - set(moving):
        np.testing.assert_allclose(first[f"{number:03}"], mirrored[f"{number:03}"], atol=1e-5)
    assert len(moving) == 2


PLAIN = """
    import tf_transfer as tft
    strategy = tft.distribution.strategy("multi_worker", timeout=500)
    import keras, numpy as np
    with strategy.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    x = np.ones((8, 2), "float32")
    try:
        model.fit(x, x[:, :1], batch_size=4, verbose=0)
        print("works")
    except (ValueError, TypeError, RuntimeError) as error:
        print("fails")
    import tensorflow as tf
    with strategy.scope():
        ours = tft.training.as_multi_worker(model)
    own = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).shuffle(8).map(
        lambda a, b: (a, b * tf.random.uniform(()))).batch(4)
    try:
        ours.fit(own, verbose=0)
    except ValueError as error:
        print("differ" if "differ in their first batch" in str(error) else error)
    ours.save("never/mind.keras") if not tft.distribution.is_chief(strategy) else ours.save("kept.keras")
"""


@pytest.mark.slow
def test_plain_keras_still_fails_on_several_workers(tmp_path, monkeypatch):
    """When this turns red Keras has mended keras#20585: `MultiWorkerTraining._make_function` is no longer needed."""
    monkeypatch.chdir(tmp_path)
    chief, other = run_workers(PLAIN)
    assert chief.splitlines()[-2:] == ["fails", "differ"]
    assert other.splitlines()[-3:-1] == ["fails", "differ"]
    assert other.splitlines()[-1] == "never/mind.keras: Worker 1 writes nothing; the chief, worker 0, does."
    assert os.listdir(tmp_path) == ["kept.keras"]


def test_elsewhere_a_model_stays_what_it_is():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert tft.training.as_multi_worker(model) is model and tft.training.plain_model(model) is model
