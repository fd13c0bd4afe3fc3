"""Tables as columns: whatever holds them becomes arrays by name, and each column is of a kind."""

import numbers

import numpy as np

from tf_transfer import _checks

KINDS = ("number", "category", "text")
_MANY = 0.5
_ALL = 0.95
_FEW_ROWS = 20
_WORDS = 3.0


def table_columns(table, names=None):
    """Returns the columns of a table as arrays of two types: numbers, and texts.

    Args:
        table: A pandas `DataFrame`, a dict from names to arrays or lists of shape `(num_rows,)` or `(num_rows, 1)`, or
            what `tft.data.read_table` returns. Missing are NaN, None and pandas' NA; among texts also "".
        names: Iterable of strings, the columns that are wanted. Defaults to all.

    Returns:
        Dict from names to arrays of shape `(num_rows,)`: float64 with NaN where a number is missing, or objects that
        are strings, "" where one is missing.

    Raises:
        ValueError: For a column that is not there, holds numbers and texts, infinity or something else, or has another
            length than the others. The rows are counted from 0.

    Example:

    >>> columns = tft.data.table_columns({"age": [63, None], "city": ["Basel", None]})
    >>> columns["age"].tolist(), columns["city"].tolist()
    ([63.0, nan], ['Basel', ''])
    """
    known = list(getattr(table, "columns", table)) if hasattr(table, "__getitem__") and hasattr(table, "keys") else None
    if known is None:
        raise ValueError(
            "A table must be a pandas DataFrame or a dict from names of columns to arrays. "
            f"Received: {type(table).__name__}."
        )
    names = known if names is None else list(names)
    for name in names:
        check_column(name, known)
    found = {name: _values(table[name], name) for name in names}
    sizes = {name: len(values) for name, values in found.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"The columns of a table must have as many rows each. Received: {sizes}.")
    return found


def check_column(name, known, where="The table"):
    """Returns `name` when it is one of the columns `known`, else raises a `ValueError` that lists them."""
    if name not in known:
        hint = _checks.did_you_mean(name, known)
        raise ValueError(f"{where} has no column {name!r}; it has {[str(each) for each in known]}.{hint}")
    return name


def column_kinds(table, names=None):
    """Returns what each column of a table seems to be, from its values.

    Numbers are numbers, also where they are codes: say "category" yourself for those. Texts are texts when more than
    half of them differ and they have three words or more on average, and else categories. A column can also be found
    to say nothing: "constant" with one value in all rows, "identifier" when 95% of 20 texts or more differ and are
    single words.

    Args:
        table: As of `tft.data.table_columns`.
        names: Iterable of strings, the columns that are wanted. Defaults to all.

    Returns:
        Dict from names to "number", "category", "text", "constant" or "identifier".

    Example:

    >>> tft.data.column_kinds({"age": [63, 41, 50], "city": ["Basel", "Bern", "Bern"], "country": ["CH"] * 3})
    {'age': 'number', 'city': 'category', 'country': 'constant'}
    """
    return {name: _kind(values) for name, values in table_columns(table, names).items()}


def is_missing(values):
    """Returns a boolean array: where a column of `table_columns` has no value."""
    return np.isnan(values) if values.dtype.kind == "f" else values == ""


def _kind(values):
    present = values[~is_missing(values)]
    distinct = len(set(present.tolist()))
    # Whether a value is there can say something, too.
    if distinct + (len(present) < len(values)) < 2 or not distinct:
        return "constant"
    if values.dtype.kind == "f":
        return "number"
    words = np.mean([len(value.split()) for value in present])
    if distinct > _MANY * len(present) and words >= _WORDS:
        return "text"
    if len(present) >= _FEW_ROWS and distinct >= _ALL * len(present) and words < 2:
        return "identifier"
    return "category"


def _values(given, name):
    # NumPy would make texts of the numbers in a list with both.
    values = np.asarray(given, dtype=object if isinstance(given, list | tuple) else None)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "biufOUS":
        raise ValueError(
            f"Column {name!r} must hold numbers or texts, one a row. Received: {values.dtype} of shape {values.shape}. "
            "Leave it out, or encode it as numbers."
        )
    values = _from_objects(values, name) if values.dtype.kind in "OUS" else values.astype("float64")
    if values.dtype.kind == "f" and np.isinf(values).any():
        row = np.flatnonzero(np.isinf(values))[0]
        raise ValueError(f"Column {name!r} has an infinite value in row {row} (from 0). Replace it, or leave it out.")
    return values


def _from_objects(values, name):
    values = [None if _is_nothing(value) else value for value in values.tolist()]
    texts = [isinstance(value, str | bytes) for value in values]
    if any(texts):
        wrong = [row for row, value in enumerate(values) if value is not None and not texts[row]]
        what = "texts"
    else:
        wrong = [row for row, value in enumerate(values) if not (value is None or isinstance(value, numbers.Real))]
        what = "numbers or texts"
    if wrong:
        raise ValueError(
            f"Column {name!r} must hold {what} only. Received: {values[wrong[0]]!r} in row {wrong[0]} (from 0). Make "
            "it one kind, for instance with `astype(str)`, or leave it out."
        )
    if any(texts):
        texts = ["" if v is None else v.decode("utf-8") if isinstance(v, bytes) else v for v in values]
        return np.array(texts, dtype=object)
    return np.array([np.nan if value is None else value for value in values], dtype="float64")


def _is_nothing(value):
    # pandas' NA and NaT can't be compared, and pandas need not be there.
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (value != value) is True
