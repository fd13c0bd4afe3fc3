"""Runs that are stopped, and started again with `resume`, leave what they would have left."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import warnings

import keras
import numpy as np
import pytest

import tf_transfer as tft
from tf_transfer.workflow import AdaptConfig, DistillConfig, TrainConfig, adapt, distill, train

RNG = np.random.default_rng(0)


class StopAt(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        # No plain number, which would be a part of the state.
        self.left = iter(range(step - 1))

    def on_train_batch_end(self, batch, logs=None):
        if next(self.left, None) is None:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images of two domains, a tiny backbone and a teacher."""
    folder = tmp_path_factory.mktemp("place")
    for domain in ("photos", "street"):
        for label, name in enumerate(("dark", "light")):
            os.makedirs(folder / domain / name)
            for number in range(8):
                image = RNG.normal(70 + 100 * label, 30, (16, 16, 3)).clip(0, 255)
                keras.utils.save_img(str(folder / domain / name / f"{number}.png"), image, scale=False)
    layers = [keras.layers.Conv2D(4, 5, strides=3, activation="relu"), keras.layers.BatchNormalization()]
    keras.Sequential([keras.Input((16, 16, 3)), *layers], name="tiny").save(folder / "tiny.keras")
    tft.ImageClassifier(num_classes=2, backbone=f"file:{folder}/tiny.keras").build().save(folder / "teacher.keras")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def train_config(place, **fields):
    fixed = {"images": place / "photos", "backbone": f"file:{place}/tiny.keras", "trainable": True, "image_size": 16}
    return TrainConfig.from_dict(
        {**fixed, "batch_size": 4, "dropout": 0.3, "freeze_epochs": 2, "epochs": 3, "layer_decay": 0.8, **fields}
    )


def adapt_config(place):
    fields = {"source": place / "photos", "target": place / "street", "backbone": f"file:{place}/tiny.keras"}
    fields |= {"image_size": 16, "batch_size": 4, "trainable": True, "dropout": 0.3, "source_epochs": 2, "epochs": 3}
    return AdaptConfig.from_dict({**fields, "method": "dann", "projection": "pca"})


def distill_config(place):
    fields = {"teacher": place / "teacher.keras", "student": f"file:{place}/tiny.keras", "images": place / "photos"}
    return DistillConfig.from_dict({**fields, "image_size": 16, "batch_size": 4, "compare_alone": True, "epochs": 3})


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def check_stops(run, config, folder, stops, read=lambda result: (result.model, result.history)):
    """Runs as a whole, and stopped; `read` gives a model and a history that are compared."""
    model, history = read(run(config, verbose=0))
    for step in stops:
        with pytest.raises(KeyboardInterrupt, match="the same call goes on"):
            run(config, verbose=0, callbacks=[StopAt(step)], resume=folder)
    found, found_history = read(run(config, verbose=0, resume=folder))
    assert same(found, model) and found_history == history and not os.path.exists(folder)


@pytest.mark.slow
def test_train(place, tmp_path):
    # 4 steps an epoch: in the first epoch of the head, and in the second of the whole model.
    check_stops(
        train,
        train_config(place),
        tmp_path / "state",
        [2, 13],
        lambda result: (result.model, {**result.history.history, "phases": result.history.phases}),
    )


@pytest.mark.slow
def test_adapt(place, tmp_path):
    check_stops(adapt, adapt_config(place), tmp_path / "state", [6], lambda result: (result.method, result.history))


@pytest.mark.slow
def test_distill(place, tmp_path):
    check_stops(distill, distill_config(place), tmp_path / "state", [5])


@pytest.mark.slow
def test_fine_tune_that_chooses_its_epochs(place, tmp_path):
    x, y = RNG.uniform(0, 255, (20, 16, 16, 3)).astype("float32"), np.arange(20) % 2

    def run(config, resume=None, callbacks=(), verbose=0):
        model = tft.ImageClassifier(num_classes=2, backbone=f"file:{place}/tiny.keras", seed=0).build()
        options = {"freeze_epochs": 2, "epochs": 2, "seed": 0, "batch_size": 8, "verbose": verbose}
        return model, tft.fine_tune(model, (x, y), callbacks=callbacks, resume=resume, unfreeze=True, **options).history

    check_stops(run, None, tmp_path / "state", [3, 5], lambda result: result)


def test_without_a_seed_fine_tune_can_not_go_on(place, tmp_path):
    model = tft.ImageClassifier(num_classes=2, backbone=f"file:{place}/tiny.keras").build()
    x, y = np.zeros((4, 16, 16, 3)), np.arange(4) % 2
    with pytest.raises(ValueError, match="`resume` needs a `seed`"):
        tft.fine_tune(model, (x, y), resume=tmp_path / "state")


def test_the_place_of_the_state_and_other_settings(place, tmp_path):
    config = train_config(place, save_model=tmp_path / "model.keras")
    with pytest.raises(KeyboardInterrupt, match=r"model\.keras\.resume"):
        train(config, verbose=0, callbacks=[StopAt(1)], resume=True)
    with pytest.raises(ValueError, match=r"other settings: dropout was 0\.3 and is 0\.4"):
        train(train_config(place, dropout=0.4, save_model=tmp_path / "model.keras"), verbose=0, resume=True)
    with pytest.raises(ValueError, match="leaves nothing beside which"):
        train(train_config(place), verbose=0, resume=True)


KILLED = """
    import os, signal, sys
    import keras, numpy as np, tensorflow as tf
    import tf_transfer as tft

    class Kill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)

    draw = keras.initializers.GlorotUniform
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, "relu", kernel_initializer=draw(1)),
                              keras.layers.Dropout(0.5, seed=3),
                              keras.layers.Dense(3, "softmax", kernel_initializer=draw(2))])
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    x, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3
    with tft.training.RunState(sys.argv[1], {}, verbose=0) as state:
        state.begin_with(model)
        stream = tft.data.as_dataset((x, y), batch_size=8, shuffle=True, seed=0)
        history = state.fit("only", model, stream, epochs=4, verbose=0, callbacks=[Kill()])
    print(history.history["loss"], [each.tolist() for each in model.get_weights()])
"""


def start(folder, step):
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder), str(step)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1"})


@pytest.mark.slow
def test_a_killed_process_goes_on(tmp_path):
    assert start(tmp_path / "state", 8).returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "state" / "only" / "state.json").read_text())["epoch"] == 2
    again, whole = start(tmp_path / "state", 0), start(tmp_path / "whole", 0)
    assert again.returncode == 0 and again.stdout == whole.stdout != "", again.stderr[-2000:]
    assert os.listdir(tmp_path) == []
