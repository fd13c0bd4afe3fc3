"""Omniglot: characters of alphabets that were never seen, told apart after one or five examples of each.

    python benchmarks/omniglot.py
    python benchmarks/omniglot.py --methods MAML --minutes 30
    python benchmarks/omniglot.py --methods "Meta-SGD 5-way 1-shot,Reptile"

Trained on the 964 classes of the background set, of which 64 drawn at random are kept for the learning curve and for
choices; each with its quarter turns as classes of their own, as in the papers. Asked about the 659 classes of the
evaluation set as they stand, without turns, with five queries a class. No label of it chooses anything.

A training keeps its state after each epoch in `benchmarks/states/omniglot`, of which the last of each is committed; a
run that was stopped goes on from there, with other episodes than it would have had. `--minutes` trains on where the
last run ended, with the rate down from where the longer training has it.
"""

import dataclasses
import functools
import json
import time
from pathlib import Path

import keras
import numpy as np
from common import Results, arguments
from omniglot_recipes import RECIPES, small_moves

import tf_transfer as tft

STATES = Path(__file__).parent / "states" / "omniglot"
HELD_OUT, QUERIES = 64, 5


@dataclasses.dataclass
class Omniglot:
    """The images and classes of both sets, and who is kept for choices."""

    folder: str

    def __post_init__(self):
        stored = np.load(Path(self.folder) / "omniglot" / "omniglot_28.npz")
        self.x, self.y = self._flat(stored["x_background"])
        self.x_test, self.y_test = self._flat(stored["x_evaluation"])
        tft.data.check_disjoint(self.x, self.x_test)
        num = self.y.max() + 1
        self.known, self.held = tft.data.split_classes(self.y, ((num - HELD_OUT) / num, HELD_OUT / num), seed=0)

    @staticmethod
    def _flat(images):
        return images.reshape(-1, 28, 28, 1), np.arange(len(images)).repeat(images.shape[1])

    def training(self, seed, recipe):
        stream = tft.data.episodes(self.x, self.y, **recipe.episodes, classes=self.known, rotations=True, seed=seed)
        return tft.data.augment(stream, small_moves() if recipe.moved else None, seed=seed)

    def validation(self, ways, shots):
        options = {"rotations": True, "fixed": True, "num_episodes": 60, "batch_size": 10, "seed": 1}
        return tft.data.episodes(self.x, self.y, ways, shots, QUERIES, classes=self.held, **options)

    def test(self, ways, shots):
        return tft.data.episodes(self.x_test, self.y_test, ways, shots, QUERIES, batch_size=10, fixed=True, seed=2)


class Curve(keras.callbacks.Callback):
    """Keeps in a file what came of each epoch, and how long it took.

    Args:
        path: Path of the file.
    """

    def __init__(self, path):
        super().__init__()
        self.path = path

    def read(self):
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        line = {"accuracy": logs["val_accuracy"], "seconds": time.perf_counter() - self._start}
        lines = [*self.read()[:epoch], {name: round(float(value), 4) for name, value in line.items()}]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(lines), encoding="utf-8")


class Training:
    """One training of a recipe, with the state that is kept of it.

    Args:
        recipe: `Recipe`.
        seed: Integer.
        minutes: Float, how long to train on where it ended, or 0 to train as long as the recipe says.
    """

    def __init__(self, recipe, seed, minutes):
        self.recipe, self.seed = recipe, seed
        name = f"{recipe.name}-{seed}".replace(" ", "_")
        self.curve = Curve(STATES / f"{name}.json")
        self.resume = tft.training.ResumeTraining(STATES / name, keep=True)
        done = self.resume.epochs_done
        self.epochs = max(recipe.epochs, done)
        if minutes:
            if not done:
                raise SystemExit(f"{name} has nothing to train on from: run it without --minutes first.")
            self.epochs = done + max(1, round(60 * minutes * done / self.seconds))

    @property
    def seconds(self):
        return sum(line["seconds"] for line in self.curve.read())

    @property
    def iterations(self):
        return self.epochs * self.recipe.steps

    def model(self, omniglot):
        """Returns the model in float32, after what is left of its epochs."""
        recipe, done = self.recipe, self.resume.epochs_done
        model = recipe.build(self.seed, self.iterations, recipe.dtype)
        model.fit(
            omniglot.training(1000 * self.seed + done, recipe),
            steps_per_epoch=recipe.steps,
            epochs=self.epochs,
            validation_data=omniglot.validation(*recipe.asked),
            callbacks=[self.curve, self.resume],
            verbose=2,
        )
        asked = recipe.build(self.seed, self.iterations, "float32")
        asked.set_weights(model.get_weights())
        return asked


def measure(training, model, omniglot, ways, shots, transductive):
    model.transductive = transductive
    found = model.evaluate_episodes(omniglot.test(ways, shots), training.recipe.tests)
    low, high = found.interval()
    return {
        "accuracy": round(found.accuracy, 4), "low": round(low, 4), "high": round(high, 4),
        "episodes": training.recipe.tests, "recipe": training.recipe.name, "minutes": round(training.seconds / 60, 1),
        "curve": [line["accuracy"] for line in training.curve.read()],
    }  # fmt: skip


def run(training, results, omniglot):
    """Measures what is not stored yet of the rows that one training serves."""
    model = functools.cache(lambda: training.model(omniglot))
    for ways, shots in training.recipe.rows:
        for transductive in (True, False):
            asked = {"ways": ways, "shots": shots, "transductive": transductive}
            key = {"method": training.recipe.method, **asked, "seed": training.seed, "iterations": training.iterations}
            results.run(key, lambda asked=asked: measure(training, model(), omniglot, **asked))


def main():
    names = sorted({recipe.method for recipe in RECIPES})
    options = arguments(__doc__, methods=",".join(names), minutes=0.0)
    results, omniglot = Results("omniglot", options.anew), Omniglot(options.data)
    for seed in options.seeds:
        for recipe in RECIPES:
            if {recipe.method, recipe.name} & set(options.methods.split(",")):
                run(Training(recipe, seed, options.minutes), results, omniglot)


if __name__ == "__main__":
    main()
