"""The column of labels of a file: classes or numbers."""

import math

import numpy as np

from tf_transfer import _checks


def class_labels(rows, column, values, class_names=None):
    """Returns the classes of a column as int64, shape `(num_rows,)`, and the names of the classes.

    Args:
        rows: `Rows`.
        column: String, its name.
        values: List of strings, those of the column.
        class_names: Sequence of strings, the classes in their order. Defaults to those that are there, sorted, numbers
            by size.

    Raises:
        ValueError: For a value that is no class, for one class only, and for values of which most differ.
    """
    names = _sorted(set(values)) if class_names is None else tuple(str(name) for name in class_names)
    if len(set(names)) < len(names):
        raise ValueError(f"`class_names` must be different names. Received: class_names={list(names)}.")
    known = set(names)
    for index, value in enumerate(values):
        if value not in known:
            hint = _checks.did_you_mean(value, names)
            raise ValueError(f"{rows.at(index, column)} must be one of {list(names)}. Received: {value!r}.{hint}")
    if len(names) < 2:
        raise ValueError(
            f"A classifier needs at least two classes. Column {column!r} of {rows.path} has one in all {len(values)} "
            f"rows: {names[0]!r}."
        )
    if class_names is None and len(names) > 100 and len(names) > len(values) / 2:
        raise ValueError(
            f"Column {column!r} of {rows.path} has {len(names)} different values in {len(values)} rows, which are no "
            "classes. Say another `target=`, or `regression=True` (of a table, `task='regression'`) for numbers."
        )
    number = {name: label for label, name in enumerate(names)}
    return np.array([number[value] for value in values], "int64"), names


def number_labels(rows, column, values):
    """Returns the values of a column as float32, shape `(num_rows,)`; an error names the line of what is no number.

    Args:
        rows: `Rows`.
        column: String, its name.
        values: List of strings, those of the column.
    """
    numbers = np.empty(len(values), "float32")
    for index, value in enumerate(values):
        try:
            numbers[index] = float(value)
        except ValueError as error:
            raise ValueError(f"{rows.at(index, column)} must be a number. Received: {value!r}.") from error
        if not math.isfinite(numbers[index]):
            raise ValueError(f"{rows.at(index, column)} must be a finite number. Received: {value!r}.")
    return numbers


def _sorted(names):
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))
