"""Classes to learn from and classes to be asked about, with nothing in common."""

import hashlib

import numpy as np

from tf_transfer import _checks
from tf_transfer.data.class_folder import ClassFolder


def split_classes(labels, fractions=(0.64, 0.16, 0.2), seed=0):
    """Splits the classes of a data set at random, so that few-shot learners are asked about classes they never saw.

    Args:
        labels: Integer array `(num_examples,)`, or an `ImageFolder` or `AudioFolder`.
        fractions: Sequence of floats above 0 that sum to 1, the part of the classes in each split. Defaults to
            `(0.64, 0.16, 0.2)`, for training, validation and test.
        seed: Integer, the same seed gives the same split. Defaults to 0.

    Returns:
        A tuple of sorted integer arrays, the classes of each split; each class is in one.

    Raises:
        ValueError: When the fractions do not sum to 1, or a split would be empty.

    Example:

    >>> tft.data.split_classes(np.arange(10).repeat(3), (0.6, 0.4), seed=1)
    (array([0, 1, 2, 4, 7, 8]), array([3, 5, 6, 9]))
    """
    labels = labels.labels if isinstance(labels, ClassFolder) else np.asarray(labels)
    fractions = [_checks.positive(fraction, "fractions") for fraction in fractions]
    if abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"`fractions` must sum to 1. Received: {fractions}, which sum to {sum(fractions):g}.")
    classes = np.random.default_rng(_checks.integer(seed, "seed", 0)).permutation(np.unique(labels))
    ends = np.rint(np.cumsum(fractions) * len(classes)).astype(int)
    parts = np.split(classes, ends[:-1])
    if not all(len(part) for part in parts):
        raise ValueError(
            f"{len(classes)} classes can't be split into {[len(part) for part in parts]}: none may be empty. Change "
            "`fractions`."
        )
    return tuple(np.sort(part) for part in parts)


def check_disjoint(first, second):
    """Raises when two sets of examples share one, for then what a learner is asked about it has seen.

    Args:
        first: Array of examples `(num_examples, ...)`, such as all images of the classes to learn from.
        second: Array of the same shape of examples, those of the classes to be asked about.

    Raises:
        ValueError: When an example is in both; it names the first of them.

    Example:

    >>> tft.data.check_disjoint(np.eye(3), np.ones((1, 3)))
    >>> tft.data.check_disjoint(np.eye(3), np.eye(3)[1:2])
    Traceback (most recent call last):
        ...
    ValueError: 1 of 1 examples are also among the first 3, such as example 0, which is example 1 there.
    """
    known = {_digest(example): index for index, example in enumerate(first)}
    found = [(index, known[digest]) for index, digest in enumerate(map(_digest, second)) if digest in known]
    if found:
        raise ValueError(
            f"{len(found)} of {len(second)} examples are also among the first {len(first)}, such as example "
            f"{found[0][0]}, which is example {found[0][1]} there."
        )


def _digest(example):
    return hashlib.blake2b(np.ascontiguousarray(example).tobytes(), digest_size=16).digest()
