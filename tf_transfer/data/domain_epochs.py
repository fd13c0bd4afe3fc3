"""How long an epoch of several domains is, and their batches joined for as long."""

import numpy as np
import tensorflow as tf

from tf_transfer.data.domain_streams import INFINITE, UNKNOWN, different


def share(num_examples, number, num_sources):
    """Returns how many of `num_examples` are of source `number`; the first ones have one more where it takes that.

    Example:

    >>> [share(8, number, num_sources=3) for number in range(3)]
    [3, 3, 2]
    """
    return (num_examples + num_sources - 1 - number) // num_sources


def _least(count, number, num_sources):
    """Returns the fewest examples of which source `number` has a share of `count`, which is not 0."""
    return (count - 1) * num_sources + number + 1


def plan_epoch(epoch, streams):
    """Decides what ends an epoch.

    Args:
        epoch: See `pair_domains`.
        streams: List of `DomainStream`, those of the sources and last that of the target.

    Returns:
        A pair: the examples of each domain in an epoch or None, and a list of the streams of unknown
        length whose end is also that of the epoch.
    """
    *sources, target = streams
    domains = {"source": sources, "target": [target]}
    lengths = {"source": _total_length(sources, target.batch_size), "target": target.num_examples}
    finite = {name: length for name, length in lengths.items() if length != INFINITE}
    covered = {epoch: finite[epoch]} if epoch in finite else finite
    known = [length for length in covered.values() if length != UNKNOWN]
    if known and epoch != "shorter":
        return max(known), []
    unknown = [name for name, length in covered.items() if length == UNKNOWN]
    ending = [stream for name in unknown for stream in domains[name] if stream.num_examples == UNKNOWN]
    if len(ending) > 1 and epoch != "shorter":
        names = " and ".join(stream.name for stream in ending)
        raise ValueError(
            f"The lengths of {names} are not known, so epoch={epoch!r} cannot be told. Choose another `epoch`, such as "
            "'shorter', or tell a length with `dataset.apply(tf.data.experimental.assert_cardinality(...))`."
        )
    return min(known, default=None), ending


def zip_domains(streams, num_examples, ending, drop_remainder, *, named=False):
    """Joins the batches of all streams into those of `pair_domains`; for the arguments see `plan_epoch`.

    With `named` the batches say which source an example is of.
    """
    batch_size = streams[-1].batch_size
    steps, left = divmod(num_examples, batch_size) if num_examples is not None else (None, 0)
    smaller = not drop_remainder and (left or ending)
    if steps is not None and left and not drop_remainder:
        steps += 1
    # Static sizes spare the training step the operations that would ask for them.
    conform = _conformer(streams, [None if smaller else stream.batch_size for stream in streams])

    def pair(step, *elements):
        batches = [stream.read_element(element) for stream, element in zip(streams, elements, strict=True)]
        if smaller:
            size = tf.where(step + 1 == steps, left, batch_size) if left else batch_size
            batches = _trim(batches, streams, ending, tf.cast(size, tf.int32))
        return _join(conform(batches), named)

    positions = tf.data.Dataset.counter() if steps is None else tf.data.Dataset.range(steps)
    batches = [each.batches(False, drop_remainder) if each in ending else each.batches() for each in streams]
    dataset = tf.data.Dataset.zip(positions, *batches).map(pair, num_parallel_calls=tf.data.AUTOTUNE)
    if not ending:
        # Batching anew forgets it, and `fit` shows no progress without it.
        cardinality = INFINITE if steps is None else steps
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(cardinality))
    return dataset.prefetch(tf.data.AUTOTUNE)


def _total_length(sources, batch_size):
    """Returns the fewest examples of which the shares cover all sources of known length."""
    lengths = []
    for number, source in enumerate(sources):
        if source.num_examples >= 0:
            steps, count = divmod(source.num_examples, source.batch_size)
            lengths.append(steps * batch_size + (_least(count, number, len(sources)) if count else 0))
    unknown = any(source.num_examples == UNKNOWN for source in sources)
    return max(lengths, default=UNKNOWN if unknown else INFINITE)


