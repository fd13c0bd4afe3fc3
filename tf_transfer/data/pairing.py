"""A labelled source and an unlabelled target become one stream of paired batches."""

import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.domain_epochs import plan_epoch, share, zip_domains
from tf_transfer.data.domain_streams import open_stream
from tf_transfer.data.unlabeled_images import UnlabeledImages

_EPOCHS = ("longer", "shorter", "source", "target")


def pair_domains(
    source,
    target,
    batch_size=64,
    *,
    shuffle=True,
    seed=None,
    drop_remainder=True,
    epoch="longer",
    input_shape=None,
    missing=False,
):
    """Pairs the batches of two domains, for training a domain adaptation.

    The batches have the form that Keras' own `fit` knows, so that `class_weight`, `sample_weight`, the
    compiled loss and metrics apply to the labelled source. Labels of the target are dropped
    here, so they never reach training. A batch has as many examples of the source as of the target.

    The domain that an epoch covers is seen exactly once, the other one repeats as often as that takes,
    across the borders of batches: none of its examples is seen more than once oftener than another.
    Of a batched `tf.data.Dataset` only the number of batches is known, so its last batch counts as
    full and is filled from its next repetition; to find the size, its first batch is read here.

    An endless domain has no epoch: then that of the other counts, and two endless ones make an endless
    dataset, which needs `fit(steps_per_epoch=...)`. A `tf.data.Dataset` of unknown length (a
    generator, a `filter`) may be endless too, so it repeats beside one of known length; only when
    `epoch` is its own name, or the other domain is endless, does its end end the epoch. With
    "shorter" whichever ends first does. The cardinality of the result is then unknown.

    Args:
        source: The labelled domain: arrays `(x, y)` or `(x, y, sample_weight)` in a tuple (x may be a
            dict of arrays), an `ImageFolder` or `AudioFolder`, or a `tf.data.Dataset` of such tuples, batched or not.
            Or a list of several of these, which count as one: a batch has batch_size // len(source)
            examples of each, in their order, and one more of the first ones to make it full. Where some
            have sample weights, those of the others are 1. Or a dict of several, by name, for methods
            that tell sources apart: as many of each, but in turn, and the batches say which is whose.
        target: The other domain: x alone (an array, a dict of arrays or a `tf.data.Dataset` of those),
            `UnlabeledImages`, or anything that a source can be, without its labels.
        batch_size: Positive integer, the examples of each domain in a batch. Defaults to 64.
        shuffle: Bool, whether arrays and folders come in a new order at each repetition and epoch, each
            domain in one of its own. A `tf.data.Dataset` keeps its own order. Defaults to True.
        seed: Integer or None, the same seed gives the same batches. Defaults to None.
        drop_remainder: Bool. True leaves out what is left of an epoch when no full batch is. False
            makes a smaller last batch of it, of both domains alike, and lets a domain that is smaller
            than its part of a batch repeat within it. Defaults to True.
        epoch: "longer", "shorter", "source" or "target", the domain that an epoch covers. Several
            sources are covered when the one that lasts longest is. Defaults to "longer".
        input_shape: As for `as_dataset`: the shape of one x; images, which have three dimensions, then
            become float32. Defaults to None: any, unchanged.
        missing: Bool, as for `as_dataset`: whether NaN stands for a missing value. Defaults to False.

    Returns:
        A `tf.data.Dataset` of batches ({"source": x_s, "target": x_t}, y_s) or
        ({"source": x_s, "target": x_t}, y_s, sample_weight_s), of known cardinality where those of
        the domains are known. With a dict of sources x has a third entry, "source_one_hot", float32 of
        shape (batch, len(source)): whose each source example is, in the order of the dict. Methods for
        one source take such batches too, and pool the sources.

    Raises:
        TypeError: If a domain is none of the above.
        ValueError: If the domains differ in structure, kind of values or shape, a value is not finite,
            one is empty or too small for a batch, is paired already, or no epoch can be told.

    Example:

    >>> source, target = (np.zeros((6, 2)), np.arange(6) % 3), np.ones((4, 2))
    >>> pairs = pair_domains(source, target, batch_size=3, shuffle=False)
    >>> for x, y in pairs:
    ...     print(x["source"].shape, x["target"].shape, y.numpy())
    (3, 2) (3, 2) [0 1 2]
    (3, 2) (3, 2) [0 1 2]
    >>> x, y = next(iter(pair_domains({"one": source, "other": source}, target, batch_size=4)))
    >>> x["source_one_hot"].numpy().argmax(-1).tolist()
    [0, 1, 0, 1]
    """
    batch_size = _checks.integer(batch_size, "batch_size", minimum=1)
    epoch = _checks.one_of(epoch, "epoch", _EPOCHS)
    seed = seed if seed is None else _checks.integer(seed, "seed", minimum=0)
    sources = _several(source, batch_size)
    check_target(target, "The target")
    seeds = [int(number) for number in np.random.SeedSequence(seed).generate_state(len(sources) + 1)]
    streams = [
        open_stream(each, name, size, shuffle, number, input_shape=input_shape, missing=missing)
        for (each, name, size), number in zip(sources, seeds[1:], strict=True)
    ]
    like = streams[0].spec[0]
    streams.append(
        open_stream(
            target, "target", batch_size, shuffle, seeds[0], input_shape=input_shape, like=like, missing=missing
        )
    )
    if drop_remainder:
        _check_sizes(streams)
    num_examples, ending = plan_epoch(epoch, streams)
    return zip_domains(streams, num_examples, ending, drop_remainder, named=isinstance(source, dict))


