"""Builders of models on tables: scores or values out."""

import dataclasses

import numpy as np

from tf_transfer.builders.table_columns import moments
from tf_transfer.builders.tabular_builder import TabularBuilder
from tf_transfer.builders.targets import ClassifierFields, RegressorFields
from tf_transfer.data.labels import check_labels
from tf_transfer.data.table_columns import is_missing, table_columns


@dataclasses.dataclass(frozen=True, kw_only=True)
class TabularClassifier(ClassifierFields, TabularBuilder):
    """Builds a classifier on a table: numbers, categories and texts in columns, a feature map, and a softmax.

    `build()` returns a compiled `keras.Model` of Keras' own layers: a dict of raw columns in, with missing values; a
    layer "logits"; the output "scores" of shape `(batch, num_classes)` in float32. Its nested model "feature_map"
    counts as its backbone: `tft.fine_tune`, the regularizers and `tft.Distiller` work on it, and methods of domain
    adaptation on `parts(model)`. A model of a source becomes that of a target by `for_target`.

    Args:
        num_classes: Integer, at least 2 (at least 1 with `multi_label`).
        class_names: Sequence of `num_classes` strings, kept for exports and reports. Defaults to none.
        multi_label: Boolean, whether a row may have several classes. Defaults to False.
        label_smoothing: Float in [0, 1). Defaults to 0.
        **fields: Those of `TabularBuilder`: columns, hidden_units, trainable, dropout, l2, missing_indicators,
            max_categories, max_tokens, target_parts, target_regularizer, batch_norm, regularizer, learning_rate, seed.

    Raises:
        ValueError: For a field that can't be, before anything is built.

    Example:

    >>> table = {"age": [63, 41, None, 50], "ward": ["A", "B", "B", None], "sick": [1, 0, 0, 1]}
    >>> builder = tft.TabularClassifier(columns=["age", "ward"], num_classes=2, hidden_units=[8]).adapt(table)
    >>> builder.columns["ward"]
    {'kind': 'category', 'values': ['A', 'B'], 'missing': True, 'other': False}
    >>> model = builder.build()
    >>> history = model.fit(builder.inputs(table), np.array(table["sick"]), verbose=0)
    >>> model.predict(builder.inputs({"age": [None], "ward": ["C"]}), verbose=0).shape
    (1, 2)
    >>> tft.TabularClassifier.from_yaml(builder.to_yaml()) == builder
    True
    """

    def _learned_from_targets(self, y):
        y = np.asarray(y)
        if not self.multi_label:
            check_labels(y, self.num_classes)
        elif y.ndim != 2 or y.shape[1] != self.num_classes:
            raise ValueError(f"`y` must have shape (num_rows, {self.num_classes}). Received: shape {y.shape}.")
        return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TabularRegressor(RegressorFields, TabularBuilder):
    """Builds a regressor on a table: numbers, categories and texts in columns, a feature map, and a linear head.

    `build()` returns a compiled `keras.Model` of Keras' own layers, which takes a dict of raw columns and gives
    "predictions" in the unit of the target. Its nested model "feature_map" counts as its backbone: `tft.fine_tune`
    and the regularizers work on it, and methods of domain adaptation on `parts(model)`.

    A model of a source becomes that of a target by `for_target`: w * f(x) + b, where the target has the
    `target_parts` among f, w and b for itself, and shares the others.

    Args:
        num_outputs: Integer, number of values to predict. Defaults to 1.
        target_mean: Float, mean of the training targets, in their unit; `adapt` sets it. Defaults to 0.
        target_std: Float above 0, standard deviation of the training targets; `adapt` sets it. Defaults to 1.
        **fields: Those of `TabularBuilder`: columns, hidden_units, trainable, dropout, l2, missing_indicators,
            max_categories, max_tokens, target_parts, target_regularizer, batch_norm, regularizer, learning_rate, seed.

    Raises:
        ValueError: For a field that can't be, before anything is built.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> table = {"alcohol": rng.normal(10.0, 1.0, 64), "pH": rng.normal(3.2, 0.2, 64)}
    >>> builder = tft.TabularRegressor(columns=["alcohol", "pH"], hidden_units=[8]).adapt(table, table["alcohol"])
    >>> model = builder.build()
    >>> model.output_names, sorted(model.input)
    (['predictions'], ['alcohol', 'pH'])
    >>> history = model.fit(builder.inputs(table), table["alcohol"], verbose=0)
    >>> import dataclasses
    >>> sparing = dataclasses.replace(builder, target_parts=["bias"])
    >>> sum(weight.shape.num_elements() for weight in sparing.for_target(model).trainable_weights)
    1
    >>> tft.TabularRegressor.from_yaml(builder.to_yaml()) == builder
    True
    """

    def _learned_from_targets(self, y):
        y = table_columns({"y": np.ravel(np.asarray(y))})["y"]
        if y.dtype.kind != "f" or is_missing(y).any():
            raise ValueError("`y` must hold numbers, none of them missing. Leave out the rows without.")
        found = moments(y, "y")
        return {"target_mean": found["mean"], "target_std": found["std"]}
