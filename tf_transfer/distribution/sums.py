"""Sums over the replicas of a strategy, for values that are means over what all of them have."""

import contextlib
import threading

import tensorflow as tf

# Replicas of a strategy are threads.
_LOCAL = threading.local()


def sum_over_replicas(value):
    """Returns the sum of a value over all replicas; the value itself where there is one, or within `apart`.

    Args:
        value: Tensor, computed by one replica of the current `tf.distribute` strategy, of the same shape in all.

    Example:

    >>> float(tft.distribution.sums.sum_over_replicas(tf.constant(3.0)))
    3.0
    """
    if not _has_replicas():
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def gather_over_replicas(value):
    """Returns the rows of all replicas, one replica after the other, each with its gradient.

    Args:
        value: Tensor of shape `(batch, ...)`, computed by one replica, of the same shape in all.

    Returns:
        The tensor of shape `(num_replicas * batch, ...)`, and the position in it of this replica's first row. Where
        there is one replica, or within `apart`, these are the value itself and 0.
    """
    if not _has_replicas():
        return value, 0
    context = tf.distribute.get_replica_context()
    start = tf.convert_to_tensor(context.replica_id_in_sync_group) * tf.shape(value)[0]
    return context.all_gather(value, axis=0), start


@contextlib.contextmanager
def apart():
    """While it lasts, a replica keeps to itself: where some of them have nothing to do, nobody must wait for them."""
    before = getattr(_LOCAL, "apart", False)
    _LOCAL.apart = True
    try:
        yield
    finally:
        _LOCAL.apart = before


def _has_replicas():
    strategy = tf.distribute.get_strategy()
    together = strategy.num_replicas_in_sync > 1 and tf.distribute.in_cross_replica_context() is False
    return together and not getattr(_LOCAL, "apart", False)
