"""Rows of a file become columns: numbers where all values are numbers, texts else, with the line of what can't be."""

import os
from pathlib import Path

import numpy as np

from tf_transfer.data.delimited import Rows, read_rows

MISSING = ("?", "na", "n/a", "nan", "null")
_MOSTLY = 0.9
_PARQUET = (".parquet", ".pq")


class ParquetRows(Rows):
    """The rows of a parquet file, as strings like those of a text file, so that one reading fits both."""

    __slots__ = ()

    def at(self, index, column):
        """Returns the place of a value, for a message."""
        return f"{self.path}, row {index + 1}, column {column!r}"


def read_table_rows(path, separator=None):
    """Returns the `Rows` of a CSV, TSV or parquet file.

    Args:
        path: Path of the file; parquet is known by ".parquet" or ".pq".
        separator: String between the values of a text file, or None for what `read_rows` takes.

    Raises:
        ImportError: For parquet without pandas.
    """
    if Path(os.fspath(path)).suffix.lower() not in _PARQUET:
        return read_rows(path, separator)
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {os.fspath(path)!r}.")
    try:
        import pandas

        frame = pandas.read_parquet(path)
    except ImportError as error:
        raise ImportError(
            f"{os.fspath(path)!r} is parquet, which pandas and pyarrow read: `pip install tf-transfer[tables]`. Or "
            "write it as CSV."
        ) from error
    if not len(frame):
        raise ValueError(f"{path} must have rows. Received: none.")
    # A frame's own `astype(str)` writes missing values in five ways.
    values = [["" if gone else str(value) for value, gone in zip(*rows, strict=True)] for rows in _rows(frame)]
    return ParquetRows(os.fspath(path), [str(name) for name in frame.columns], values, list(range(1, len(frame) + 1)))


def _rows(frame):
    return zip(frame.itertuples(index=False, name=None), frame.isna().to_numpy().tolist(), strict=True)


def read_column(rows, name, kind=None, missing=MISSING):
    """Returns a column as `table_columns` does: float64 with NaN for missing, or strings with "".

    Args:
        rows: `Rows`.
        name: String, the column.
        kind: "text" keeps texts that look like numbers, "category" takes both, "number" numbers only. None takes
            both, but no column of numbers in which a few values are none, since that is a slip more often than not.
        missing: Sequence of strings in lower case that stand for no value, besides "".
    """
    gone = {"", *(str(each).lower() for each in missing)}
    values = ["" if value.strip().lower() in gone else value.strip() for value in rows.column(name)]
    found = [None if kind == "text" else _number(value) for value in values]
    present = [row for row, value in enumerate(values) if value]
    bad = [row for row in present if found[row] is None]
    if kind != "text" and not bad:
        return np.array([np.nan if value is None else value for value in found], dtype="float64")
    if kind == "number" or (kind is None and len(bad) <= (1 - _MOSTLY) * len(present)):
        raise ValueError(
            f"{rows.at(bad[0], name)} must be a number, as it is in {len(present) - len(bad)} rows. Received: "
            f"{values[bad[0]]!r}. Correct it, name it in `missing`, or say kinds={{{name!r}: 'category'}}."
        )
    return np.array(values, dtype=object)


def _number(text):
    # Python alone reads "1_000" as a number.
    if not text or "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
