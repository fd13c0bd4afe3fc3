"""One batch, several views: how they go through a network, which decides what batch normalization sees."""

import keras
import tensorflow as tf

from tf_transfer.training import keep_statistics

POLICIES = ("joint", "interleaved", "separate", "labelled")


def run_views(network, views, policy, training, ratio):
    """Calls a network on each view of a batch.

    Args:
        network: `keras.Model` whose outputs, a list of tensors, begin with the batch.
        views: List of batches of inputs; the first is that of the labelled examples, the others are as large or a
            multiple of it.
        policy: One of `POLICIES`, see `SemiSupervisedModel`.
        training: Boolean.
        ratio: Integer, how many times as large the others are, or None when it is not known.

    Returns:
        A list of the network's outputs, one a view.
    """
    if policy in ("joint", "interleaved"):
        sizes = [_size(view) for view in views]
        together = keras.tree.map_structure(lambda *leaves: tf.concat(leaves, 0), *views)
        if policy == "joint":
            found = network(together, training=training)
        else:
            found = _in_turn(network, together, _num_groups(ratio, len(views)), training)
        outputs = [tf.split(output, sizes) for output in found]
        return [list(parts) for parts in zip(*outputs, strict=True)]
    first = network(views[0], training=training)
    if policy == "separate":
        return [first, *(network(view, training=training) for view in views[1:])]
    with keep_statistics(network):
        return [first, *(network(view, training=training) for view in views[1:])]


def _num_groups(ratio, num_views):
    if ratio is None:
        raise ValueError(
            'batch_statistics="interleaved" deals a batch out to groups, whose number must be known. Received: '
            "unlabelled examples of shape (batch, None, ...). `tft.data.pair_labelled` makes batches that say it."
        )
    return 1 + ratio * (num_views - 1)


def _in_turn(network, together, num_groups, training):
    """Deals the examples out to groups as large as the labelled batch, so that each has a part of every view."""
    groups = [
        keras.tree.map_structure(lambda leaf, start=start: leaf[start::num_groups], together)
        for start in range(num_groups)
    ]
    outputs = [network(groups[0], training=training)]
    # As in the public code that this is from: the first group, which is a sample of all, moves the statistics.
    with keep_statistics(network):
        outputs += [network(group, training=training) for group in groups[1:]]
    return [_dealt_back(each) for each in zip(*outputs, strict=True)]


def _dealt_back(outputs):
    stacked = tf.stack(outputs, axis=1)
    return tf.reshape(stacked, [-1, *stacked.shape[2:]])


def _size(view):
    leaf = keras.tree.flatten(view)[0]
    return leaf.shape[0] if leaf.shape[0] is not None else tf.shape(leaf)[0]
