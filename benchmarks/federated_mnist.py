"""Federated MNIST: 100 clients, 10 a round; rounds until the server's model has 97 % of the test digits right.

    python benchmarks/federated_mnist.py

The 60,000 training digits are dealt out alike ("iid") or in two shards a client of digits sorted by label ("shards", as
McMahan et al. 2017): most clients know two digits. A client makes one pass over its 600 digits in batches of 10 with
SGD. A small CNN of 54,314 weights, on pixels in [0, 1]. A run ends at 97 %, or after ROUNDS; the curve is stored.

"USPS" starts from the same network trained on the 7,291 labelled USPS digits, resized to the 20 x 20 frame that MNIST's
digits fill and padded to 28 x 28: no label of MNIST is in it, but the classes are the same.

The learning rate of each split, and the mu of FedProx by the clients with shards, were chosen first: by 20 or 50 rounds
with another seed on 50,000 of the training digits, and the accuracy on the other 10,000 (mean of the last 5 rounds).
These are the rows with "choice". Test labels chose nothing.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from common import Results, arguments

import tf_transfer as tft
from tf_transfer.backbones import reinitialize

CLIENTS, PER_ROUND, BATCH, GOAL = 100, 10, 10, 0.97
ROUNDS = {"iid": 100, "shards": 300}
RATES, MUS = (0.05, 0.1, 0.2), (0.01, 0.1, 1.0)
CHOICE_ROUNDS, CHOICE_SEED, HELD_OUT = {"iid": 20, "shards": 50}, 100, 10_000
SKEW = {"iid": None, "shards": "shards"}


class StopAtGoal(keras.callbacks.Callback):
    """Ends a run in the round that reaches the goal."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = logs["val_accuracy"] >= GOAL


def load(folder):
    """Returns the training and the test digits of MNIST, and the training digits of USPS, float32 in [0, 1]."""
    mnist = np.load(Path(folder) / "mnist" / "mnist.npz")
    usps = np.load(Path(folder) / "usps" / "usps.npz")
    framed = tf.image.resize(usps["x_train"][..., None].astype("float32"), (20, 20)).numpy()
    pairs = [(mnist[f"x_{part}"][..., None], mnist[f"y_{part}"]) for part in ("train", "test")]
    pairs.append((np.pad(framed, ((0, 0), (4, 4), (4, 4), (0, 0))), usps["y_train"]))
    return [(x.astype("float32") / 255, y.astype("int64")) for x, y in pairs]


def network(seed, rate):
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(8, 5, 2, padding="same", activation="relu"),
        layers.Conv2D(16, 5, 2, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ])  # fmt: skip
    reinitialize(model, seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"])
    return model


def pretrained(seed, rate, usps):
    """Returns the network after ten epochs on USPS."""
    model = network(seed, 0.1)
    stream = tft.data.as_dataset(usps, batch_size=32, shuffle=True, seed=seed)
    model.fit(stream, epochs=10, verbose=0, shuffle=False)
    start = network(seed, rate)
    start.set_weights(model.get_weights())
    return start


def run(model, mu, split, data, scored, rounds, seed, callbacks=()):
    x, y = data
    parts = tft.data.partition_clients(y, CLIENTS, SKEW[split], seed=seed)
    clients = [(x[part], y[part]) for part in parts]
    server = tft.federated.FedProx(model, mu) if mu else tft.federated.FedAvg(model)
    history = server.fit(
        clients, rounds, clients_per_round=PER_ROUND, batch_size=BATCH, validation_data=scored, seed=seed, verbose=0,
        callbacks=list(callbacks),
    )  # fmt: skip
    return [round(value, 4) for value in history.history["val_accuracy"]]


def choice(split, rate, mu, train):
    part = [(each[:-HELD_OUT], each[-HELD_OUT:]) for each in train]
    data, held_out = zip(*part, strict=True)
    curve = run(network(CHOICE_SEED, rate), mu, split, data, held_out, CHOICE_ROUNDS[split], CHOICE_SEED)
    return {"held_out_accuracy": round(float(np.mean(curve[-5:])), 4), "curve": curve}


def chosen(results, train):
    """Returns the learning rate of each split, and the mu of FedProx, measured unless they are stored."""

    def score(split, rate, mu):
        key = {"choice": split, "learning_rate": rate, "mu": mu}
        return results.run(key, lambda: choice(split, rate, mu, train))["held_out_accuracy"]

    rates = {split: max(RATES, key=lambda each: score(split, each, 0.0)) for split in SKEW}
    return rates, max(MUS, key=lambda each: score("shards", rates["shards"], each))


def measure(split, mu, start, seed, rate, train, test, usps, rounds):
    model = network(seed, rate) if start == "random" else pretrained(seed, rate, usps)
    before = round(model.evaluate(*test, batch_size=500, verbose=0)[1], 4)
    curve = run(model, mu, split, train, test, rounds, seed, [StopAtGoal()])
    reached = len(curve) if curve[-1] >= GOAL else None
    figures = {"rounds_to_97": reached, "accuracy_before": before, "accuracy": curve[-1], "best": max(curve)}
    return {**figures, "learning_rate": rate, "mu": mu, "rounds": rounds, "curve": curve}


def main():
    options = arguments(__doc__)
    results = Results("federated_mnist", options.anew)
    train, test, usps = load(options.data)
    rates, mu = chosen(results, train)
    for seed in options.seeds:
        for split, rate in rates.items():
            for start in ("random", "USPS"):
                for method, weight in (("FedAvg", 0.0), ("FedProx", mu)):
                    key = {"split": split, "method": method, "start": start, "seed": seed}
                    results.run(
                        key,
                        lambda: measure(split, weight, start, seed, rate, train, test, usps, ROUNDS[split]),  # noqa: B023
                    )


if __name__ == "__main__":
    main()
