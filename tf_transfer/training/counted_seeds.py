"""Random numbers that go on where they stopped when a model is saved and loaded, and are the same on any devices."""

import numpy as np
import tensorflow as tf


def add_counted_seed(owner, seed, name="draws"):
    """Adds a weight with a seed and a count of the draws: Keras does not save the state of its seed generators.

    Args:
        owner: `keras.Layer` that gets the weight, which is not trained.
        seed: Integer or None, for a random one.
        name: String, of the weight. Defaults to "draws".
    """
    first = int(np.random.default_rng(seed).integers(2**31))
    return owner.add_weight(
        shape=(2,), dtype="int32", initializer=lambda *_, **__: [first, 0], trainable=False, name=name
    )


def draw_uniform(counted, shape, minval=0.0, maxval=1.0, *, alike=False):
    """Returns the next uniform numbers of a counted seed, of a shape that begins with a batch.

    Each replica of a strategy gets its part of the numbers that one device would draw for the whole batch.

    Args:
        counted: What `add_counted_seed` returned.
        shape: Tuple of integers or scalar tensors; the first is the number of examples.
        minval: Float. Defaults to 0.
        maxval: Float. Defaults to 1.
        alike: Boolean, whether all replicas get the same numbers, those of one device. Defaults to False.
    """
    replica = None if alike else tf.distribute.get_replica_context()
    num_replicas = replica.num_replicas_in_sync if replica is not None else 1
    whole = (shape[0] * num_replicas, *shape[1:])
    numbers = tf.random.stateless_uniform(whole, counted.value, minval, maxval, alg="philox")
    # After the draw, which reads the variable.
    with tf.control_dependencies([numbers]):
        counted.assign_add([0, 1])
    if num_replicas == 1:
        return numbers
    start = replica.replica_id_in_sync_group * shape[0]
    return numbers[start : start + shape[0]]
