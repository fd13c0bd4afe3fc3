"""Files of rows: comma- or tab-separated with a header, plain or compressed."""

import bz2
import contextlib
import csv
import gzip
import io
import lzma
import os
import zlib
from pathlib import Path
from typing import NamedTuple

from tf_transfer import _checks

_OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_TABS = (".tsv", ".tab")
_SEPARATORS = (",", ";", "\t", "|")
# A quote that is never closed must not read the rest of a file as one field, and a long document must fit.
_LONGEST_FIELD = 1 << 24


class Rows(NamedTuple):
    """The rows of a delimited file.

    Args:
        path: String, the file.
        columns: List of strings, the names in its header.
        values: List of lists of strings, one a row.
        lines: List of integers, the line of the file at which each row begins, counted from 1.
    """

    path: str
    columns: list
    values: list
    lines: list

    def column(self, name):
        """Returns the strings of one column."""
        index = self.columns.index(name)
        return [row[index] for row in self.values]

    def at(self, index, column):
        """Returns the place of a value, for a message."""
        return f"{self.path}, line {self.lines[index]} (row {index + 1}), column {column!r}"


def read_rows(path, separator=None):
    """Reads a CSV or TSV file with a header, UTF-8, plain or as `.gz`, `.xz` or `.bz2`.

    Args:
        path: Path of the file. Tab-separated fields may be quoted as in CSV; where the quotes of such a file don't
            pair they are taken for letters.
        separator: String, or None for a tab in ".tsv" files and else the one that splits the first line into most
            names. Defaults to None.

    Returns:
        `Rows`.

    Raises:
        FileNotFoundError: When there is no such file.
        ValueError: When the file is no table with a header, naming the line.
    """
    path = os.fspath(path)
    text = _read(path)
    separator = separator or _separator(path, text.split("\n", 1)[0])
    try:
        return _checked(path, *_parsed(path, text, separator, quoting=csv.QUOTE_MINIMAL))
    except ValueError:
        if separator != "\t" or '"' not in text:
            raise
    return _checked(path, *_parsed(path, text, separator, quoting=csv.QUOTE_NONE))


@contextlib.contextmanager
def unpacked(path, mode="rb", **options):
    """Opens a file that may be compressed as `.gz`, `.xz` or `.bz2`, and says in a sentence when it can't be unpacked.

    Args:
        path: String, the file.
        mode: String, as for `open`. Defaults to "rb".
        **options: As for `open`.
    """
    try:
        with _OPENERS.get(Path(path).suffix.lower(), open)(path, mode, **options) as file:
            yield file
    except (lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} can't be unpacked: {error}.") from error


def one_column(name, rows, argument):
    """Returns `name` when the rows have such a column, else raises a `ValueError` that lists the columns."""
    if name not in rows.columns:
        hint = _checks.did_you_mean(name, rows.columns)
        raise ValueError(f"`{argument}`={name!r} is no column of {rows.path}. Its columns are {rows.columns}.{hint}")
    return name


def _read(path):
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path!r}.")
    with unpacked(path) as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line} is no UTF-8 text: {error.reason}. Save the file as UTF-8.") from error


def _separator(path, first):
    if any(suffix.lower() in _TABS for suffix in Path(path).suffixes):
        return "\t"
    return max(_SEPARATORS, key=lambda each: len(next(csv.reader([first], delimiter=each), [])))


def _parsed(path, text, separator, quoting):
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True)
    rows, lines, begin = [], [], 1
    longest = csv.field_size_limit(_LONGEST_FIELD)
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(begin)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}: the row that begins at line {begin} can't be read: {error}.") from error
    finally:
        csv.field_size_limit(longest)
    return rows, lines


def _checked(path, rows, lines):
    if len(rows) < 2:
        raise ValueError(f"{path} must have a header and rows below it. Received: {len(rows)} rows in all.")
    columns = [name.strip() for name in rows[0]]
    if len(set(columns)) < len(columns) or not all(columns):
        raise ValueError(
            f"The first row of {path} must name the columns, each differently. Received: {_shortened(columns)}."
        )
    for row, line in zip(rows[1:], lines[1:], strict=True):
        if len(row) != len(columns):
            raise ValueError(
                f"{path}, line {line} has {len(row)} fields; the header has {len(columns)}: {_shortened(columns)}."
            )
    return Rows(path, columns, rows[1:], lines[1:])


def _shortened(names):
    return [name if len(name) <= 40 else f"{name[:37]}..." for name in names]
