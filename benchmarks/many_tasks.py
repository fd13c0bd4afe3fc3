"""Which digit and who says it: two tasks on spoken digits, each alone, and both on one encoder.

    python benchmarks/many_tasks.py --data FOLDER

"both labels": recordings 5 to 9 of each speaker and digit train, 300 in all, and have both labels. "one label each":
of the same recordings every other one, as drawn by the seed, has its digit alone and the rest the speaker alone, so
that each task has 150 labels. Recordings 0 to 4 are the test, 300. Inputs are the logarithmic spectra of speakers.py,
standardized by the training data; the encoder has two hidden layers of 64 units. Steps, rate, batch and dropout are the
same for all, and nothing was chosen by the test. A task alone sees the recordings that have its label. Everything else
has both heads and differs in how the losses are balanced, each method at its defaults.
"""

import itertools

from speakers import load  # isort: skip, since it sets the number of threads

import keras
import numpy as np
from common import Results, arguments
from sklearn.preprocessing import StandardScaler
from speakers import recordings

import tf_transfer as tft
from tf_transfer.backbones import reinitialize

STEPS, BATCH, UNITS, LEARNING_RATE = 600, 32, 64, 1e-3
CLASSES = {"digit": 10, "speaker": 6}
LABELS = ("both labels", "one label each")
ALONE = "each alone"
METHODS = {
    ALONE: None,
    "equal weights": None,
    "UncertaintyWeighting": tft.UncertaintyWeighting,
    "DynamicWeightAveraging": tft.DynamicWeightAveraging,
    "GradNorm": tft.GradNorm,
    "PCGrad": tft.PCGrad,
}


def examples(folder):
    """Returns standardized spectra and the labels of both tasks, for training and for the test."""
    x, digit, speaker, _ = load(folder)
    index = recordings(folder)[1]["index"]
    train, test = (index >= 5) & (index < 10), index < 5
    x = StandardScaler().fit(x[train]).transform(x).astype("float32")
    return [(x[rows], {"digit": digit[rows], "speaker": speaker[rows]}) for rows in (train, test)]


def labelled(y, labels, seed):
    """Returns the labels of the training data, -1 where they are missing."""
    y = {task: values.copy() for task, values in y.items()}
    if labels == "one label each":
        has_digit = np.random.default_rng(seed).permutation(len(y["digit"])) % 2 == 0
        y["digit"][~has_digit], y["speaker"][has_digit] = -1, -1
    return y


def build(tasks, dim, seed):
    hidden = [keras.layers.Dense(UNITS, "relu") for _ in range(2)]
    encoder = reinitialize(keras.Sequential([keras.Input((dim,)), *hidden], name="encoder"), seed)
    trunk = tft.builders.ImageBuilder(backbone=encoder, augmentation=None, trainable=True, dropout=0.2, seed=seed)
    tasks = {task: tft.ClassificationTask(num_classes=CLASSES[task]) for task in tasks}
    return tft.MultiTask(trunk=trunk, tasks=tasks).build()


def fit(method, x, y, seed):
    """Returns the trained model of the tasks in y."""
    model = build(y, x.shape[1], seed)
    epochs = -(-STEPS // (len(x) // BATCH))
    stream = tft.data.as_dataset((x, y), batch_size=BATCH, shuffle=True, seed=seed, drop_remainder=True)
    options = {"optimizer": keras.optimizers.Adam(LEARNING_RATE), "steps_per_execution": 3}
    if method is None:
        trained = model
        trained.compile(loss=model.loss, **options)
    else:
        trained = method(model, **({"seed": seed} if method is tft.PCGrad else {}))
        trained.compile(**options)
    trained.fit(stream, epochs=epochs, verbose=0)
    return model


def accuracies(model, x, y):
    scores = model.predict(x, verbose=0, batch_size=len(x))
    return {task: round(float(np.mean(scores[task].argmax(-1) == y[task])), 4) for task in scores}


def measure(name, x, y, test, seed):
    if name != ALONE:
        return accuracies(fit(METHODS[name], x, y, seed), *test)
    found = {}
    for task, values in y.items():
        known = values >= 0
        found |= accuracies(fit(None, x[known], {task: values[known]}, seed), *test)
    return found


def main():
    given = arguments(__doc__)
    results = Results("many_tasks", given.anew)
    (x, y), test = examples(given.data)
    for seed, labels, name in itertools.product(given.seeds, LABELS, METHODS):
        key = {"labels": labels, "method": name, "seed": seed}
        results.run(key, lambda: measure(name, x, labelled(y, labels, seed), test, seed))  # noqa: B023


if __name__ == "__main__":
    main()
