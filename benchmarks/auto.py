"""`tft.auto` against the best single choice made with hindsight, on three sets of photographs and digits.

    python benchmarks/auto.py --data FOLDER

The sets are those of `transferability.py`: `hymenoptera` (243 images train, 153 are the test), `flowers128` (20 a class
train, 1000 are the test) and scikit-learn's digits (10 a class train, 600 are the test). Four encoders stand for
choice: MobileNets of three widths at 96 pixels, and the encoder of digits that the project ships. `auto` has so many
minutes for all it does: of the clock on the wall or, with `--cpu 1`, of what the process itself computes, which on a
machine that others use is nearer to the time of a quiet one. It sees the training images alone. Hindsight trains each
encoder in each of three ways in full on all of the training images, and looks at the test which was best: nobody has
that choice, and the best of twelve test scores is too good by some luck itself.
"""

import functools
import itertools
import tempfile
import time

from common import Results, arguments
from transferability import SETS, WEIGHTS, encoder, examples

import tf_transfer as tft
from tf_transfer.choosing.builders import image_builder
from tf_transfer.choosing.examples import read_examples
from tf_transfer.choosing.methods import make_candidate

ENCODERS = {"MobileNet 0.25": "mobilenet 0.25", "MobileNet 0.5": "mobilenet 0.5", "MobileNetV2 1.0": "mobilenet_v2"}
METHODS = ("feature_extraction", "l2_sp", "fine_tuning")
# Of the images, which are a hundred or two: augmentation would take most of the time, and digits can't be mirrored.
FIELDS = {"augmentation": None}


def backbones(data):
    """Returns a dict of names to what `tft.rank_backbones` takes."""
    found = {}
    for name, network in ENCODERS.items():
        family, file, options = WEIGHTS[network]
        weights = f"{data}/weights/{file}.weights.h5"
        found[name] = {"name": family, "weights": weights, "input_shape": (96, 96, 3), **options}
    return {**found, "digits": encoder("digits", data, 0)}


def measure_auto(train, test, data, seed, minutes, clock):
    clock = time.process_time if clock == "cpu" else time.perf_counter
    found = tft.auto(train, minutes, backbones=backbones(data), cache=False, seed=seed, clock=clock, **FIELDS)
    ahead = found.ahead()
    return {
        "accuracy": accuracy(found.model, test),
        "chosen": found.best.name,
        "epochs": found.best.epochs,
        "expected": round(found.best.score, 4),
        "ahead": None if ahead is None else [round(value, 4) for value in ahead],
        "took": round(found.seconds, 1),
        "trials": [
            [each.name, each.rung, each.epochs, [round(score, 4) for score in each.scores], round(each.seconds, 1)]
            for each in found.trials
        ],
    }


def measure_single(name, method, train, test, data, seed, folder):
    builder = image_builder(backbones(data)[name], read_examples(train), fields=FIELDS)
    model = make_candidate(method, builder, name, len(train[1])).train(train, seed=seed, cache=folder)
    return {"accuracy": accuracy(model, test)}


def accuracy(model, test):
    return round(tft.analysis.evaluate_classifier(model, test).accuracy, 4)


def main():
    given = arguments(__doc__, minutes=5, cpu=0, sets=",".join(SETS))
    results = Results("auto", given.anew)
    for seed in given.seeds:
        for dataset in given.sets.split(","):
            train, test = examples(dataset, given.data, seed)
            shared = {"set": dataset, "seed": seed}
            clock = "cpu" if given.cpu else "wall"
            whole = functools.partial(measure_auto, train, test, given.data, seed, given.minutes, clock)
            results.run({**shared, "what": "auto", "minutes": given.minutes, "clock": clock}, whole)
            with tempfile.TemporaryDirectory() as folder:
                for name, method in itertools.product((*ENCODERS, "digits"), METHODS):
                    one = functools.partial(measure_single, name, method, train, test, given.data, seed, folder)
                    results.run({**shared, "what": "single", "encoder": name, "method": method}, one)


if __name__ == "__main__":
    main()
