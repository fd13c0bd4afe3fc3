"""Weights that let rare classes count as much as frequent ones."""

import numpy as np

from tf_transfer import _checks


def balanced_class_weight(labels, num_classes):
    """Weighs each class inversely to its frequency, so that the mean weight of an example is 1.

    weight[c] = num_examples / (num_present_classes * count[c]); a class without examples has weight 1.

    Args:
        labels: Integer labels of shape (num_examples,), or one-hot of shape (num_examples,
            num_classes).
        num_classes: Integer, the number of classes.

    Returns:
        A dict {label: weight} of floats for `model.fit(class_weight=...)`.

    Raises:
        ValueError: If there are no labels or one is outside 0..num_classes - 1.

    Example:

    >>> balanced_class_weight([0, 0, 0, 1], num_classes=2)
    {0: 0.6666666666666666, 1: 2.0}
    """
    labels = check_labels(labels, num_classes)
    counts = np.bincount(labels, minlength=num_classes)
    num_present = np.count_nonzero(counts)
    return {label: float(len(labels) / (num_present * count)) if count else 1.0 for label, count in enumerate(counts)}


def check_labels(labels, num_classes):
    """Returns labels as an int64 array of shape (num_examples,), else raises a `ValueError` that names the wrong one.

    Args:
        labels: Whole numbers of shape (num_examples,) or (num_examples, 1), or one-hot rows of
            shape (num_examples, num_classes).
        num_classes: Integer, the number of classes.
    """
    num_classes = _checks.integer(num_classes, "num_classes", minimum=2)
    labels = np.asarray(labels)
    one_hot = labels.ndim == 2 and labels.shape[1] == num_classes
    if not labels.size or not (labels.ndim == 1 or one_hot or labels.shape[1:] == (1,)):
        raise ValueError(
            f"Labels must have shape (num_examples,) or, one-hot, (num_examples, {num_classes}), and at least one "
            f"example. Received: shape {labels.shape}."
        )
    if labels.dtype.kind not in "biuf":
        raise ValueError(
            f"Labels must be integers from 0 to {num_classes - 1}. Received: dtype {labels.dtype}, such as "
            f"{labels.ravel()[0]!r}. Number them with `names, labels = np.unique(labels, return_inverse=True)`."
        )
    labels = _indices(labels) if one_hot else labels.ravel()
    wrong = labels[~((labels >= 0) & (labels < num_classes) & (labels == np.floor(labels)))]
    if wrong.size:
        raise ValueError(
            f"Labels must be integers from 0 to {num_classes - 1} (num_classes={num_classes}). "
            f"Received: {wrong[0]} ({wrong.size} of {labels.size} labels are wrong)."
        )
    return labels.astype(np.int64)


def _indices(one_hot):
    wrong = ~((one_hot.max(axis=1) == 1) & (one_hot.sum(axis=1) == 1))
    if wrong.any():
        raise ValueError(f"One-hot labels must have a single 1 in each row. Received: {one_hot[wrong][0].tolist()}.")
    return one_hot.argmax(axis=1)
