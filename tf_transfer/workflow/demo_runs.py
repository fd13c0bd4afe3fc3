"""The data and the trainings of the demo: ways to a classifier of digits from few labels a class."""

import dataclasses
import tempfile
import time
import typing

import keras
import numpy as np
import tensorflow as tf

from tf_transfer.analysis import ClassifierEvaluation, evaluate_classifier
from tf_transfer.backbones import find_backbone
from tf_transfer.builders import ImageClassifier
from tf_transfer.fine_tuning import fine_tune
from tf_transfer.layers import HubLayer

ENCODER = "mnist_encoder"
CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# What `fine_tune` is given for each way. "From scratch" trains the whole network exactly as "fine-tuned" does in its
# second phase, so that only the weights it starts from differ. "From scratch, tuned" has the rate and the epochs that
# suit it best. Rates and epochs were set after a small cross-validation inside the labelled images of other draws
# (seeds 100 and 101); no test image had a say.
RECIPES = {
    "from scratch": {"freeze_epochs": 0, "epochs": 30, "fine_tuning_rate": 1e-3, "unfreeze": True},
    "from scratch, tuned": {"freeze_epochs": 0, "epochs": 100, "fine_tuning_rate": 3e-3, "unfreeze": True},
    "feature extraction": {"freeze_epochs": 60, "epochs": 0, "learning_rate": 1e-2},
    "fine-tuned": {
        "freeze_epochs": 60,
        "epochs": 30,
        "learning_rate": 1e-2,
        "fine_tuning_rate": 1e-3,
        "unfreeze": True,
    },
}
BATCH_SIZE = 16


class Digits(typing.NamedTuple):
    """Images of shape `(num_examples, 28, 28, 1)` in 0..255 and their labels, in three parts."""

    train: tuple
    validation: tuple
    test: tuple


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One training of the demo: what was trained how, and how good it is on the test images."""

    method: str
    seed: int
    digits: Digits
    model: keras.Model
    history: keras.callbacks.History
    validation: ClassifierEvaluation
    test: ClassifierEvaluation
    seconds: float


def load_digits_split(seed, labels_per_class=10):
    """Returns scikit-learn's digits as images for the encoder: labelled ones drawn by `seed`, the rest to test on.

    Of the labelled images of a class a fifth, at least one, is for validation.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    # 8x8 pixels in 0..16 become 28x28 in 0..255.
    images = tf.image.resize(digits.images[..., None] * (255 / 16), (28, 28)).numpy()
    order = np.random.default_rng(seed).permutation(len(images))
    by_class = [order[digits.target[order] == label] for label in range(len(CLASS_NAMES))]
    num_train = labels_per_class - max(1, labels_per_class // 5)
    parts = [slice(num_train), slice(num_train, labels_per_class), slice(labels_per_class, None)]
    chosen = [np.concatenate([indices[part] for indices in by_class]) for part in parts]
    return Digits(*[(images[indices], digits.target[indices]) for indices in chosen])


def recipe(method, quick=False):
    """Returns the arguments for `fine_tune`; `quick` leaves a tenth of the epochs, to see everything run."""
    options = dict(RECIPES[method])
    if quick:
        options |= {name: -(-options[name] // 10) for name in ("freeze_epochs", "epochs")}
    return options


def num_epochs(method, quick=False):
    options = recipe(method, quick)
    return options["freeze_epochs"] + options["epochs"]


def build(method, seed):
    """Returns the compiled model of a method; from scratch it has the same layers and random weights."""
    builder = ImageClassifier(
        num_classes=len(CLASS_NAMES), backbone=ENCODER, class_names=CLASS_NAMES, augmentation=None, seed=seed
    )
    model = builder.build()
    if method.startswith("from scratch"):
        for layer in find_backbone(model).layers:
            if isinstance(layer, HubLayer):
                layer.reinitialize(seed)
    return model


def run(method, seed, labels_per_class=10, *, quick=False, on_epoch_end=None):
    """Trains one method on the labelled images of one seed and evaluates it."""
    digits = load_digits_split(seed, labels_per_class)
    model = build(method, seed)
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)] if on_epoch_end else []
    # A cache of its own: the seconds of a method must not depend on which one ran before.
    with tempfile.TemporaryDirectory(prefix="tf_transfer_demo_") as cache:
        started = time.perf_counter()
        history = fine_tune(
            model,
            digits.train,
            digits.validation,
            **recipe(method, quick),
            features_cache=cache,
            batch_size=BATCH_SIZE,
            callbacks=callbacks,
            seed=seed,
            verbose=0,
        )
        seconds = time.perf_counter() - started
    if method.startswith("from scratch"):
        history.phases = [dataclasses.replace(phase, name=method) for phase in history.phases]
    validation = evaluate_classifier(model, digits.validation)
    test = evaluate_classifier(model, digits.test, batch_size=256)
    return Run(method, seed, digits, model, history, validation, test, seconds)


def choose(runs):
    """Returns the run to export: of the method with the lowest mean validation loss, the seed with the lowest."""
    losses = {method: np.mean([one.validation.log_loss for one in runs if one.method == method]) for method in RECIPES}
    method = min(losses, key=losses.get)
    return min((one for one in runs if one.method == method), key=lambda one: one.validation.log_loss)


def summary(runs):
    """Returns, for each method, the mean and the standard deviation over seeds of its figures."""
    table = {}
    for method in RECIPES:
        own = [one for one in runs if one.method == method]
        columns = {
            "accuracy": [one.test.accuracy for one in own],
            "macro_f1": [one.test.macro_f1 for one in own],
            "seconds": [one.seconds for one in own],
        }
        table[method] = {name: (float(np.mean(values)), float(np.std(values))) for name, values in columns.items()}
    return table


def summary_rows(runs):
    """Returns the summary as rows of text: method, accuracy, macro-F1, seconds."""
    rows = []
    for method, figures in summary(runs).items():
        digits = {"seconds": 1}
        cells = [
            f"{mean:.{digits.get(name, 3)}f} ± {spread:.{digits.get(name, 3)}f}"
            for name, (mean, spread) in figures.items()
        ]
        rows.append([method, *cells])
    return rows
