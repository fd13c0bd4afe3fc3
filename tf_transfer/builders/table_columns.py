"""The columns of a table as plain data: of what kind each is, and what was learned of it from a training table."""

import collections
import re

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.data.table_columns import KINDS, column_kinds, is_missing

# What a column of each kind knows once it has seen data; "missing" and "other": whether such rows were among it.
LEARNED = {
    "number": ("mean", "std", "missing"),
    "category": ("values", "missing", "other"),
    "text": ("tokens", "other"),
}


def known_columns(columns):
    """Returns the field `columns` of a builder as a dict from names to dicts: {}, {"kind": ...} or all of `LEARNED`.

    Raises:
        ValueError: For what is no description of columns.
    """
    if not isinstance(columns, collections.abc.Mapping):
        given = columns if isinstance(columns, list | tuple) else [columns]
        columns = dict.fromkeys(given)
    if not columns or not all(isinstance(name, str) for name in columns):
        raise ValueError(f"`columns` must be names of columns, or a dict from them. Received: columns={columns!r}.")
    input_names(columns)
    return {name: _known_column(name, known) for name, known in columns.items()}


def is_learned(column):
    """Returns whether a column of `known_columns` knows more than its kind."""
    return len(column) > 1


def learn_columns(values, columns, *, max_categories, max_tokens):
    """Returns the columns with what is learned of them from a table.

    Args:
        values: Dict from names to arrays, as `tft.data.table_columns` gives.
        columns: Dict of `known_columns`, whose kinds are kept.
        max_categories: Integer, how many values of a category are told apart, the most frequent ones.
        max_tokens: Integer, how many words of a text are.
    """
    kinds = column_kinds(values)
    found = {}
    for name, known in columns.items():
        kind = known.get("kind", kinds[name])
        _check_kind(name, kind, kinds[name], values[name])
        if kind == "number":
            found[name] = {"kind": kind, **moments(values[name], name), "missing": bool(is_missing(values[name]).any())}
        elif kind == "category":
            found[name] = {"kind": kind, **_categories(values[name], name, max_categories)}
        else:
            found[name] = {"kind": kind, **_tokens(values[name], name, max_tokens)}
    return found


def moments(values, name):
    """Returns `{"mean": float, "std": float}` of a column of numbers, those that are there."""
    present = values[~is_missing(values)]
    if len(present) and present.std() > 1e-12 * max(1.0, abs(present).max()):
        return {"mean": float(present.mean()), "std": float(present.std())}
    if len(present) and len(present) < len(values):
        # It says no more than whether it is there.
        return {"mean": float(present[0]), "std": 1.0}
    raise ValueError(_says_nothing(name, values))


def model_inputs(values, columns):
    """Returns a dict from names of inputs to arrays `(num_rows, 1)`: float32, or tensors of strings.

    Keras' `fit` and `predict` take no NumPy arrays of strings.

    Args:
        values: As of `learn_columns`.
        columns: Dict of `known_columns`.
    """
    names = input_names(columns)
    found = {}
    for name, column in columns.items():
        given, strings = values[name], takes_strings(column, values[name])
        if (given.dtype.kind == "O") != strings:
            if not is_missing(given).all():
                _raise_type(name, given, strings)
            given = np.full(len(given), "" if strings else np.nan, dtype=object if strings else "float64")
        given = given[:, None]
        found[names[name]] = keras.ops.convert_to_tensor(given, "string") if strings else given.astype("float32")
    return found


def takes_strings(column, values=None):
    """Returns whether the model's input of a column is of strings; of one that has seen no data its values decide."""
    if column.get("kind") == "number":
        return False
    if column.get("kind") == "text" or not is_learned(column):
        return column.get("kind") == "text" or values.dtype.kind == "O"
    return isinstance(column["values"][0], str)


