"""Heart disease with 20 labels: each of four hospitals as target, the other three as labelled source.

The 20 rows are drawn class by class in proportion, at least three of each; the others of the hospital are scored. One
network for all (`tft.TabularClassifier`, one layer of 32 units, L2 of 1e-3), on six numbers and seven categories as
the files have them; what is missing counts as the mean or as none of the values, and no column says that it is
missing, since that would name the hospital. Networks train with Adam at 3e-3, 400 steps on sources in batches of 48
and 200 on the 20 rows; `tft.two_stage` with SGD and Nesterov momentum, 30 epochs at 0.05 on the source and 60 on the
20 rows at 0.003 for the feature map and 0.03 for the head. Trees are scikit-learn's `HistGradientBoostingClassifier`
with its defaults, with leaves of three rows or more on the 20 rows, where the default of 20 allows no split. A target
"standardized by itself" is so by all of its rows, without labels. All of that was fixed before the first run: nothing
is chosen by labels of the target but what the methods do with their 20.
"""

import dataclasses

import keras
import numpy as np
from common import Results, arguments
from heart_disease import CATEGORIES, HOSPITALS, NUMBERS, load, measures
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import tf_transfer as tft

NUM_LABELS, LEAST = 20, 3
STEPS, FEW_STEPS, BATCH = 400, 200, 48
TWO_STAGE = {"source_epochs": 30, "source_rate": 0.05, "epochs": 60, "learning_rate": 0.003, "validation_split": 0.0}
NO_LABELS = (
    "network: source only",
    "network: source only, target standardized by itself",
    "trees: source only",
)
LABELS = (
    "network: 20 labels alone",
    "network: two stages, a new head",
    "network: two stages, the source's head",
    "network: for_target, own head near the source",
    "network: for_target, own everything near the source",
    "network: source and 20 labels pooled",
    "logistic regression: 20 labels alone",
    "trees: 20 labels alone",
    "trees: source and 20 labels pooled",
)


def table_of(values):
    """Returns the columns of a hospital, by name."""
    places = {**NUMBERS, **{name: place for name, (place, _) in CATEGORIES.items()}}
    return {name: values[:, place] for name, place in places.items()}


def rows_of(table, rows):
    return {name: values[rows] for name, values in table.items()}


def together(*tables):
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def few_rows(y, seed):
    """Returns a boolean array, True for the rows that have labels."""
    rng, chosen = np.random.default_rng(seed), np.zeros(len(y), bool)
    shares = np.maximum(LEAST, np.round(NUM_LABELS * np.bincount(y) / len(y)).astype(int))
    shares[shares.argmax()] = NUM_LABELS - shares.min()
    for label, size in enumerate(shares):
        chosen[rng.permutation(np.flatnonzero(y == label))[:size]] = True
    return chosen


