"""One short text that tells whether two streams hold the same examples."""

import hashlib

import numpy as np
import tensorflow as tf

_MODULUS = 2**128


class StreamFingerprint:
    """Hashes examples while somebody reads them, whatever their order and batches.

    Each example is hashed by itself (BLAKE2b over the structure, dtype, shape and bytes of its
    inputs, labels and weights) and the hashes are added modulo 2**128, so that order and batch
    size do not matter, but a changed pixel, label or weight, a missing or a doubled example does.
    An array of another dtype or structure is another stream, even if its values are equal.

    Attributes:
        num_examples: Integer, how many examples were seen so far.

    Example:

    >>> whole, halves = StreamFingerprint(), StreamFingerprint()
    >>> whole.update((np.array([1.0, 2.0]), np.array([0, 1])))
    >>> halves.update((np.array([2.0]), np.array([1])))
    >>> halves.update((np.array([1.0]), np.array([0])))
    >>> whole.hexdigest() == halves.hexdigest()
    True
    """

    def __init__(self):
        self.num_examples = 0
        self._sum = 0

    def update(self, batch):
        """Adds a batch: any nesting of arrays or tensors whose first dimension is the batch."""
        leaves = [_to_array(leaf) for leaf in tf.nest.flatten(batch) if leaf is not None]
        sizes = {leaf.shape[:1] for leaf in leaves}
        if len(sizes) != 1 or () in sizes:
            shapes = [leaf.shape for leaf in leaves]
            raise ValueError(f"All parts of a batch must have the same first dimension. Received: shapes {shapes}.")
        header = _structure(batch) + repr([(leaf.dtype.str, leaf.shape[1:]) for leaf in leaves])
        prefix = hashlib.blake2b(header.encode(), digest_size=16)
        for example in zip(*map(_rows, leaves), strict=True):
            digest = prefix.copy()
            for part in example:
                digest.update(part)
            self._sum += int.from_bytes(digest.digest(), "little")
        self._sum %= _MODULUS
        self.num_examples += len(leaves[0])

    def hexdigest(self):
        """Returns 32 hexadecimal digits and the number of examples, as in `"0123...cdef-60000"`."""
        return f"{self._sum:032x}-{self.num_examples}"


def fingerprint(dataset):
    """Returns the `StreamFingerprint` text of all examples of a dataset, by one pass over it.

    Args:
        dataset: A batched, finite `tf.data.Dataset`, or any iterable of batches.

    Returns:
        A string; equal for datasets of equal examples in any order and batch size.

    Raises:
        ValueError: If the dataset is endless.

    Example:

    >>> dataset = tf.data.Dataset.range(6)
    >>> fingerprint(dataset.batch(2)) == fingerprint(dataset.shuffle(6).batch(4))
    True
    >>> fingerprint(dataset.batch(2)) == fingerprint(dataset.take(5).batch(2))
    False
    """
    if isinstance(dataset, tf.data.Dataset) and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("An endless dataset has no fingerprint. Take a part of it with `dataset.take(num_batches)`.")
    result = StreamFingerprint()
    for batch in dataset:
        result.update(batch)
    return result.hexdigest()


def _to_array(leaf):
    if isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor)):
        raise TypeError(f"Expected dense tensors. Received a {type(leaf).__name__}; convert it (`to_tensor`).")
    return np.ascontiguousarray(leaf.numpy() if tf.is_tensor(leaf) else leaf)


def _rows(leaf):
    """Yields what identifies each example: its bytes, for strings their lengths too."""
    if leaf.dtype.kind in "OUS":
        return (_string_bytes(row) for row in leaf)
    return leaf.reshape(len(leaf), -1).view(np.uint8) if leaf.size else [b""] * len(leaf)


def _string_bytes(row):
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in np.ravel(row)]
    return b"".join(len(text).to_bytes(8, "little") + text for text in texts)


def _structure(batch):
    """Returns the nesting as text: keys count, and in which place a leaf stands."""
    if isinstance(batch, dict):
        return "{" + ",".join(f"{key!r}:{_structure(batch[key])}" for key in sorted(batch)) + "}"
    if isinstance(batch, (tuple, list)):
        return "(" + ",".join(map(_structure, batch)) + ")"
    return "-" if batch is None else "."
