"""A folder of example files, one subfolder a class: what folders of images and of recordings share."""

import copy
import os
import warnings
from pathlib import Path

import numpy as np

from tf_transfer import _checks
from tf_transfer.data.example_files import (
    find_bad,
    find_files,
    is_hidden,
    missing,
    report_bad,
    summarize,
    warn_ignored,
)
from tf_transfer.data.file_streams import example_batches
from tf_transfer.data.labels import balanced_class_weight, held_out_mask


class ClassFolder:
    """Labelled files in one folder a class, checked before anything is trained.

    `ImageFolder` and `AudioFolder` are such folders. A subclass says what kind of files it reads and how: it has a
    `kind`, an `example_shape`, and the method `in_order`.

    Args:
        directory: Path of the folder that has the class folders.
        skip_bad: Bool, whether to leave out bad files with a warning instead of raising an error that lists them.
            Defaults to False.
        class_names: List of folder names that gives the labels their order. Other folders are left out, with a
            warning. Defaults to None: all folders, sorted.

    Attributes:
        files: List of strings, the files.
        labels: Integer array of shape (num_files,), dtype int64.
        class_names: List of strings, one a label.
        bad: List of pairs (file, reason), what was left out by `skip_bad=True`.
        example_shape: Tuple of integers, the shape of one x.

    Example:

    >>> issubclass(tft.data.ImageFolder, ClassFolder), issubclass(tft.data.AudioFolder, ClassFolder)
    (True, True)
    """

    kind = None

    def __init__(self, directory, skip_bad=False, class_names=None):
        self.directory = Path(directory)
        folders = _class_folders(self.directory, self.kind)
        self.class_names = sorted(folders) if class_names is None else _given_classes(class_names, folders)
        if len(self.class_names) < 2:
            raise ValueError(
                f"A classifier needs at least two classes. {self.directory} has one class folder with "
                f"{self.kind.nouns}: {self.class_names}. Expected one folder per class, such as "
                f"{self.directory.name}/cat and {self.directory.name}/dog."
            )
        self._find_files(folders, may_be_empty=class_names is not None)
        self._leave_out_bad(skip_bad)

    def __len__(self):
        return len(self.files)

    def __repr__(self):
        return (
            f"<{type(self).__name__} {self.directory}: {len(self)} {self.kind.nouns}, {len(self.class_names)} classes>"
        )

    def split(self, validation_split, seed=0):
        """Splits every class by the same fraction, at random.

        Args:
            validation_split: Float in (0, 1), the fraction of each class that goes to validation. A
                class of at least two files has one in both parts; a single one is trained on.
            seed: Integer, the same seed gives the same split. Defaults to 0.

        Returns:
            A pair of folders of the same kind (training, validation).
        """
        fraction = _checks.number(validation_split, "validation_split")
        if not 0 < fraction < 1:
            raise ValueError(
                f"`validation_split` must be between 0 and 1. Received: validation_split={validation_split!r}."
            )
        held_out = held_out_mask(self.labels, fraction, seed)
        if not held_out.any():
            raise ValueError(
                f"{self!r} cannot be split: no class has two {self.kind.nouns}. Add some to {self.directory}."
            )
        return self.subset(~held_out), self.subset(held_out)

    def dataset(self, batch_size=32, *, shuffle=False, seed=None, drop_remainder=False):
        """Returns a `tf.data.Dataset` of batches (x, labels).

        Args:
            batch_size: Positive integer. Defaults to 32.
            shuffle: Bool, whether to read all the files in a new order in each epoch. Defaults to
                False.
            seed: Integer or None, the same seed gives the same orders. Defaults to None.
            drop_remainder: Bool, whether to leave out a last batch that is not full. Defaults to
                False.

        Returns:
            A finite dataset of known cardinality: float32 x of shape `(batch, *example_shape)` and
            int64 labels `(batch,)`.
        """
        return example_batches(self, batch_size, shuffle, seed, drop_remainder)

    def in_order(self, indices):
        """Returns a dataset of single pairs (x, label) in the order of `indices`, a dataset of integers."""
        raise NotImplementedError(f"{type(self).__name__} must define `in_order`.")

    def class_weight(self):
        """Returns `{label: weight}` for `fit(class_weight=...)`, rare classes weighing more."""
        return balanced_class_weight(self.labels, len(self.class_names))

    def subset(self, rows):
        """Returns a folder of the files at `rows`, a boolean or integer array."""
        part, chosen = copy.copy(self), np.arange(len(self))[rows]
        part.files = [self.files[row] for row in chosen]
        part.labels = self.labels[chosen]
        return part

    def _find_files(self, folders, may_be_empty):
        files, labels, ignored = [], [], []
        for label, name in enumerate(self.class_names):
            found, passed_over = find_files(folders[name], self.kind)
            if not found:
                self._report_empty(name, may_be_empty)
            files += found
            labels += [label] * len(found)
            ignored += passed_over
        warn_ignored(ignored, str(self.directory), self.kind)
        if not files:
            raise ValueError(f"The class folders of {self.directory} have no {_expected(self.kind)}.")
        self.files, self.labels = files, np.array(labels, np.int64)

    def _report_empty(self, name, may_be_empty):
        sentence = f"The class folder {self.directory / name} has no {_expected(self.kind)}."
        if not may_be_empty:
            raise ValueError(f"{sentence} Remove it or fill it; to keep the label all the same, pass `class_names`.")
        warnings.warn(sentence, stacklevel=6)

    def _leave_out_bad(self, skip_bad):
        self.bad = find_bad(self.files, self.kind)
        report_bad(self.bad, len(self), str(self.directory), self.kind, skip_bad)
        left_out = {each.file for each in self.bad}
        before = self.labels
        good = self.subset(np.array([file not in left_out for file in self.files]))
        self.files, self.labels = good.files, good.labels
        emptied = [self.class_names[label] for label in np.setdiff1d(before, self.labels)]
        if emptied:
            raise ValueError(f"No usable {self.kind.noun} is left of class {emptied[0]!r}. {summarize(self.bad)}")


