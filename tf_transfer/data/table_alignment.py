"""A source table and a target table with differing columns: those of one name are set side by side."""

from typing import NamedTuple

import numpy as np

from tf_transfer import _checks
from tf_transfer.data.table_columns import table_columns


class AlignedTables(NamedTuple):
    """Two tables with the same columns in the same order, and what became of the others.

    Args:
        source: Dict from names to arrays of shape `(num_rows,)`, float64 or strings, of the source.
        target: The same of the target, with the same names.
        only_source: Tuple of strings, columns of the source that the target lacks.
        only_target: Tuple of strings, columns of the target that the source lacks. They are left out.
        filled: Tuple of strings, those of `only_source` that the target has as missing values now.
    """

    source: dict
    target: dict
    only_source: tuple
    only_target: tuple
    filled: tuple

    def __str__(self):
        lines = [f"{len(self.source) - len(self.filled)} columns in both: {_names(self.source, self.filled)}"]
        if self.only_source:
            what = "missing in all rows of the target" if self.filled else "left out"
            lines.append(f"{len(self.only_source)} in the source only, {what}: {_names(self.only_source)}")
        if self.only_target:
            lines.append(f"{len(self.only_target)} in the target only, left out: {_names(self.only_target)}")
        return "\n".join([*lines, *_near(self.only_source, self.only_target)])


def align_tables(source, target, keep="common", *, verbose=True):
    """Sets two tables side by side: the columns of the same name, in the order of the source.

    Names must be equal; those that only look alike are pointed out, not matched.

    Args:
        source: A table as of `tft.data.table_columns`.
        target: Likewise.
        keep: "common", the columns that both have, or "source", all of the source: those that the target lacks are
            missing in all of its rows, which a model of the source takes. Defaults to "common".
        verbose: Boolean, whether to print which columns stay and which don't. Defaults to True.

    Returns:
        An `AlignedTables`: `(source, target, only_source, only_target, filled)`.

    Raises:
        ValueError: When no column has the same name, or one holds numbers in one table and texts in the other.

    Example:

    >>> aligned = tft.data.align_tables({"age": [63], "ca": [0]}, {"Ca": [1], "age": [40], "ward": ["B"]})
    1 columns in both: age
    1 in the source only, left out: ca
    2 in the target only, left out: Ca, ward
    Do 'ca' and 'Ca' mean the same? Rename one of them then.
    >>> aligned.target["age"].tolist()
    [40.0]
    """
    _checks.one_of(keep, "keep", ["common", "source"])
    source, target = table_columns(source), table_columns(target)
    common = [name for name in source if name in target]
    if not common:
        raise ValueError(
            f"Source and target have no column of the same name. The source has {list(source)}, the target "
            f"{list(target)}. Rename those that mean the same."
        )
    for name in common:
        _check_same_type(name, source[name], target[name])
    only_source = tuple(name for name in source if name not in target)
    only_target = tuple(name for name in target if name not in source)
    filled = only_source if keep == "source" else ()
    num_rows = len(target[common[0]])
    kept = [name for name in source if name in target or name in filled]
    aligned = AlignedTables(
        {name: source[name] for name in kept},
        {name: target[name] if name in target else _missing(source[name], num_rows) for name in kept},
        only_source,
        only_target,
        filled,
    )
    if verbose:
        print(aligned)
    return aligned


def _check_same_type(name, source, target):
    what = {"f": "numbers", "O": "texts"}
    if source.dtype.kind != target.dtype.kind:
        raise ValueError(
            f"Column {name!r} holds {what[source.dtype.kind]} in the source and {what[target.dtype.kind]} in the "
            "target. Bring one to the type of the other, or rename it."
        )


def _missing(like, num_rows):
    return np.full(num_rows, np.nan) if like.dtype.kind == "f" else np.full(num_rows, "", dtype=object)


def _names(names, but=()):
    return ", ".join(name for name in names if name not in but)


def _near(only_source, only_target):
    plain = {_plain(name): name for name in only_target}
    pairs = [(name, plain[_plain(name)]) for name in only_source if _plain(name) in plain]
    return [f"Do {one!r} and {other!r} mean the same? Rename one of them then." for one, other in pairs]


def _plain(name):
    return "".join(letter for letter in name.lower() if letter.isalnum())
