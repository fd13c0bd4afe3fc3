"""MNIST with 10 labels a class and the rest unlabelled: what each method makes of 59,000 images without labels.

    python benchmarks/mnist_semi_supervised.py

A network of three convolutions with batch normalization, 1,000 steps of 32 labelled and 96 unlabelled images, Adam
whose rate falls on a cosine. Weak: moved by up to two pixels. Strong: the recipe "cutout_no_flip". The 100 labelled
images are drawn anew for each seed; they are among the unlabelled ones, too. Accuracy is of the 10,000 test images.

What a method is free to choose (`CHOICES`) is chosen before, by the accuracy on 1,000 images of the training set that
no other run sees, with labelled images of a seed of their own. "supervised" has the labelled images alone, changed
weakly or strongly. A second table, `mnist_batch_statistics`, compares what batch normalization sees, for FixMatch.
"""

from pathlib import Path

import keras
import numpy as np
from common import Results, arguments

import tf_transfer as tft

STEPS, BATCH, RATIO, PER_CLASS, HELD_OUT = 1000, 32, 3, 10, 1000
VALIDATION_SEED = 100
CHOICES = {
    "supervised, weak": ({"rate": 3e-3}, {"rate": 1e-3}),
    "supervised, strong": ({"rate": 3e-3}, {"rate": 1e-3}),
    "pseudo-labels": ({"weight": 0.3}, {"weight": 1.0}, {"weight": 3.0}),
    "Mean Teacher": ({"weight": 5.0}, {"weight": 50.0}),
    "FixMatch": ({"threshold": 0.95}, {"threshold": 0.8}),
    "FlexMatch": ({"threshold": 0.95}, {"threshold": 0.8}, {"threshold": 0.95, "warm_up": False}),
}
POLICIES = ("joint", "interleaved", "separate", "labelled")


def network(seed):
    x = image = keras.Input((28, 28, 1), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.95)(x))
    x = keras.layers.Flatten()(x)
    return tft.backbones.reinitialize(keras.Model(image, keras.layers.Dense(10, name="logits")(x)), seed)


def split(data, seed):
    """Returns labelled images, unlabelled ones, and the ones held out, of the training set."""
    x, y = data["x_train"][..., None], data["y_train"].astype("int64")
    order = np.random.default_rng(12_345).permutation(len(x))
    held_out, rest = order[:HELD_OUT], order[HELD_OUT:]
    shuffled = np.random.default_rng(seed).permutation(rest)
    chosen = np.concatenate([shuffled[y[shuffled] == digit][:PER_CLASS] for digit in range(10)])
    return (x[chosen], y[chosen]), x[rest], (x[held_out], y[held_out])


def method(name, plain, num_unlabelled, *, weight=1.0, threshold=0.95, warm_up=True, policy="joint"):
    room, steady = tft.semi_supervised, {"batch_statistics": policy}
    if name == "pseudo-labels":
        return room.PseudoLabel(plain, tft.schedules.linear(0.0, weight, begin=0.1, finish=0.6), **steady)
    if name == "Mean Teacher":
        return room.MeanTeacher(plain, tft.schedules.gaussian(weight, finish=0.4), momentum=0.99, **steady)
    if name == "FixMatch":
        return room.FixMatch(plain, threshold=threshold, **steady)
    return room.FlexMatch(plain, num_unlabelled, threshold=threshold, warm_up=warm_up, **steady)


def trained(name, seed, labelled, unlabelled, steps, rate=3e-3, **options):
    """Returns the plain model that a method trains, and the history's last entries."""
    weak = [keras.layers.RandomTranslation(2 / 28, 2 / 28, interpolation="nearest", fill_mode="nearest")]
    views = {"weak": weak, "strong": "cutout_no_flip"}
    if name == "pseudo-labels":
        views["strong"] = None
    elif name == "Mean Teacher":
        views["strong"] = weak
    elif name == "supervised, strong":
        views["weak"] = "cutout_no_flip"
    model = network(seed)
    if name.startswith("supervised"):
        stream = tft.data.as_dataset(labelled, batch_size=BATCH, input_shape=(28, 28, 1), shuffle=True, seed=seed)
        stream = tft.data.augment(stream.unbatch().repeat().batch(BATCH), views["weak"], seed=seed)
    else:
        stream = tft.data.pair_labelled(
            labelled, unlabelled, BATCH, ratio=RATIO, **views, index=True, seed=seed, input_shape=(28, 28, 1)
        ).repeat()
        model = method(name, model, len(unlabelled), **options)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - 50, warmup_target=rate, warmup_steps=50)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(schedule), loss, metrics=["accuracy"], steps_per_execution=20)
    history = model.fit(stream, steps_per_epoch=steps // 5, epochs=5, verbose=2, shuffle=False).history
    last = {entry: round(history[entry][-1], 4) for entry in ("mask_share", "consistency_loss") if entry in history}
    return getattr(model, "deployable", lambda: model)(), last


def accuracy(model, x, y):
    return round(float((model.predict(x, batch_size=1000, verbose=0).argmax(-1) == y).mean()), 4)


def measure(name, seed, data, steps, options, test):
    labelled, unlabelled, held_out = split(data, seed)
    model, last = trained(name, seed, labelled, unlabelled, steps, **options)
    asked = (data["x_test"][..., None], data["y_test"]) if test else held_out
    return {"accuracy": accuracy(model, *asked), **last, "options": options}


def best(results, name, data, steps):
    """Returns the choice of a method with the highest accuracy on the images held out."""
    found = []
    for number, options in enumerate(CHOICES[name]):
        key = {"method": name, "phase": "choice", "choice": number, "steps": steps}
        row = results.run(key, lambda options=options: measure(name, VALIDATION_SEED, data, steps, options, test=False))
        found.append((row["accuracy"], -number, options))
    return max(found, key=lambda each: each[:2])[2]


def main():
    parsed = arguments(__doc__, steps=STEPS, methods=";".join(CHOICES), policies="yes")
    data = dict(np.load(Path(parsed.data) / "mnist" / "mnist.npz"))
    results = Results("mnist_semi_supervised", parsed.anew)
    for name in parsed.methods.split(";"):
        options = best(results, name, data, parsed.steps)
        for seed in parsed.seeds:
            key = {"method": name, "phase": "test", "seed": seed, "steps": parsed.steps}
            results.run(key, lambda: measure(name, seed, data, parsed.steps, options, test=True))  # noqa: B023
    compared = Results("mnist_batch_statistics", parsed.anew)
    for policy in POLICIES if parsed.policies == "yes" else ():
        options = {**best(results, "FixMatch", data, parsed.steps), "policy": policy}
        for seed in parsed.seeds:
            key = {"policy": policy, "seed": seed, "steps": parsed.steps}
            compared.run(key, lambda: measure("FixMatch", seed, data, parsed.steps, options, test=True))  # noqa: B023


if __name__ == "__main__":
    main()
