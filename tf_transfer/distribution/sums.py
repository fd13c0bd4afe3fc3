"""Sums over the replicas of a strategy, for values that are means over what all of them have."""

import tensorflow as tf


def sum_over_replicas(value):
    """Returns the sum of a value over all replicas; the value itself where there is one.

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
    """Returns the rows of all replicas, one replica after the other; their gradient finds its way back to each.

    Args:
        value: Tensor of shape `(batch, ...)`, computed by one replica; the batches of replicas may differ in size.

    Returns:
        A tensor of shape `(sum of the batches, ...)`; the value itself where there is one replica.

    Example:

    >>> tft.distribution.sums.gather_over_replicas(tf.constant([1.0, 2.0])).numpy().tolist()
    [1.0, 2.0]
    """
    if not _has_replicas():
        return value
    return tf.distribute.get_replica_context().all_gather(value, axis=0)


def _has_replicas():
    return tf.distribute.get_strategy().num_replicas_in_sync > 1 and tf.distribute.in_cross_replica_context() is False
