"""What needs no network, to compare with: scikit-learn on the words of texts and on the columns of tables."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from tf_transfer.analysis import ClassifierEvaluation
from tf_transfer.choosing.trials import Trial
from tf_transfer.data.table_columns import KINDS, column_kinds, table_columns

_MOST_CATEGORIES = 64
_WORDS = {"sublinear_tf": True, "token_pattern": r"(?u)\b\w+\b", "max_features": 50_000}


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A classifier of scikit-learn that knows what to do with one kind of examples.

    Args:
        name: String.
        make: Function without arguments that returns the estimator, not fitted.
        columns: Tuple of strings, the columns of a table that it sees. Defaults to None: the examples are texts.
    """

    name: str
    make: Callable
    columns: tuple | None = None

    def evaluate(self, train, held_out, class_names=None):
        """Fits on labelled examples and returns the `tft.analysis.ClassifierEvaluation` on others."""
        (x, y), (x_out, y_out) = ((self._inputs(each), labels) for each, labels in (train, held_out))
        scores = self.make().fit(x, y).predict_proba(x_out)
        return ClassifierEvaluation(scores, y_out, class_names)

    def trial(self, parts, metric):
        """Returns the `tft.choosing.Trial` of pairs (training, held out)."""
        start = time.perf_counter()
        found = [self.evaluate(*part) for part in parts]
        scores, losses = zip(*((float(getattr(each, metric)), float(each.log_loss)) for each in found), strict=True)
        return Trial(self.name, "none", "baseline", "baseline", 0, scores, losses, time.perf_counter() - start)

    def _inputs(self, x):
        if self.columns is None:
            return np.asarray(x, dtype=object)
        return np.stack([values.astype(object) for values in table_columns(x, self.columns).values()], axis=1)


def baselines(examples, seed=0):
    """Returns a tuple of `Baseline`s for texts and rows, empty for examples of another kind."""
    if examples.kind == "texts":
        return (Baseline("logistic regression on tf-idf", _on_words),)
    if examples.kind != "rows":
        return ()
    table = examples.data[0]
    found = getattr(table, "kinds", None) or column_kinds(table)
    kinds = {name: kind for name, kind in found.items() if kind in KINDS}
    places = {kind: [i for i, each in enumerate(kinds.values()) if each == kind] for kind in KINDS}
    made = [Baseline("logistic regression on the columns", lambda: _on_columns(places), tuple(kinds))]
    if places["number"] or places["category"]:
        leaf = int(np.clip(len(examples.labels) // 20, 2, 20))
        made.append(Baseline("gradient-boosted trees", lambda: _trees(places, leaf, seed), tuple(kinds)))
    return tuple(made)


def plain_data(examples):
    """Returns texts or rows as a pair of what `Baseline.evaluate` takes and the labels."""
    x = examples.data[0] if isinstance(examples.data, tuple) else examples.data.texts
    return (dict(x) if examples.kind == "rows" else np.asarray(x, dtype=object)), examples.labels


def _on_words():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), **_WORDS), LogisticRegression(max_iter=1000, C=10))


def _on_columns(places):
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_MOST_CATEGORIES)
    # A vectorizer takes one column, not a table of one.
    words = [(f"words_{place}", TfidfVectorizer(**_WORDS), place) for place in places["text"]]
    seen = [("numbers", numbers, places["number"]), ("categories", categories, places["category"]), *words]
    return make_pipeline(ColumnTransformer(seen), LogisticRegression(max_iter=1000))


def _trees(places, min_samples_leaf, seed):
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan}
    categories = OrdinalEncoder(max_categories=_MOST_CATEGORIES, **unknown)
    seen = [("numbers", "passthrough", places["number"]), ("categories", categories, places["category"])]
    are_categories = [False] * len(places["number"]) + [True] * len(places["category"])
    trees = HistGradientBoostingClassifier(
        categorical_features=are_categories, min_samples_leaf=min_samples_leaf, random_state=seed
    )
    return make_pipeline(ColumnTransformer(seen), trees)
