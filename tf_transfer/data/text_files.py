"""Labelled texts from a file of rows."""

import dataclasses

import numpy as np

from tf_transfer import _checks
from tf_transfer.data.delimited import one_column, read_rows
from tf_transfer.data.label_columns import class_labels, number_labels
from tf_transfer.data.labels import held_out_mask

TEXT_COLUMNS = ("text", "texts", "sentence", "review", "comment", "message", "document", "content", "body")
TARGET_COLUMNS = ("label", "labels", "target", "class", "category", "sentiment", "score", "y")


@dataclasses.dataclass(frozen=True)
class LabelledText:
    """Texts with their labels, as `read_text` gives them; `x, y = ...` takes them apart.

    Args:
        texts: Object array of strings, shape `(num_texts,)`.
        labels: int64 array of shape `(num_texts,)`, float32 for numbers to predict, None for texts without.
        class_names: Tuple of strings, one a label; None where the labels are no classes.
        path: String, the file.

    Example:

    >>> texts = tft.data.LabelledText(np.array(["good", "bad"], object), np.array([1, 0]), ("neg", "pos"), "a.csv")
    >>> x, y = texts
    >>> len(texts), x.tolist(), y.tolist()
    (2, ['good', 'bad'], [1, 0])
    """

    texts: np.ndarray
    labels: np.ndarray | None
    class_names: tuple | None
    path: str

    def __len__(self):
        return len(self.texts)

    def __iter__(self):
        return iter((self.texts, self.labels))

    def __repr__(self):
        classes = "" if self.class_names is None else f", {len(self.class_names)} classes"
        return f"<LabelledText {self.path}: {len(self)} texts{classes}>"

    def split(self, validation_split, seed=0):
        """Splits every class by the same fraction at random, or all texts where there are no classes.

        Args:
            validation_split: Float in (0, 1), the fraction that goes to validation.
            seed: Integer, the same seed gives the same split. Defaults to 0.

        Returns:
            A pair of `LabelledText` (training, validation).
        """
        fraction = _checks.number(validation_split, "validation_split", 0.0, 1.0)
        classes = np.zeros(len(self), int) if self.class_names is None else self.labels
        held_out = held_out_mask(classes, fraction, seed)
        if not held_out.any() or held_out.all():
            raise ValueError(f"{self!r} can't be split: no class has two texts.")
        return self.subset(~held_out), self.subset(held_out)

    def subset(self, rows):
        """Returns the texts at `rows`, a boolean or integer array, as a `LabelledText`."""
        labels = None if self.labels is None else self.labels[rows]
        return dataclasses.replace(self, texts=self.texts[rows], labels=labels)


def read_text(path, text=None, target=None, *, class_names=None, regression=False):
    """Reads labelled texts from a CSV or TSV file with a header.

    Args:
        path: Path of the file, plain or as `.gz`, `.xz` or `.bz2`, in UTF-8.
        text: String, the column of the texts. Defaults to None: the one with a name such as "text", "review" or
            "sentence", or the only one besides the target.
        target: String, the column of the labels. Defaults to None: the one with a name such as "label", "class" or
            "target", or the only one besides the text. False reads texts without labels.
        class_names: Sequence of the labels as the file spells them, which gives them their order, for instance
            `train.class_names` for a test file. Defaults to those in the file, sorted (numbers by size).
        regression: Boolean, whether the target is a number to predict instead of a class. Defaults to False.

    Returns:
        A `LabelledText`.

    Raises:
        FileNotFoundError: When there is no such file.
        ValueError: When it is no table, a column can't be told, a text is empty, a label is missing or not one of
            `class_names`, or all texts have one label. The message names the file, the line and the column.

    Example:

    >>> with open("reviews.csv", "w") as file:
    ...     _ = file.write("review,label\\n\\"Sharp, and light\\",good\\nBroke at once,bad\\nGot dull,bad\\n")
    >>> reviews = tft.data.read_text("reviews.csv")
    >>> reviews.class_names, reviews.texts.tolist(), reviews.labels.tolist()
    (('bad', 'good'), ['Sharp, and light', 'Broke at once', 'Got dull'], [1, 0, 0])
    """
    rows = read_rows(path)
    text, target = _columns(rows, text, target)
    texts = _texts(rows, text)
    if target is None:
        return LabelledText(texts, None, None, rows.path)
    found = [value.strip() for value in rows.column(target)]
    for index, value in enumerate(found):
        if not value:
            raise ValueError(f"{rows.at(index, target)}: the label is missing. Fill it in, or leave the row out.")
    if regression:
        return LabelledText(texts, number_labels(rows, target, found), None, rows.path)
    return LabelledText(texts, *class_labels(rows, target, found, class_names), rows.path)


def _columns(rows, text, target):
    """Returns the names of the two columns, the target's None when there is to be none."""
    if text is not None:
        one_column(text, rows, "text")
    if target not in (None, False):
        one_column(target, rows, "target")
    text = text or _guess(rows, TEXT_COLUMNS, target, "text")
    if target is None:
        target = _guess(rows, TARGET_COLUMNS, text, "target")
    if text == target:
        raise ValueError(f"`text` and `target` must be two columns of {rows.path}. Received: {text!r} for both.")
    return text, target or None


def _guess(rows, known, other, argument):
    left = [name for name in rows.columns if name != other]
    named = [name for name in left if name.lower() in known]
    unused = [name for name in left if name.lower() not in (*TEXT_COLUMNS, *TARGET_COLUMNS)]
    if len(named) == 1:
        return named[0]
    if len(left) == 1 and other is not None:
        return left[0]
    if not named and len(rows.columns) == 2 and len(unused) == 1:
        return unused[0]
    headless = any(len(name.split()) > 4 for name in rows.columns)
    raise ValueError(
        f"It isn't plain which column of {rows.path} is the {argument}. Say `{argument}=` one of "
        f"{[name[:60] for name in rows.columns]}." + (" The first row must be a header with names." * headless)
    )


def _texts(rows, column):
    texts = rows.column(column)
    for index, each in enumerate(texts):
        if not each.strip():
            raise ValueError(f"{rows.at(index, column)}: the text is empty. Fill it in, or leave the row out.")
    return np.array(texts, object)
