"""What can be told of labelled examples before anything is trained: their kind, their classes, how many of each."""

import dataclasses
import os
import typing

import keras
import numpy as np
import tensorflow as tf

from tf_transfer.data import AudioFolder, ImageFolder, LabelledText, Table, as_dataset

_TAKEN = (
    "a folder of images (a path or an `ImageFolder`), an `AudioFolder`, a `LabelledText`, a `Table` of "
    "`tft.data.read_table`, arrays (x, y) of images, texts or a dict of columns, or a finite `tf.data.Dataset` of "
    "images with labels"
)
_ANY_SIZE = (224, 224)


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Labelled examples of one kind.

    Attributes:
        kind: "images", "texts", "rows" or "recordings".
        data: What `tft.fine_tune` takes, or, of a table, a pair of its columns and the labels.
        labels: Integer array of shape `(num_examples,)`.
        class_names: Tuple of strings, or None.
        shape: Tuple (height, width, channels) of images in arrays and streams, None for all else.
        path: String, the folder or file that they come from, or None.
    """

    kind: str
    data: typing.Any
    labels: np.ndarray
    class_names: tuple | None = None
    shape: tuple | None = None
    path: str | None = None

    @property
    def num_classes(self):
        """Integer."""
        return int(self.labels.max()) + 1 if self.class_names is None else len(self.class_names)

    @property
    def counts(self):
        """Integer array, the examples of each class."""
        return np.bincount(self.labels, minlength=self.num_classes)

    @property
    def per_class(self):
        """Integer, how many examples a class has: the median over the classes."""
        return int(np.median(self.counts))

    def sized(self, shape):
        """Returns the data with images of `shape`, as they are where they have it or are no images."""
        if self.kind != "images" or tuple(shape) == self.shape:
            return self.data
        if isinstance(self.data, ImageFolder):
            return self.data.resized(shape[:2], shape[2])
        if self.shape is not None and shape[2] != self.shape[2]:
            raise ValueError(f"The images have {self.shape[2]} channels, and the backbone takes {shape[2]}.")
        if isinstance(self.data, tf.data.Dataset):
            return self.data.map(lambda x, *labels: (keras.ops.image.resize(x, shape[:2]), *labels))
        x = np.concatenate(
            [tf.image.resize(part, shape[:2]).numpy() for part in np.array_split(self.data[0], 16) if len(part)]
        )
        return (x, *self.data[1:])


def read_examples(data, name="data"):
    """Returns the `Examples` that an argument stands for.

    Raises:
        TypeError: For what is no labelled data.
        ValueError: For numbers instead of classes, or a single class.
    """
    if isinstance(data, str | os.PathLike):
        data = ImageFolder(data, _ANY_SIZE)
    if isinstance(data, ImageFolder | AudioFolder):
        kind = "images" if isinstance(data, ImageFolder) else "recordings"
        found = Examples(kind, data, data.labels, tuple(data.class_names), None, os.fspath(data.directory))
    elif isinstance(data, LabelledText):
        found = Examples("texts", data, _classes(data.labels, name), data.class_names, None, data.path)
    elif isinstance(data, Table):
        found = Examples("rows", (data, data.y), _classes(data.y, name), data.class_names, None, data.path)
    elif isinstance(data, tf.data.Dataset):
        found = _of_stream(data, name)
    elif isinstance(data, tuple) and len(data) in (2, 3):
        found = _of_arrays(data, name)
    else:
        raise TypeError(f"`{name}` must be {_TAKEN}. Received: {type(data).__name__}.")
    if found.num_classes < 2:
        raise ValueError(f"`{name}` must have two classes or more. Received: one.")
    if not found.counts.all():
        missing = np.flatnonzero(found.counts == 0).tolist()
        raise ValueError(
            f"`{name}` must have an example of each of its {found.num_classes} classes: none of {missing}."
        )
    return found


def _of_arrays(data, name):
    x, y = data[0], _classes(data[1], name)
    if isinstance(x, dict):
        return Examples("rows", (x, y), y)
    x = np.asarray(x)
    if len(x) != len(y):
        raise ValueError(f"`{name}` must have a label for each example. Received: {len(x)} examples, {len(y)} labels.")
    if x.ndim == 4:
        return Examples("images", (x, y, *data[2:]), y, None, x.shape[1:])
    if x.ndim == 1 and x.dtype.kind in "OUS":
        return Examples("texts", (x, y, *data[2:]), y)
    raise ValueError(
        f"`{name}` must be {_TAKEN}. Received: an array of shape {x.shape}. Columns of numbers go as a dict of "
        "names to arrays; for other inputs take a builder of your own and `tft.fine_tune`."
    )


def _of_stream(data, name):
    data = as_dataset(data)
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"`{name}` is endless. Say with `dataset.take(num)` how much of it counts.")
    spec = data.element_spec[0]
    if isinstance(spec, dict | tuple) or len(spec.shape) != 4:
        raise ValueError(f"A stream as `{name}` must be of images. Received: {spec}. Give arrays or a folder.")
    labels = np.concatenate([np.asarray(batch[1]) for batch in data])
    shape = tuple(spec.shape[1:])
    return Examples("images", data, _classes(labels, name), None, None if None in shape else shape)


def _classes(labels, name):
    """Returns labels as integers; one-hot ones become their classes."""
    labels = np.asarray([] if labels is None else labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and np.allclose(labels.sum(axis=1), 1) and np.isin(labels, [0, 1]).all():
        labels = labels.argmax(axis=1)
    whole = labels.size and labels.dtype.kind in "biuf" and np.array_equal(labels, np.round(labels))
    if labels.ndim != 1 or not whole or labels.min() < 0:
        raise ValueError(
            f"`{name}` must have one class an example: integers 0, 1, ... or one-hot. Received: {labels.dtype} of "
            f"shape {labels.shape}. For values to predict take `tft.ImageRegressor`, `tft.TextRegressor` or "
            "`tft.TabularRegressor` and `tft.fine_tune`; names become integers by "
            "`np.unique(names, return_inverse=True)`."
        )
    return labels.astype("int64")