def _trim(batches, streams, ending, size):
    """Cuts all batches to `size`, or to what is left of a stream that ends."""
    num_sources = len(streams) - 1
    places = [(number, num_sources) for number in range(num_sources)] + [(0, 1)]
    for stream, batch, place in zip(streams, batches, places, strict=True):
        if stream in ending:
            count = tf.shape(tf.nest.flatten(batch)[0])[0]
            size = tf.where(count < stream.batch_size, tf.minimum(size, _least(count, *place)), size)
    counts = [share(size, *place) for place in places]
    return [
        tf.nest.map_structure(lambda leaf, count=count: leaf[:count], batch)
        for batch, count in zip(batches, counts, strict=True)
    ]


def _conformer(streams, sizes):
    """Returns a function that gives the batches of all streams one kind and the same parts, each x, y and weight."""
    *sources, target = streams
    x = common_spec(streams, [stream.spec[0] for stream in streams], "x")
    y = common_spec(sources, [source.spec[1] for source in sources], "y")
    weighted = any(len(source.spec) == 3 for source in sources)
    one = tf.TensorSpec((), tf.float32)
    weights = [tf.TensorSpec(source.spec[2].shape, tf.float32) if len(source.spec) == 3 else one for source in sources]
    parts = (x, y, common_spec(sources, weights, "sample_weight")) if weighted else (x, y)

    def conform(batches):
        ones = [tf.ones(tf.shape(tf.nest.flatten(batch[0])[0])[:1]) for batch in batches]
        full = [(*batch, one)[: len(parts)] for batch, one in zip(batches[:-1], ones, strict=False)]
        all_parts = [parts] * len(sources) + [parts[:1]]
        return [_cast(*each) for each in zip([*full, batches[-1]], all_parts, sizes, strict=True)]

    return conform


def _cast(batch, parts, size):
    def cast(leaf, spec):
        return tf.ensure_shape(tf.cast(leaf, spec.dtype), tf.TensorShape([size]).concatenate(spec.shape))

    return tf.nest.map_structure(cast, batch, parts)


def _join(batches, named):
    """Returns ({"source": x_s, "target": x_t}, y_s[, sample_weight_s]); several sources follow one another.

    Those that have names take turns, so that each replica of a strategy gets some of all.
    """
    *sources, target = batches
    order = in_turn(sources) if named else None

    def concatenate(*leaves):
        joined = tf.concat(leaves, axis=0) if len(leaves) > 1 else leaves[0]
        return joined if order is None else tf.gather(joined, order)

    x, *rest = tf.nest.map_structure(concatenate, *sources)
    inputs = {"source": x, "target": target[0]}
    if named:
        turns = tf.range(order.shape[0] or tf.size(order)) % len(sources)
        inputs["source_one_hot"] = tf.one_hot(turns, len(sources))
    return inputs, *rest


def in_turn(sources):
    """Returns the order in which examples of the sources, joined one after the other, take turns."""
    firsts = [tf.nest.flatten(source)[0] for source in sources]
    sizes = [first.shape[0] if first.shape[0] is not None else tf.shape(first)[0] for first in firsts]
    places = [tf.range(size) * len(sources) + number for number, size in enumerate(sizes)]
    return tf.argsort(tf.concat(places, axis=0))


def common_spec(streams, specs, what):
    """Returns the specification that holds the examples of all streams."""
    first = specs[0]
    for stream, spec in zip(streams[1:], specs[1:], strict=True):
        try:
            tf.nest.assert_same_structure(first, spec)
            fit = all(map(_fit, tf.nest.flatten(first), tf.nest.flatten(spec)))
        except (TypeError, ValueError):
            fit = False
        if not fit:
            raise different(streams[0].name, specs[0], stream.name, spec, what)
        first = tf.nest.map_structure(_merge, first, spec)
    return tf.nest.map_structure(_merge, first, first)


def _fit(a, b):
    return _kind(a.dtype) == _kind(b.dtype) and a.shape.is_compatible_with(b.shape)


def _kind(dtype):
    return "float" if dtype.is_floating else "integer" if dtype.is_integer else dtype.name


def _merge(a, b):
    dtype = (
        a.dtype if a.dtype == b.dtype else tf.as_dtype(np.result_type(a.dtype.as_numpy_dtype, b.dtype.as_numpy_dtype))
    )
    # Keras computes in float32, and as arrays become it streams do too.
    return tf.TensorSpec(a.shape.merge_with(b.shape), tf.float32 if dtype == tf.float64 else dtype)
