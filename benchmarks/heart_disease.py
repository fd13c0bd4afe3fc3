"""Heart disease in four hospitals: each one as target without labels, the other three as labelled sources.

Features: six numbers, standardized by the sources; seven categories, one column a value. A number that is missing, as
is a cholesterol or blood pressure of 0, counts as the sources' mean, and a category as none of its values: no column
says that something is missing, since that would name the hospital. One network with 32 hidden units for all, 400 steps,
the methods' own defaults, and MDAN once with another weight. Nothing is chosen by labels of the target, except for
"best single", the best of three by them, a figure that nobody can choose without. All of a target's examples train
without labels and are scored.
"""

import csv
from pathlib import Path

import keras
import numpy as np
from common import Results, arguments
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

import tf_transfer as tft
from tf_transfer.backbones import reinitialize

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
NUMBERS = {"age": 0, "trestbps": 3, "chol": 4, "thalach": 7, "oldpeak": 9, "ca": 11}
CATEGORIES = {"sex": (1, (0, 1)), "cp": (2, (1, 2, 3, 4)), "fbs": (5, (0, 1)), "restecg": (6, (0, 1, 2))}
CATEGORIES |= {"exang": (8, (0, 1)), "slope": (10, (1, 2, 3)), "thal": (12, (3, 6, 7))}
STEPS, BATCH, UNITS = 400, 48, 32
DEEP = {
    "DANN, pooled": lambda e, c, names, seed: tft.DANN(e, c, seed=seed),
    "MDAN, soft": lambda e, c, names, seed: tft.adaptation.MDAN(e, c, names, seed=seed),
    "MDAN, hard": lambda e, c, names, seed: tft.adaptation.MDAN(e, c, names, maximum="hard", seed=seed),
    "MDAN, soft, weight to 1": lambda e, c, names, seed: tft.adaptation.MDAN(
        e, c, names, adaptation_weight=tft.schedules.dann(), seed=seed
    ),
    "M3SDA": lambda e, c, names, seed: tft.adaptation.M3SDA(e, c, names, seed=seed),
}


def load(folder):
    """Returns a dict of (values with NaN where missing, labels) of each hospital."""
    hospitals = {}
    for name in HOSPITALS:
        with open(Path(folder) / "heart_disease" / f"processed.{name}.data", encoding="utf-8") as file:
            lines = [line for line in csv.reader(file) if line and line[0] != "age"]
        values = np.array([[np.nan if each in ("", "?") else float(each) for each in line] for line in lines])
        for column in (NUMBERS["trestbps"], NUMBERS["chol"]):
            values[values[:, column] == 0, column] = np.nan
        hospitals[name] = values[:, :13], (values[:, 13] > 0).astype("int64")
    return hospitals


def features(hospitals, sources):
    """Returns a dict of (x, y) of all hospitals, with the means and deviations of the sources."""
    known = np.concatenate([hospitals[name][0] for name in sources])[:, list(NUMBERS.values())]
    mean, deviation = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
    return {name: (_features(values, mean, deviation), y) for name, (values, y) in hospitals.items()}


def _features(values, mean, deviation):
    numbers = np.nan_to_num((values[:, list(NUMBERS.values())] - mean) / deviation, nan=0.0)
    columns = [values[:, place] == value for place, known in CATEGORIES.values() for value in known]
    return np.concatenate([numbers, np.stack(columns, axis=1)], axis=1).astype("float32")


def networks(dim, seed):
    layers = keras.layers
    encoder = keras.Sequential(
        [keras.Input((dim,)), layers.Dense(UNITS, "relu", kernel_regularizer=keras.regularizers.L2(1e-3))]
    )
    classifier = keras.Sequential([keras.Input((UNITS,)), layers.Dense(2, name="logits"), layers.Softmax()])
    return reinitialize(encoder, seed), reinitialize(classifier, seed + 1000)


def fit(model, stream):
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", steps_per_execution=20)
    model.fit(stream.repeat(), steps_per_epoch=STEPS, verbose=0)
    return model


def plain(sources, seed):
    """Returns a network trained on all of the sources together."""
    x, y = (np.concatenate(part) for part in zip(*sources.values(), strict=True))
    encoder, classifier = networks(x.shape[1], seed)
    model = keras.Model(encoder.inputs, classifier(encoder.outputs[0]))
    return fit(model, tft.data.as_dataset((x, y), batch_size=BATCH, shuffle=True, seed=seed))


def adapted(method, sources, x_target, seed):
    model = DEEP[method](*networks(x_target.shape[1], seed), list(sources), seed)
    given = list(sources.values()) if method == "DANN, pooled" else sources
    return fit(model, tft.data.pair_domains(given, x_target, BATCH, seed=seed))


def figures(model, x, y):
    return measures(model.predict(x, verbose=0, batch_size=512)[:, 1], y)


def measures(scores, y):
    return {
        "accuracy": round(float(np.mean((scores > 0.5) == y)), 4),
        "balanced_accuracy": round(float(balanced_accuracy_score(y, scores > 0.5)), 4),
        "auc": round(float(roc_auc_score(y, scores)), 4),
    }


def combined(sources, x, y, seed):
    """Returns the figures of the ways that start from a model a source."""
    models = {name: plain({name: data}, seed) for name, data in sources.items()}
    singles = {name: figures(model, x, y) for name, model in models.items()}
    weights = tft.adaptation.source_weights(sources, x)
    nearest = max(weights, key=weights.get)
    best = max(singles, key=lambda name: singles[name]["accuracy"])
    return {
        "best single": {**singles[best], "chosen": best},
        "nearest single": {**singles[nearest], "chosen": nearest},
        "equal shares": figures(tft.adaptation.combine_models(models), x, y),
        "weighted": {
            **figures(tft.adaptation.combine_models(models, weights), x, y),
            "weights": {name: round(weight, 3) for name, weight in weights.items()},
        },
    }


def leave_one_out(sources, x, y, seeds):
    def accuracy(model):
        return figures(model, x, y)["accuracy"]

    found = tft.analysis.leave_one_source_out(sources, plain, accuracy, seeds=seeds)
    return {**found.to_dict(), "harmful": list(found.harmful)}


def main():
    given = arguments(__doc__)
    results = Results("heart_disease", given.anew)
    hospitals = load(given.data)
    for seed in given.seeds:
        for target in HOSPITALS:
            names = [name for name in HOSPITALS if name != target]
            domains = features(hospitals, names)
            sources, (x, y) = {name: domains[name] for name in names}, domains[target]
            made = {}
            for method in ("best single", "nearest single", "equal shares", "weighted"):

                def of_singles(method=method, sources=sources, x=x, y=y, made=made):
                    made.update(made or combined(sources, x, y, seed))  # noqa: B023
                    return made[method]

                results.run({"target": target, "method": method, "seed": seed}, of_singles)
            key = {"target": target, "method": "pooled", "seed": seed}
            results.run(key, lambda: figures(plain(sources, seed), x, y))  # noqa: B023
            for method in DEEP:
                key = {"target": target, "method": method, "seed": seed}
                results.run(key, lambda: figures(adapted(method, sources, x, seed), x, y))  # noqa: B023
    for target in HOSPITALS:
        names = [name for name in HOSPITALS if name != target]
        domains = features(hospitals, names)
        sources, (x, y) = {name: domains[name] for name in names}, domains[target]
        key = {"target": target, "method": "leave one out", "seed": given.seeds[0]}
        results.run(key, lambda: leave_one_out(sources, x, y, given.seeds))  # noqa: B023


if __name__ == "__main__":
    main()
