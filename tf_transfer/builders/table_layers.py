"""Columns inside the graph: raw values in, one vector of numbers out, by Keras' own layers and operations.

The same layers as in Keras' `FeatureSpace`, from what the columns know instead of from data: a `FeatureSpace` learns
its vocabularies anew where it is made, and gives NaN for a number that is missing.
"""

import keras
import numpy as np
from keras import layers, ops

from tf_transfer.builders.table_columns import input_names, takes_strings

_FLOAT = "float32"


def column_inputs(columns):
    """Returns a dict from names of inputs to `keras.Input`s of shape `(batch, 1)`: float32 or strings."""
    return {
        name: keras.Input((1,), name=name, dtype="string" if takes_strings(column) else _FLOAT)
        for name, column in _named(columns)
    }


def encoded_columns(inputs, columns, missing_indicators):
    """Returns a tensor `(batch, dim)` of float32: numbers standardized, categories and words as zeros and ones.

    What is missing, and a value or word that was in no row of the training table, is zero everywhere, a number its
    mean. What gets a place of its own occurred in training, so that its weights have learned something.

    Args:
        inputs: Dict of `column_inputs`.
        columns: Dict of `known_columns`, learned.
        missing_indicators: Boolean, whether columns with missing values in the training table say that one is missing.
    """
    numbers = [(inputs[name], column) for name, column in _named(columns) if column["kind"] == "number"]
    parts = _numbers(numbers, missing_indicators) if numbers else []
    for name, column in _named(columns):
        if column["kind"] == "category":
            encode = _category_of_texts if takes_strings(column) else _category_of_numbers
            parts += encode(inputs[name], column, missing_indicators, name)
        elif column["kind"] == "text":
            parts.append(_words(inputs[name], column, name))
    return layers.Concatenate(name="columns", dtype=_FLOAT)(parts) if len(parts) > 1 else parts[0]


def standardization(columns):
    """Returns the layer that standardizes the numbers among the columns."""
    numbers = [column for column in columns.values() if column["kind"] == "number"]
    # In float32 whatever the policy: half precision would round a year or an income before it is standardized.
    return layers.Normalization(
        mean=[column["mean"] for column in numbers],
        variance=[column["std"] ** 2 for column in numbers],
        name="standardize",
        dtype=_FLOAT,
    )


def _numbers(numbers, missing_indicators):
    given = [tensor for tensor, _ in numbers]
    joined = layers.Concatenate(name="numbers", dtype=_FLOAT)(given) if len(given) > 1 else given[0]
    standard = standardization(dict(enumerate(column for _, column in numbers)))(joined)
    missing = ops.isnan(standard)
    parts = [ops.where(missing, 0.0, standard)]
    places = [place for place, (_, column) in enumerate(numbers) if column["missing"]]
    if places and missing_indicators:
        parts.append(ops.take(ops.cast(missing, _FLOAT), np.array(places), axis=1))
    return parts


def _category_of_numbers(tensor, column, missing_indicators, name):
    # Equality, not a lookup: NaN equals nothing, and float columns with gaps need no integers.
    values = np.array([column["values"]], dtype=_FLOAT)
    known = ops.cast(ops.equal(tensor, values), _FLOAT)
    missing = ops.cast(ops.isnan(tensor), _FLOAT)
    parts = [known]
    if column["other"]:
        parts.append(1.0 - missing - ops.sum(known, axis=1, keepdims=True))
    return [*parts, missing] if column["missing"] and missing_indicators else parts


def _category_of_texts(tensor, column, missing_indicators, name):
    lookup = layers.StringLookup(vocabulary=["", *column["values"]], name=f"{name}_values")
    index = lookup(tensor)
    # 0 is any other value, 1 none at all; negative numbers give zeros only.
    parts = [ops.one_hot(ops.squeeze(index, -1) - 2, len(column["values"]), dtype=_FLOAT)]
    if column["other"]:
        parts.append(ops.cast(ops.equal(index, 0), _FLOAT))
    if column["missing"] and missing_indicators:
        parts.append(ops.cast(ops.equal(index, 1), _FLOAT))
    return parts


def _words(tensor, column, name):
    vectorize = layers.TextVectorization(vocabulary=column["tokens"], output_mode="multi_hot", name=f"{name}_words")
    words = vectorize(ops.squeeze(tensor, -1))
    return words if column["other"] else words[:, 1:]


def _named(columns):
    names = input_names(columns)
    return [(names[name], column) for name, column in columns.items()]