class Run:
    """One target and one seed: the data, the source's model, and what the methods make of them."""

    def __init__(self, hospitals, target, seed):
        sources = [hospitals[name] for name in HOSPITALS if name != target]
        values, y = hospitals[target]
        chosen = few_rows(y, seed)
        self.seed = seed
        self.source = together(*(table_of(values) for values, _ in sources)), np.concatenate([y for _, y in sources])
        whole = table_of(values)
        self.unlabelled = whole
        self.few = rows_of(whole, chosen), y[chosen]
        self.test = rows_of(whole, ~chosen), y[~chosen]
        kinds = {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(CATEGORIES, "category")}
        self.builder = tft.TabularClassifier(
            columns=kinds,
            num_classes=2,
            hidden_units=(32,),
            l2=1e-3,
            missing_indicators=False,
            learning_rate=3e-3,
            seed=seed,
        )
        self._source_model = None

    def adapted(self):
        return self.builder.adapt(*self.source)

    @property
    def source_model(self):
        if self._source_model is None:
            self._source_model = self.plain(self.adapted(), self.source, STEPS)
        return self._source_model

    def plain(self, builder, labelled, steps, model=None, callbacks=()):
        data = builder.inputs(labelled[0]), labelled[1]
        stream = tft.data.as_dataset(data, batch_size=BATCH, shuffle=True, seed=self.seed, missing=True)
        model = builder.build() if model is None else model
        model.compile(model.optimizer, model.loss, steps_per_execution=20)
        model.fit(stream.repeat(), steps_per_epoch=steps, callbacks=[*callbacks], verbose=0)
        return model

    def scores(self, method):
        """Returns the probability of disease that a method gives each row that is scored."""
        if method.startswith("network"):
            model, builder = self.network(method)
            return model.predict(builder.inputs(self.test[0]), verbose=0)[:, 1]
        labelled = {
            "source only": self.source,
            "20 labels alone": self.few,
            "source and 20 labels pooled": self.pooled(),
        }[method.split(": ")[1]]
        if method.startswith("trees"):
            return trees(labelled, self.test[0], self.seed)
        return logistic(self.scratch(), *labelled, self.test[0])

    def network(self, method):
        how, builder = method.removeprefix("network: "), self.adapted()
        if how == "source only":
            return self.source_model, builder
        if how == "source only, target standardized by itself":
            return builder.for_target(self.source_model, self.unlabelled, scaler="target"), builder
        if how == "20 labels alone":
            builder = self.scratch()
            return self.plain(builder, self.few, FEW_STEPS), builder
        if how.startswith("two stages"):
            source, few = ((builder.inputs(table), y) for table, y in (self.source, self.few))
            options = {**TWO_STAGE, "batch_size": BATCH, "seed": self.seed, "verbose": 0}
            return tft.two_stage(
                builder, source, few, keep_head=how.endswith("source's head"), **options
            ).model, builder
        if how.startswith("for_target"):
            parts = ["weights", "bias"] if "own head" in how else ["feature_map", "weights", "bias"]
            builder = dataclasses.replace(builder, target_parts=parts)
            model = builder.for_target(self.source_model)
            holding = builder.target_regularizer.callback(model, verbose=0)
            return self.plain(builder, self.few, FEW_STEPS, model, [holding]), builder
        return self.plain(builder, self.pooled(), STEPS), builder

    def scratch(self):
        """Returns the builder of a hospital that is alone with its 20 rows: some columns have nothing in them."""
        found = tft.data.column_kinds(self.few[0])
        kept = {name: kind for name, kind in self.builder.columns.items() if found[name] != "constant"}
        return dataclasses.replace(self.builder, columns=kept).adapt(*self.few)

    def pooled(self):
        return together(self.source[0], self.few[0]), np.concatenate([self.source[1], self.few[1]])

    def figures(self, method):
        return measures(self.scores(method), self.test[1])


def trees(labelled, table, seed):
    found = tft.data.column_kinds(labelled[0])
    kept = [name for name, kind in found.items() if kind != "constant"]
    x, test = (np.stack([each[name] for name in kept], axis=1) for each in (labelled[0], table))
    categories = [name in CATEGORIES for name in kept]
    leaf = {"min_samples_leaf": LEAST} if len(x) <= NUM_LABELS else {}
    model = HistGradientBoostingClassifier(categorical_features=categories, random_state=seed, **leaf)
    return model.fit(x, labelled[1]).predict_proba(test)[:, 1]


def logistic(builder, table, y, test):
    """Returns the scores of a logistic regression on what the network sees of the columns."""
    model = builder.build()
    encode = keras.Model(model.input, model.get_layer("feature_map").input)
    x, test = (encode.predict(builder.inputs(each), verbose=0) for each in (table, test))
    return LogisticRegression(max_iter=1000).fit(x, y).predict_proba(test)[:, 1]


def main():
    given = arguments(__doc__)
    results = Results("table_transfer", given.anew)
    hospitals = load(given.data)
    for seed in given.seeds:
        for target in HOSPITALS:
            run = Run(hospitals, target, seed)
            for method in (*NO_LABELS, *LABELS):
                key = {"target": target, "method": method, "seed": seed}
                results.run(key, lambda: run.figures(method))  # noqa: B023
            keras.backend.clear_session()


if __name__ == "__main__":
    main()
