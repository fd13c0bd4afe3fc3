"""A table with a target column, read from a file."""

import collections.abc
import dataclasses

import numpy as np

from tf_transfer import _checks
from tf_transfer.data.label_columns import class_labels, number_labels
from tf_transfer.data.table_columns import KINDS, check_column, column_kinds, is_missing
from tf_transfer.data.table_files import MISSING, read_column, read_table_rows

_FEW_CLASSES = 20
_SAYS_NOTHING = {
    "constant": "one value in all rows",
    "identifier": "another word in nearly each row, which names the row and can't be learned from",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Table(collections.abc.Mapping):
    """The columns of a file, by name, with its target and what was found out about it: made by `tft.data.read_table`.

    It is a mapping from names to arrays, and so goes wherever a table does: `builder.adapt(table, table.y)`,
    `builder.inputs(table)`, `tft.data.align_tables(table, other)`.

    Args:
        columns: Dict from names to arrays of shape `(num_rows,)`, without the target.
        kinds: Dict from names to "number", "category" or "text", for the `columns` of a builder.
        y: Array of shape `(num_rows,)`: integer classes, float values, or None without a target.
        target: String, the name of the target column, or None.
        task: "classification", "regression" or None.
        class_names: Tuple of strings, in the order of the classes, or None.
        left_out: Dict from names of columns that say nothing to the reason.
        path: String, the file.
    """

    columns: dict
    kinds: dict
    y: np.ndarray | None = None
    target: str | None = None
    task: str | None = None
    class_names: tuple | None = None
    left_out: dict = dataclasses.field(default_factory=dict)
    path: str = ""

    def __getitem__(self, name):
        return self.columns[name]

    def __iter__(self):
        return iter(self.columns)

    def __len__(self):
        return len(self.columns)

    @property
    def num_rows(self):
        """Integer, the number of rows."""
        return len(next(iter(self.columns.values())))

    def __str__(self):
        lines = [f"{self.path}: {self.num_rows} rows{self._about_target()}"]
        for kind in KINDS:
            names = [_with_missing(name, self.columns[name]) for name, each in self.kinds.items() if each == kind]
            if names:
                lines.append(f"  {kind}: {', '.join(names)}")
        return "\n".join([*lines, *(f"  left out: {name} ({reason})" for name, reason in self.left_out.items())])

    def _about_target(self):
        if self.class_names:
            counts = np.bincount(self.y, minlength=len(self.class_names))
            classes = ", ".join(f"{name} {count}" for name, count in zip(self.class_names, counts, strict=True))
            return f"; {self.target} has {len(self.class_names)} classes: {classes}"
        if self.y is not None:
            return f"; {self.target} from {self.y.min():g} to {self.y.max():g}, {self.y.mean():g} on average"
        return ""


def read_table(
    path,
    target=None,
    task=None,
    *,
    columns=None,
    kinds=None,
    class_names=None,
    separator=None,
    missing=MISSING,
    verbose=True,
):
    """Reads a CSV, TSV or parquet file, with a target column, and says what it takes each column for.

    Args:
        path: Path of the file: .csv or .tsv, plain or as .gz, .xz or .bz2, UTF-8, with the names of the columns in its
            first line; or .parquet, which takes pandas.
        target: String, the column to be predicted. Defaults to None: there is none.
        task: "classification" or "regression". Defaults to None: a target of texts or of at most 20 different whole
            numbers makes it a classification.
        columns: Sequence of strings, the columns to predict from, also those that seem to say nothing. Defaults to all
            but the target, those that say nothing left out.
        kinds: Dict from names to "number", "category" or "text", where what is found would be wrong: codes such as 1
            to 4 look like numbers. Defaults to what `tft.data.column_kinds` finds.
        class_names: Sequence of strings, the classes in their order, as the table that a model was trained on had
            them. Defaults to those that are there, sorted, numbers by value.
        separator: String between the values. Defaults to None: a tab in .tsv and .tab, in .csv a comma, or a semicolon
            where the first line has no comma.
        missing: Sequence of strings in lower case that stand for no value, besides "". Defaults to "?", "na", "n/a",
            "nan" and "null".
        verbose: Boolean, whether to print what was found. Defaults to True.

    Returns:
        A `Table`.

    Raises:
        FileNotFoundError: When there is no such file.
        ValueError: For a column that isn't there, a target with missing values, with one class, or without numbers
            where values are to be predicted, and for what is wrong in the file, with its line.

    Example:

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "rows.csv")
    >>> _ = file.write_text("age,city,sick\\n63,Basel,yes\\n41,Bern,no\\n?,Bern,no\\n")
    >>> table = tft.data.read_table(file, target="sick", verbose=False)
    >>> table.kinds, table.y.tolist(), table.class_names
    ({'age': 'number', 'city': 'category'}, [1, 0, 0], ('no', 'yes'))
    >>> table["age"].tolist()
    [63.0, 41.0, nan]
    """
    if task is not None:
        _checks.one_of(task, "task", ["classification", "regression"])
    kinds = dict(kinds or {})
    for name, kind in kinds.items():
        _checks.one_of(kind, f"kinds[{name!r}]", KINDS)
    rows = read_table_rows(path, separator)
    for name in [*kinds, *(columns or ()), *(() if target is None else (target,))]:
        check_column(name, rows.columns, rows.path)
    y, task, class_names = _target(rows, target, task, class_names, missing)
    wanted = [name for name in rows.columns if name != target] if columns is None else list(columns)
    values = {name: read_column(rows, name, kinds.get(name), missing) for name in wanted}
    seen = column_kinds(values) | kinds
    left_out = {name: _SAYS_NOTHING[seen[name]] for name in wanted if seen[name] not in KINDS}
    if columns is not None and left_out:
        # Named by the user, so it stays: another table may have more to say.
        seen |= {name: "number" if values[name].dtype.kind == "f" else "category" for name in left_out}
        left_out = {}
    kept = [name for name in wanted if name not in left_out]
    if not kept:
        raise ValueError(f"{rows.path} has no column to predict from. Left out: {left_out}.")
    x, kinds = {name: values[name] for name in kept}, {name: seen[name] for name in kept}
    table = Table(x, kinds, y, target, task, class_names, left_out, rows.path)
    if verbose:
        print(table)
    return table


def _target(rows, target, task, class_names, missing):
    if target is None:
        return None, None, None
    gone = {"", *(str(each).lower() for each in missing)}
    values = [value.strip() for value in rows.column(target)]
    without = [row for row, value in enumerate(values) if value.lower() in gone]
    if without:
        raise ValueError(
            f"{rows.at(without[0], target)}: the target is missing, as in {len(without)} of {len(values)} rows. Leave "
            "these rows out: without a label nothing can be learned from them."
        )
    if (task or _guessed_task(values, class_names)) == "classification":
        y, class_names = class_labels(rows, target, values, class_names)
        return y, "classification", class_names
    y = number_labels(rows, target, values)
    if y.min() == y.max():
        raise ValueError(f"{rows.path}: the target {target!r} is {y[0]:g} in all rows; nothing can be learned.")
    return y, "regression", None


def _guessed_task(values, class_names):
    try:
        numbers = {float(value) for value in values}
    except ValueError:
        return "classification"
    few = len(numbers) <= _FEW_CLASSES and all(number.is_integer() for number in numbers)
    return "classification" if few or class_names is not None else "regression"


def _with_missing(name, values):
    count = is_missing(values).sum()
    return f"{name} ({count} missing)" if count else name
