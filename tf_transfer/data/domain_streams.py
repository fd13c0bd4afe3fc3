"""One domain, whatever holds it, as full batches that do not end before somebody ends them."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.example_arrays import batch_reader, check_arrays
from tf_transfer.data.example_shapes import are_batches, check_batch, check_shape, map_shapes
from tf_transfer.data.labels import example_spec
from tf_transfer.data.unlabeled_images import UnlabeledImages

INFINITE = tf.data.INFINITE_CARDINALITY
UNKNOWN = tf.data.UNKNOWN_CARDINALITY


@dataclasses.dataclass(frozen=True)
class DomainStream:
    """Batches of one domain, not yet read, and the function that reads one.

    Reading is apart so that what follows can read the batches of all domains in a single function
    of the dataset: at small models its overhead is what a step costs.

    Attributes:
        name: String for errors, such as "source" or "target".
        num_examples: Integer, `INFINITE` or `UNKNOWN`. A `tf.data` of batches counts with its last batch full.
        batch_size: Integer, the examples of this domain in a batch.
        batches: Function of `repeat` and `drop_remainder`, bools, that returns a dataset: full batches
            that start over and over, or one pass, whose last batch may be smaller. Arrays and
            folders, whose length is known, only do the first.
        read: Function of an element of that dataset that returns a tuple (x, ...) of tensors.
    """

    name: str
    num_examples: int
    batch_size: int
    batches: Callable
    read: Callable

    def read_element(self, element):
        """Returns the tuple (x, ...) of an element of `batches`, as a dataset hands it to a function."""
        return self.read(*element) if isinstance(element, tuple) else self.read(element)

    @functools.cached_property
    def spec(self):
        """The specification (x, ...) of a single example."""
        batch = self.batches().map(lambda *element: self.read(*element)).element_spec
        return tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), batch)


def open_stream(data, name, batch_size, shuffle, seed, *, input_shape=None, like=None, missing=False):
    """Opens a domain.

    Args:
        data: See `pair_domains`, a single source or the target.
        name: String for errors.
        batch_size: Positive integer.
        shuffle: Bool, whether arrays and folders are shuffled, anew at each repetition.
        seed: Integer.
        input_shape: See `pair_domains`.
        like: The specification of one x of the source if `data` is a target, whose labels are then
            dropped and may be missing. Defaults to None: `data` is a labelled source.
        missing: See `pair_domains`.

    Returns:
        A `DomainStream` of tuples (x, y) or (x, y, sample_weight), or (x,) with `like`.
    """
    if isinstance(data, tf.data.Dataset):
        return _open_dataset(data, name, batch_size, input_shape, like, missing)
    if isinstance(data, (ClassFolder, UnlabeledImages)):
        indices = _orders(len(data), shuffle, seed).unbatch()
        images = data.in_order(indices).batch(batch_size, drop_remainder=True)
        map_shapes(check_shape, tf.nest.flatten(images.element_spec)[0], input_shape)
        read = _reader(input_shape, 1 if like is not None else 2, missing)
        return DomainStream(name, len(data), batch_size, lambda: images, read)
    parts = (data if isinstance(data, tuple) else (data,))[: 3 if like is None else 1]
    names = [f"{name} {part}" for part in ("x", "y", "sample_weight")[: len(parts)]]
    _check_not_paired(parts[0], name)
    num_examples, read = batch_reader(check_arrays(parts, names, input_shape, missing), input_shape)
    indices = _orders(num_examples, shuffle, seed).rebatch(batch_size, drop_remainder=True)
    return DomainStream(name, num_examples, batch_size, lambda: indices, read)


def is_pair(inputs):
    """Returns whether inputs are a batch of pairs, {"source": ..., "target": ...}, of one source or of several."""
    known = {"source", "target", "source_one_hot"}
    return isinstance(inputs, dict) and {"source", "target"} <= set(inputs) <= known


def different(first, first_spec, second, second_spec, what="x"):
    """Returns the error that two domains do not fit together."""
    hint = ""
    pairs = list(zip(tf.nest.flatten(first_spec), tf.nest.flatten(second_spec), strict=False))
    if any(a.dtype.is_floating != b.dtype.is_floating for a, b in pairs):
        hint = " Convert one of them; images become float32 with `input_shape=(height, width, channels)`."
    elif what == "x" and any(a.shape.rank == b.shape.rank == 3 for a, b in pairs):
        hint = " Scale images with `tf.image.resize`; grey ones become RGB with `tf.image.grayscale_to_rgb`."
    return ValueError(
        f"The {what} of {first} and {second} must have the same structure, kind of values and example shape. Received: "
        f"{first} {what} {_describe(first_spec)}, {second} {what} {_describe(second_spec)}.{hint}"
    )


def _open_dataset(dataset, name, batch_size, input_shape, like, missing):
    tuples = like is None or isinstance(dataset.element_spec, tuple)
    spec = dataset.element_spec if tuples else (dataset.element_spec,)
    _check_not_paired(_first_part(dataset.element_spec), name)
    spec = example_spec(dataset) if like is None else spec
    if dataset.cardinality() == 0:
        raise ValueError(f"The {name} is empty: its dataset has no examples.")
    batched = _is_batched(name, spec, input_shape, like)

    def batches(repeat=True, drop_remainder=True):
        examples = dataset.repeat() if repeat and dataset.cardinality() != INFINITE else dataset
        # Batched after they repeat, so that every batch is full and no example is left out.
        return (examples.rebatch if batched else examples.batch)(batch_size, drop_remainder=drop_remainder)

    map_shapes(check_shape, _first_part(batches().element_spec), input_shape)
    read = _reader(input_shape, 3 if like is None else 1, missing)
    return DomainStream(name, _num_examples(dataset, spec, batched), batch_size, batches, read)


def _reader(input_shape, num_parts, missing):
    return lambda *parts: check_batch(*parts[:num_parts], input_shape=input_shape, missing=missing)


def _orders(num_examples, shuffle, seed):
    """Returns a dataset of tensors (num_examples,), each all the indices: one repetition of a domain."""
    if not shuffle:
        return tf.data.Dataset.from_tensors(tf.range(num_examples, dtype=tf.int64)).repeat()

    # Whole tensors cost less than a `shuffle` of single numbers, and an abandoned iteration (Keras looks
    # at the first batch) leaves no trace in the next one.
    def shuffled(number):
        return tf.random.experimental.stateless_shuffle(tf.range(num_examples, dtype=tf.int64), seed=[number, 0])

    return tf.data.Dataset.random(seed, rerandomize_each_iteration=True).map(shuffled)


def _is_batched(name, spec, input_shape, like):
    if like is None or input_shape is not None:
        return are_batches(spec[0], spec[min(1, len(spec) - 1)], input_shape)
    x, expected = tf.nest.flatten(spec[0])[0].shape, tf.nest.flatten(like)[0].shape
    try:
        tf.nest.assert_same_structure(spec[0], like)
    except (TypeError, ValueError) as error:
        raise different("source", like, name, spec[0]) from error
    if x.rank is None or expected.rank is None:
        raise ValueError(f"The shapes of source and {name} are unknown. Give `input_shape`, the shape of one x.")
    if x.rank not in (expected.rank, expected.rank + 1):
        raise different("source", like, name, spec[0])
    return x.rank == expected.rank + 1


def _num_examples(dataset, spec, batched):
    cardinality = int(dataset.cardinality())
    if cardinality < 0 or not batched:
        return cardinality
    size = tf.nest.flatten(spec)[0].shape[0]
    if size is None:
        # Only an element tells; counting them all would read a whole epoch.
        size = len(tf.nest.flatten(next(iter(dataset.take(1))))[0])
    return cardinality * size


def _first_part(spec):
    return spec[0] if isinstance(spec, tuple) else spec


def _check_not_paired(x, name):
    if is_pair(x):
        raise ValueError(
            f"The {name} is already paired: its x is a dict of 'source' and 'target'. Give it to `fit` as it is, or "
            "pair the two domains it was made of."
        )


def _describe(spec):
    if isinstance(spec, dict):
        return "{" + ", ".join(f"{key!r}: {_describe(leaf)}" for key, leaf in spec.items()) + "}"
    if isinstance(spec, tuple):
        return f"({', '.join(map(_describe, spec))})"
    shape = tuple(spec.shape) if spec.shape.rank is not None else "unknown"
    return f"{np.dtype(spec.dtype.as_numpy_dtype).name if spec.dtype != tf.string else 'string'} of shape {shape}"