def input_names(names):
    """Returns a dict from names of columns to those of a model's inputs, which a served model takes: word characters.

    Raises:
        ValueError: When two columns would share an input.
    """
    found = {name: re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("_") or "column" for name in names}
    twice = sorted(name for name, given in found.items() if list(found.values()).count(given) > 1)
    if twice:
        raise ValueError(f"The columns {twice} would share the name of an input, {found[twice[0]]!r}. Rename one.")
    return found


def _known_column(name, known):
    what = f"`columns[{name!r}]`"
    if isinstance(known, str):
        known = {"kind": known}
    known = dict(known or {})
    if "mean" in known or "std" in known:
        known = {"kind": "number", "missing": False, **known}
    if not known:
        return {}
    if "kind" not in known:
        raise ValueError(f"{what} must have a 'kind', one of {list(KINDS)}. Received: {known}.")
    kind = _checks.one_of(known["kind"], f"kind of {name}", KINDS)
    _checks.known_fields(known, ["kind", *LEARNED[kind]], what)
    if len(known) == 1:
        return known
    lacking = [field for field in LEARNED[kind] if field not in known]
    if lacking:
        raise ValueError(f"{what} must have {_in_words(LEARNED[kind])}, or none of them. Received: {known}.")
    if kind == "number":
        _checks.number(known["mean"], f"mean of {name}")
        _checks.positive(known["std"], f"std of {name}")
    elif not known[LEARNED[kind][0]]:
        raise ValueError(f"{what} must have one or more {LEARNED[kind][0]}. Received: none.")
    known = {field: list(value) if isinstance(value, tuple) else value for field, value in known.items()}
    return {field: known[field] for field in ("kind", *LEARNED[kind])}


def _check_kind(name, kind, seen, values):
    if seen == "constant":
        raise ValueError(_says_nothing(name, values))
    if kind == "identifier":
        raise ValueError(
            f"Column {name!r} has another word in nearly each of its {len(values)} rows, so that it names the row and "
            "nothing can be learned from it. Leave it out, or say that it is a 'category'."
        )
    if (kind == "number") != (values.dtype.kind == "f") and kind != "category":
        _raise_type(name, values, kind == "text")


def _says_nothing(name, values):
    return (
        f"Column {name!r} has one value in all of its {len(values)} rows, so that it says nothing and can't be "
        "standardized. Leave it out, or take a table where it varies."
    )


def _raise_type(name, values, strings):
    row = np.flatnonzero(~is_missing(values))[0]
    received = values.tolist()[row]
    way_out = "Make it texts with `astype(str)`" if strings else "Leave it out, or encode it as numbers"
    raise ValueError(
        f"Column {name!r} must hold {'texts' if strings else 'numbers'}, one a row. Received: {received!r} in row "
        f"{row} (from 0). {way_out}."
    )


def _categories(values, name, most):
    present = values[~is_missing(values)]
    counts = collections.Counter(present.tolist()).most_common()
    # Keras' lookup has this one for the values that it does not know.
    kept = sorted(value for value, _ in counts[:most] if value != "[UNK]")
    if values.dtype.kind == "f" and len(set(np.float32(kept).tolist())) < len(kept):
        raise ValueError(
            f"Column {name!r} has codes that float32, in which a model takes numbers, can't tell apart, such as "
            f"{kept[-1]:.0f}. Make it texts with `astype(str)`."
        )
    return {"values": kept, "missing": len(present) < len(values), "other": len(counts) > len(kept)}


def _tokens(values, name, most):
    layer = keras.layers.TextVectorization()
    layer.adapt(keras.ops.convert_to_tensor(values, "string"))
    tokens = layer.get_vocabulary(include_special_tokens=False)
    if not tokens:
        raise ValueError(f"Column {name!r} has no word in any of its {len(values)} texts. Leave it out.")
    return {"tokens": [str(token) for token in tokens[:most]], "other": len(tokens) > most}


def _in_words(fields):
    return f"{', '.join(fields[:-1])} and {fields[-1]}"