def _several(source, batch_size):
    """Returns a list of (source, name, examples in a batch)."""
    kind = {list: "a list with ", dict: "a dict with "}.get(type(source), "")
    sources = list(source.values()) if isinstance(source, dict) else source if kind else [source]
    faults = [_received(each) for each in sources if not _is_source(each)] or ([] if sources else ["nothing"])
    if faults:
        raise _no_source("A source", f"; several sources, a list or a dict of those. Received: {kind}{faults[0]}.")
    _checks.integer(batch_size, "batch_size", minimum=len(sources))
    keys = source if isinstance(source, dict) else range(len(sources))
    names = ["source"] if len(sources) == 1 else [f"source[{key!r}]" for key in keys]
    sizes = [share(batch_size, number, len(sources)) for number in range(len(sources))]
    return list(zip(sources, names, sizes, strict=True))


def _is_source(data):
    return len(data) in (2, 3) if isinstance(data, tuple) else isinstance(data, (ClassFolder, tf.data.Dataset))


def _received(data):
    return f"a tuple of {len(data)}" if isinstance(data, tuple) else type(data).__name__


def check_source(data, name):
    """Raises a `TypeError` for what can't be a labelled side; `name` begins its sentence."""
    if not _is_source(data):
        raise _no_source(name, f". Received: {_received(data)}.")


def _no_source(name, ending):
    return TypeError(
        f"{name} must be a tuple of arrays (x, y) or (x, y, sample_weight), an ImageFolder, or a tf.data.Dataset "
        f"of such tuples{ending}"
    )


def check_target(target, name):
    """Raises a `TypeError` for what can't be a side without labels; `name` begins its sentence."""
    if target is None or isinstance(target, str) or (isinstance(target, tuple) and len(target) not in (1, 2, 3)):
        raise TypeError(
            f"{name} must be an array x, a dict of arrays, a tuple (x, y), a tf.data.Dataset, an ImageFolder or "
            f"UnlabeledImages. Received: {_received(target)}."
        )
    domains = (tf.data.Dataset, ClassFolder, UnlabeledImages)
    if isinstance(target, list) and any(isinstance(each, domains) for each in target):
        raise TypeError(f"There can be several sources, but one target. Received: a list of {len(target)} targets.")


def _check_sizes(streams):
    for stream in streams:
        if 0 <= stream.num_examples < stream.batch_size:
            raise ValueError(
                f"A batch has {stream.batch_size} examples of the {stream.name}. Received: {stream.num_examples} in "
                "all. Use a smaller `batch_size`, or `drop_remainder=False`: they then repeat within a batch."
            )
