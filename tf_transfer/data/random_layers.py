"""Random Keras layers in a stream, whose numbers come from the stream, so that a seed gives the same whatever cores."""

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _checks


def map_with_layers(dataset, layers, change, seed):
    """Returns the dataset with `change` on each batch, in which `layers` draw anew each epoch.

    Args:
        dataset: `tf.data.Dataset` of batches.
        layers: List of Keras layers that `change` calls; they are made for this stream alone.
        change: Function of a batch, a tuple, that returns one.
        seed: Integer of at least 0, the same seed gives the same stream, or None.
    """
    if seed is None:
        seed = int(np.random.default_rng().integers(2**31))
    seed = _checks.integer(seed, "seed", minimum=0)
    random_numbers = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    seeds = _BatchSeeds()
    owned = [_use_seeds(layer, seeds) for layer in layers]

    def change_with_number(number, batch):
        with seeds.derived_from(number):
            return change(batch)

    # Layers that keep a seed to themselves would draw in whatever order the cores come to them.
    num_parallel_calls = tf.data.AUTOTUNE if all(owned) else None
    numbered = tf.data.Dataset.zip(random_numbers, dataset)
    return numbered.map(change_with_number, num_parallel_calls=num_parallel_calls).prefetch(tf.data.AUTOTUNE)


class _BatchSeeds(keras.random.SeedGenerator):
    """Seeds counted from a number that comes with each batch; Keras' own count in a variable that cores race for."""

    def __init__(self):
        super().__init__(seed=0)
        self._number = None
        self._count = 0

    def derived_from(self, number):
        self._number = tf.cast(number % (2**31 - 1), tf.int32)
        self._count = 0
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._number = None

    def next(self, ordered=True):
        self._count += 1
        return tf.stack([self._number, self._count])


def _use_seeds(layer, seeds):
    """Lets a layer, and those inside it, draw from `seeds`; returns whether it could."""
    inner = [_use_seeds(part, seeds) for part in getattr(layer, "layers", [])]
    if isinstance(getattr(layer, "generator", None), keras.random.SeedGenerator):
        layer.generator = seeds
        return all(inner)
    return bool(inner) and all(inner)