def _expected(kind):
    return f"{kind.nouns} ({', '.join(kind.suffixes)})"


def _class_folders(directory, kind):
    """Returns `{name: path}` of the visible subfolders and says what lies beside them."""
    if not directory.exists():
        raise FileNotFoundError(missing(directory, "folder"))
    if not directory.is_dir():
        raise NotADirectoryError(f"Expected a folder with one subfolder per class. Received a file: {directory}.")
    try:
        entries = [entry for entry in os.scandir(directory) if not is_hidden(entry.name)]
    except PermissionError as error:
        raise PermissionError(f"The folder cannot be read: {directory}. {error.strerror}.") from error
    folders = {entry.name: entry.path for entry in entries if entry.is_dir()}
    beside = [entry.name for entry in entries if Path(entry.name).suffix.lower() in kind.suffixes and entry.is_file()]
    if not folders:
        found = f"{len(beside)} {kind.nouns} directly in it" if beside else "nothing like that"
        raise ValueError(
            f"{directory} must have one folder of {kind.nouns} per class, such as {directory.name}/cat and "
            f"{directory.name}/dog. Found {found}."
        )
    if beside:
        warnings.warn(
            f"Ignored {len(beside)} {kind.nouns} directly in {directory} (such as {min(beside)}): only those in a "
            "class folder have a label.",
            stacklevel=5,
        )
    return folders


def _given_classes(class_names, folders):
    class_names = list(class_names)
    for name in class_names:
        if name not in folders:
            hint = _checks.did_you_mean(name, folders)
            raise ValueError(f"`class_names` has {name!r}, but the folders are {sorted(folders)}.{hint}")
    if len(set(class_names)) < len(class_names):
        raise ValueError(f"`class_names` must be different names. Received: class_names={class_names!r}.")
    unused = sorted(set(folders) - set(class_names))
    if unused:
        warnings.warn(f"Ignored folders that are not in `class_names`: {', '.join(unused)}", stacklevel=5)
    return class_names
