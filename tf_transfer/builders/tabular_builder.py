"""What builders on tables share: columns by name in, all preprocessing inside, and a target's own parts."""

import dataclasses

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.table_columns import is_learned, known_columns, learn_columns, model_inputs, moments
from tf_transfer.builders.table_layers import column_inputs, encoded_columns, standardization
from tf_transfer.data.table_columns import is_missing, table_columns
from tf_transfer.parameter_efficient.method import ParameterEfficient
from tf_transfer.regularizers.by_name import as_regularizer
from tf_transfer.regularizers.l2_sp import L2SP
from tf_transfer.regularizers.regularizer import Regularizer
from tf_transfer.training import as_multi_worker

PARTS = ("feature_map", "weights", "bias")
NEAR_SOURCE = L2SP(0.1, 0.1, head="source")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TabularBuilder(BackboneBuilder):
    """The fields that builders on tables share: the columns, the feature map, and what a target has for itself.

    The model takes a dict of raw columns, each of shape `(batch, 1)`: float32 with NaN where a number is missing, or
    strings with "" where one is. Numbers are standardized, a missing one counts as the mean; categories and the words
    of texts become zeros and ones, a value that the training table did not have zeros only. All of that is in the
    graph, made of Keras' own layers, so that a `.keras` file opens where this package is not installed, and a server
    takes raw rows.

    `adapt(table, y)` reads what that takes off the training table and returns the builder that knows it, as plain
    data; `inputs(table)` makes the dict. Tensors of strings stay on the CPU: TensorFlow looks them up there, and
    gradients begin behind them.

    Args:
        columns: Names of the columns; or a dict from each name to its kind, "number", "category" or "text"; or to
            what `adapt` learned, with its kind. Without kinds they are those that `tft.data.column_kinds` finds. A
            table may have further columns.
        hidden_units: Tuple of integers, the layers of the feature map; the last gives the features. Defaults to
            `(64, 64)`.
        trainable: What trains in the feature map, as in `tft.set_trainable`, or a parameter-efficient method. Defaults
            to True, since its weights are random.
        dropout: Float in [0, 1), in front of the head. Defaults to 0.
        l2: Float of at least 0, weight of the squared norm of all kernels. Defaults to 0.
        missing_indicators: Boolean, whether a column that has missing values in the training table also says that one
            is missing. Turn it off where what is missing names the domain, as a hospital that never measures
            something. Defaults to True.
        max_categories: Integer, how many values of a category are told apart; the rarer ones count as one. Defaults
            to 64.
        max_tokens: Integer, how many words of a text are told apart. Defaults to 1000.
        target_parts: Which parts `for_target` gives the target for itself: any of "feature_map", "weights" and "bias"
            (of the head). Defaults to all three.
        target_regularizer: What holds these parts near the source: a regularizer such as `tft.L2SP()`, its name, its
            dict, or None. Give `fit` its `callback(target_model)`. Defaults to `tft.L2SP(0.1, 0.1, head="source")`.
        batch_norm: As in `tft.set_trainable`. Defaults to "frozen".
        regularizer: As in `tft.ImageClassifier`. Defaults to None.
        learning_rate: Float, of the Adam optimizer that models are compiled with. Defaults to 1e-3.
        seed: Integer or None, of the initial weights and the dropout. Defaults to None.
    """

    takes_missing = True

    takes_missing = True

    columns: tuple | dict
    hidden_units: tuple = (64, 64)
    trainable: bool | int | float | str | tuple | dict | ParameterEfficient = True
    dropout: float = 0.0
    missing_indicators: bool = True
    max_categories: int = 64
    max_tokens: int = 1000
    target_parts: tuple = PARTS
    target_regularizer: str | dict | Regularizer | None = NEAR_SOURCE

    def __post_init__(self):
        super().__post_init__()
        self._set(columns=known_columns(self.columns))
        if not self.hidden_units:
            raise ValueError("`hidden_units` must hold one layer or more: the feature map. Received: hidden_units=().")
        _checks.one_of(self.missing_indicators, "missing_indicators", [True, False])
        _checks.integer(self.max_categories, "max_categories", 1)
        _checks.integer(self.max_tokens, "max_tokens", 1)
        parts = self.target_parts if isinstance(self.target_parts, list | tuple) else (self.target_parts,)
        chosen = {_checks.one_of(part, "target_parts", PARTS) for part in parts}
        if not chosen:
            raise ValueError(f"`target_parts` must hold one or more of {list(PARTS)}. Received: target_parts=().")
        self._set(target_parts=tuple(part for part in PARTS if part in chosen))
        if self.target_regularizer is not None:
            self._set(target_regularizer=as_regularizer(self.target_regularizer))

    def adapt(self, table, y=None, target=None, *, scaler="source"):
        """Returns this builder with what it encodes and standardizes by, read off data.

        Take the table that the model is trained on. When it is trained on a source to be used on a target, the numbers
        of both have to be on one scale: the weights are learned for standardized numbers, and the same raw number has
        to arrive as the same standardized one. So the target's own scale, `scaler="target"` here or in `for_target`,
        is right where a column measures the same in another unit or on another device, and wrong where the level
        itself says something: standardizing by itself makes the older patients of a hospital of average age.

        Args:
            table: A pandas `DataFrame`, a dict from names to arrays of shape `(num_rows,)`, or what
                `tft.data.read_table` returns.
            y: Array of labels, which are checked, or of targets, of which `target_mean` and `target_std` are taken.
                Defaults to None: they stay.
            target: Table of the target domain, which needs no labels. Defaults to None.
            scaler: "source", "target" or "both": the table whose rows give means and standard deviations. Values of
                categories and words are always those of `table`, since others have no weights. Defaults to "source".

        Returns:
            A builder of the same class.

        Raises:
            ValueError: For a column that is missing, has one value in all rows, or is not of its kind.
        """
        _checks.one_of(scaler, "scaler", ["source", "target", "both"])
        if (target is None) != (scaler == "source"):
            raise ValueError(
                f"`scaler`={scaler!r} {'takes no' if scaler == 'source' else 'needs a'} `target`, the table of the "
                "target domain."
            )
        values = table_columns(table, self.columns)
        learned = learn_columns(values, self.columns, max_categories=self.max_categories, max_tokens=self.max_tokens)
        if target is not None:
            others = table_columns(target, self.columns)
            if scaler == "both":
                others = {name: np.concatenate([values[name], others[name]]) for name in values}
            learned = _scaled_by(learned, others)
        found = {} if y is None else self._learned_from_targets(y)
        return dataclasses.replace(self, columns=learned, **found)

    def inputs(self, table):
        """Returns the columns of a table as the model takes them: a dict of arrays `(num_rows, 1)`.

        Its keys are the names of the columns with "_" for what is no letter or digit, as signatures want them. Numbers
        are float32 with NaN for missing; strings come as a tensor, since `fit` and `predict` take no NumPy strings.

        Args:
            table: As of `adapt`.
        """
        return model_inputs(table_columns(table, self.columns), self.columns)

    def parts(self, model):
        """Returns a model that this builder built in two: columns to features, and features to the outputs.

        They share the model's weights and are what methods of domain adaptation take: `tft.DANN(*parts)`.

        Args:
            model: `keras.Model` from `build` or `for_target`.
        """
        _check_built(model)
        # In front of the dropout, as for images: noise is nothing to align.
        features = model.get_layer("dropout").input
        encoder = keras.Model(model.input, features, name=f"{model.name}_features")
        return encoder, keras.Model(features, model.output, name=f"{model.name}_head")

    def for_target(self, model, table=None, *, scaler="source"):
        """Returns a compiled copy of a source's model, in which only `target_parts` train.

        What trains starts at the source's values. With labelled rows of the target, `fit` it under
        `callbacks=[builder.target_regularizer.callback(target_model)]`, which holds it near them. Without labels a
        feature map can be aligned: `tft.DAREGRAM(*builder.parts(target_model))` on pairs of both domains. Which
        variables train is no part of a `.keras` file.

        Args:
            model: `keras.Model` from `build`, trained on the source.
            table: Table of the target, whose rows need no labels, for `scaler="target"`. Defaults to None.
            scaler: "source" standardizes the target's numbers as the source's, "target" by their own means and
                deviations, column by column; read in `adapt` when that is right. A column that is missing in all rows
                keeps the source's. Defaults to "source".
        """
        head = _check_built(model)
        _checks.one_of(scaler, "scaler", ["source", "target"])
        if (table is None) != (scaler == "source"):
            raise ValueError(
                f"`scaler`={scaler!r} {'takes no' if scaler == 'source' else 'needs a'} `table`, that of the target."
            )
        known, clone = self, None
        if table is not None:
            known = dataclasses.replace(self, columns=_scaled_by(self.columns, table_columns(table, self.columns)))

            def clone(layer):
                scaled = layer.name == "standardize"
                return standardization(known.columns) if scaled else type(layer).from_config(layer.get_config())

        copy = keras.models.clone_model(model, clone_function=clone)
        copy.set_weights(model.get_weights())
        copy.get_layer("feature_map").trainable = "feature_map" in self.target_parts
        head = copy.get_layer(head)
        head.trainable = bool({"weights", "bias"} & set(self.target_parts))
        head.kernel.trainable, head.bias.trainable = ("weights" in self.target_parts), ("bias" in self.target_parts)
        return known._compiled(as_multi_worker(copy))

    def _features(self):
        bare = [name for name, column in self.columns.items() if not is_learned(column)]
        if bare:
            raise ValueError(
                f"It isn't known how to standardize the columns {bare}, or which values they have. Take "
                "`builder.adapt(table, y).build()`, or give what `adapt` learned in `columns`."
            )
        inputs = column_inputs(self.columns)
        encoded = encoded_columns(inputs, self.columns, self.missing_indicators)
        return inputs, self._feature_map(encoded.shape[-1])(encoded)

    def _feature_map(self, dim):
        layers = [
            keras.layers.Dense(
                units,
                activation="relu",
                kernel_initializer=keras.initializers.GlorotUniform(seed=None if self.seed is None else self.seed + i),
                kernel_regularizer=keras.regularizers.L2(self.l2) if self.l2 else None,
                name=f"features_{i}",
            )
            for i, units in enumerate(self.hidden_units, start=1)
        ]
        return keras.Sequential([keras.Input((dim,)), *layers], name="feature_map")

    def _head_options(self):
        return {**super()._head_options(), "hidden_units": ()}

    def _learned_from_targets(self, y):
        raise NotImplementedError(f"{type(self).__name__} must define `_learned_from_targets`.")


def _scaled_by(columns, values):
    """Returns the columns with the means and deviations of other rows, where these have any."""
    found = dict(columns)
    for name, column in columns.items():
        if column["kind"] == "number" and not is_missing(values[name]).all():
            found[name] = {**column, **moments(values[name], name)}
    return found


def _check_built(model):
    """Returns the name of the head's last layer with weights."""
    names = [layer.name for layer in model.layers] if isinstance(model, keras.Model) else []
    head = [name for name in ("standardized", "logits") if name in names]
    if not {"feature_map", "dropout"} <= set(names) or not head:
        raise ValueError(
            "`model` must be one that a `TabularRegressor` or `TabularClassifier` built, with its layers 'feature_map' "
            f"and 'standardized' or 'logits'. Received: {model!r} with the layers {names}."
        )
    return head[0]
