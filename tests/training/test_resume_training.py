"""A training that ends in the middle of an epoch and starts again comes out as one that was never stopped."""

import os
import signal
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import tf_transfer as tft

sys.path.insert(0, str(Path(__file__).parents[1] / "distribution"))
from worker_processes import finish, free_ports, start, tf_config

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 5)).astype("float32"), np.arange(24) % 3


class Stop(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


def drawn(seed):
    return keras.initializers.GlorotUniform(seed)


def network(units=4):
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(units, "relu", kernel_initializer=drawn(1)),
            keras.layers.Dropout(0.5, seed=3),
            keras.layers.Dense(3, "softmax", kernel_initializer=drawn(2)),
        ]
    )


def fit(model, *callbacks):
    model.compile("adam", "sparse_categorical_crossentropy")
    return model.fit(X, Y, batch_size=8, epochs=4, shuffle=False, verbose=0, callbacks=[*callbacks]).history


def test_the_interrupted_training_ends_with_the_same_weights(tmp_path, capsys):
    whole = network()
    fit(whole)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), tft.training.ResumeTraining(tmp_path / "state"), Stop(2, 1))
    again, resume = network(), tft.training.ResumeTraining(tmp_path / "state")
    assert len(fit(again, resume)["loss"]) == 4 and resume.first_epoch == 2
    assert "goes on at epoch 3" in capsys.readouterr().out
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6)
    assert not (tmp_path / "state").exists()
    assert len(fit(again)["loss"]) == 4


@pytest.mark.slow
def test_a_method_resumes_with_its_progress_and_its_opponent(tmp_path):
    def adversarial():
        encoder = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, kernel_initializer=drawn(1))])
        head = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax", kernel_initializer=drawn(2))])
        model = tft.WDGRL(encoder, head, seed=0)
        model.compile(keras.optimizers.SGD(0.003, momentum=0.9), "sparse_categorical_crossentropy")
        return model

    def train(model, *callbacks):
        pairs = tft.data.pair_domains((X, Y), -X, batch_size=8, shuffle=False)
        model.fit(pairs, epochs=4, verbose=0, callbacks=[*callbacks])
        return model.get_weights()

    whole = train(adversarial())
    with pytest.raises(KeyboardInterrupt):
        train(adversarial(), tft.training.ResumeTraining(tmp_path, verbose=0), Stop(1, 1))
    for one, other in zip(whole, train(adversarial(), tft.training.ResumeTraining(tmp_path, verbose=0)), strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6)


def test_the_folder_of_another_model_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(network(), tft.training.ResumeTraining(tmp_path, verbose=0), Stop(1, 0))
    with pytest.raises(ValueError, match="another model"):
        fit(network(units=6), tft.training.ResumeTraining(tmp_path, verbose=0))


WORKER = """
    import sys, time
    import tf_transfer as tft
    strategy = tft.distribution.strategy("multi_worker", timeout=500)
    import keras, numpy as np
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 5)).astype("float32"), np.arange(24) % 3
    folder, slow = sys.argv[1], sys.argv[2] == "slow"
    with strategy.scope():
        model = tft.training.as_multi_worker(keras.Sequential([
            keras.Input((5,)), keras.layers.Dense(4, "relu", kernel_initializer=keras.initializers.GlorotUniform(1)),
            keras.layers.BatchNormalization(), keras.layers.Dense(3, "softmax", kernel_initializer="zeros")]))
        model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")

    class Tell(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if slow and self.epoch == 2 and batch == 1:
                # The place where the test ends one of the two.
                print("in the middle of epoch 3", flush=True)
                time.sleep(600 if not tft.distribution.is_chief(strategy) else 0)
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

    # Arrays are shuffled, by an order that follows from the epoch.
    model.fit(x, y, batch_size=8, epochs=4, verbose=0,
              callbacks=[tft.training.ResumeTraining(folder + "/state"), Tell()])
    np.savez(folder + "/" + sys.argv[3] + str(int(not tft.distribution.is_chief(strategy))), *model.get_weights())
    print("done", flush=True)
"""


def workers(*arguments):
    ports = free_ports(2)
    return [start(WORKER, *arguments, TF_CONFIG=tf_config(ports, index)) for index in range(2)]


@pytest.mark.slow
def test_a_killed_worker_starts_again(tmp_path):
    whole = finish(workers(tmp_path, "fast", "whole"), 900)
    assert [code for code, _, _ in whole] == [0, 0], whole
    pair = workers(tmp_path, "slow", "never")
    for line in pair[1].stdout:
        if "in the middle" in line:
            break
    os.kill(pair[1].pid, signal.SIGKILL)
    begin = time.monotonic()
    [(survivor, _, errors), (killed, _, _)] = finish(pair, 900)
    # It neither waits for ever nor goes on alone.
    assert killed == -signal.SIGKILL and survivor != 0, errors
    assert time.monotonic() - begin < 600
    assert (tmp_path / "state" / "state.json").read_text().startswith('{"epoch": 2')
    again = finish(workers(tmp_path, "fast", "again"), 900)
    assert [code for code, _, _ in again] == [0, 0], again
    assert "Training goes on at epoch 3" in again[0][1] and "goes on" not in again[1][1]
    for worker in range(2):
        one, other = np.load(tmp_path / f"whole{worker}.npz"), np.load(tmp_path / f"again{worker}.npz")
        for name in one.files:
            np.testing.assert_allclose(other[name], one[name], rtol=0, atol=1e-6)
