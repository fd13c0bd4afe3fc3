"""Parts held out of the examples, class by class."""

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.labels import held_out_mask
from tf_transfer.data.text_files import LabelledText


def hold_out(data, fraction, seed=0):
    """Splits examples into a part to train on and a part held out.

    Args:
        data: An `ImageFolder` or `AudioFolder`, a `LabelledText`, or arrays `(x, y)` or `(x, y, sample_weight)`; `x`
            may be a dict of arrays. Integer and one-hot labels are split class by class, other targets and those of
            several tasks at random.
        fraction: Float in (0, 1), the part held out, of each class.
        seed: Integer, the same seed gives the same split. Defaults to 0.

    Returns:
        A pair of the same kind as `data`, (training, held out).

    Raises:
        ValueError: When `data` is a stream, which can't be split, or no class has two examples.

    Example:

    >>> (x, y), (x_out, y_out) = tft.data.hold_out((np.arange(10), np.arange(10) % 2), 0.4)
    >>> y.tolist(), y_out.tolist()
    ([0, 1, 0, 1, 0, 1], [1, 0, 0, 1])
    """
    if isinstance(data, ClassFolder | LabelledText):
        return data.split(fraction, seed)
    data = _arrays(data)
    _checks.number(fraction, "fraction", 0.0, 1.0)
    labels = _classes(data[1])
    held_out = held_out_mask(labels, fraction, seed)
    if not held_out.any() or held_out.all():
        raise ValueError(f"{fraction:.0%} of {len(labels)} examples leaves a part empty: no class has two examples.")
    return tuple(_rows(data, rows) for rows in (~held_out, held_out))


def folds(data, num_folds=5, *, num_repeats=1, seed=0):
    """Yields parts to train on and parts held out, so that each example is held out once in each repeat.

    Args:
        data: As in `hold_out`. Classes are shared out evenly; other targets, and those of several tasks, at random.
        num_folds: Integer of at least 2, at most the examples of the smallest class. Defaults to 5.
        num_repeats: Integer, how often to divide anew. Defaults to 1.
        seed: Integer, the same seed gives the same parts. Defaults to 0.

    Yields:
        Pairs of the same kind as `data`, (training, held out).

    Raises:
        ValueError: When `data` is a stream, which can't be split, or a class has fewer examples than folds.

    Example:

    >>> for (x, y), (x_out, y_out) in tft.data.folds((np.arange(6), np.arange(6) % 2), 3):
    ...     print(sorted(y_out.tolist()), len(x))
    [0, 1] 4
    [0, 1] 4
    [0, 1] 4
    """
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

    if not isinstance(data, ClassFolder | LabelledText):
        data = _arrays(data)
    labels = _classes(data[1]) if isinstance(data, tuple) else _classes(data.labels)
    counts = np.unique(labels, return_counts=True)[1]
    fewest = int(counts.min())
    if not 2 <= _checks.integer(num_folds, "num_folds") <= fewest:
        raise ValueError(
            f"`num_folds` must be at least 2 and at most the examples of the smallest class, {fewest}. "
            f"Received: num_folds={num_folds}."
        )
    options = {
        "n_splits": num_folds,
        "n_repeats": _checks.integer(num_repeats, "num_repeats", 1),
        "random_state": _checks.integer(seed, "seed", 0),
    }
    splitter = (RepeatedStratifiedKFold if len(counts) > 1 else RepeatedKFold)(**options)
    for train, held_out in splitter.split(labels, labels):
        yield _rows(data, train), _rows(data, held_out)


def _rows(data, rows):
    if isinstance(data, tuple):
        return keras.tree.map_structure(lambda array: array[rows], data)
    return data.subset(rows)


def _arrays(data):
    if not isinstance(data, tuple) or len(data) not in (2, 3):
        raise ValueError(
            "Only arrays (x, y[, sample_weight]) and an ImageFolder or AudioFolder can be split. Received: "
            f"{type(data).__name__}. Give the held-out part yourself."
        )
    data = tuple(_as_arrays(part) for part in data)
    lengths = [len(array) for array in keras.tree.flatten(data)]
    if len(set(lengths)) != 1:
        raise ValueError(f"All parts of the data must have as many examples. Received: {lengths}.")
    return data


def _as_arrays(part):
    if isinstance(part, dict):
        return {name: np.asarray(value) for name, value in part.items()}
    return np.asarray(part)


def _classes(labels):
    """Returns one integer an example by which to split."""
    if isinstance(labels, dict):
        return np.zeros(len(next(iter(labels.values()))), int)
    if labels.ndim == 2 and labels.shape[1] > 1 and np.allclose(labels.sum(axis=1), 1):
        return labels.argmax(axis=1)
    if labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer):
        return labels
    return np.zeros(len(labels), int)
