"""Texts as questions: windows of words, some of them hidden, or the word that comes next."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data import as_dataset

# The ids that `TextVectorization` has for padding and for words that it does not know.
PADDING, UNKNOWN, FIRST_WORD = 0, 1, 2
_MASKED, _RANDOM = 0.8, 0.1


def windows(batches, tokens, length):
    """Returns texts as rows of ids, int32 of shape `(num_windows, length)`; a longer text gives several.

    Args:
        batches: `tf.data.Dataset` of batches of strings.
        tokens: Function from strings to ids, which does not cut texts.
        length: Integer, words a window.
    """
    found = []
    for batch in batches:
        ids = np.asarray(tokens(batch), "int32")
        ids = np.pad(ids, ((0, 0), (0, -ids.shape[1] % length)))
        rows = ids.reshape(-1, length)
        # One word has nothing around it by which it could be guessed.
        found.append(rows[(rows != PADDING).sum(axis=1) > 1])
    rows = np.concatenate(found) if found else np.zeros((0, length), "int32")
    if not len(rows):
        raise ValueError("`texts` must have texts of two words or more. Received: none of these.")
    return rows


class Questions(NamedTuple):
    """How words are asked for.

    Args:
        objective: "masked" or "next".
        share: Float in (0, 1], part of the words that is asked for.
        mask_id: Integer, what stands for a word that is hidden; words have the ids from 2 up to it.
    """

    objective: str
    share: float
    mask_id: int

    def dataset(self, rows, batch_size, seed, *, shuffle=True):
        """Returns batches ({"ids", "places"}, words, weights), other questions each epoch when shuffled.

        "ids" are what the model sees, "places" where words are asked for, shape `(batch, num_places)`; the words are
        those that stand there (or next), the weights 0 where a text is too short for so many, and 1 in the mean over
        all places of a batch.
        """
        batches = as_dataset((rows, np.zeros(len(rows))), batch_size=batch_size, shuffle=shuffle, seed=seed)
        draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=shuffle)
        asked = tf.data.Dataset.zip((batches, draws)).map(
            lambda batch, draw: _of_mean_one(*self.ask(batch[0], tf.stack([draw, draw]))),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return asked.apply(tf.data.experimental.assert_cardinality(batches.cardinality())).prefetch(2)

    def ask(self, rows, seed):
        """Returns ({"ids", "places"}, words, weights) of a batch of windows."""
        targets = rows if self.objective == "masked" else tf.pad(rows[:, 1:], [[0, 0], [0, 1]])
        # What the vocabulary does not know can't be guessed.
        can = targets >= FIRST_WORD
        places, weights = self._places(can, seed)
        words = tf.gather(targets, places, batch_dims=1)
        ids = self._hidden(rows, places, weights, seed + 1) if self.objective == "masked" else rows
        return {"ids": tf.cast(ids, tf.int64), "places": places}, words, weights

    def _places(self, can, seed):
        """Returns places drawn from those that can be asked for, and 1 for as many as the share says, else 0."""
        draws = tf.random.stateless_uniform(tf.shape(can), seed)
        number = max(1, round(self.share * can.shape[1]))
        draws, places = tf.math.top_k(tf.where(can, draws, -1.0), number)
        many = tf.math.round(self.share * tf.reduce_sum(tf.cast(can, tf.float32), axis=1, keepdims=True))
        wanted = tf.cast(tf.range(number), tf.float32)[tf.newaxis] < tf.maximum(many, 1.0)
        return places, tf.cast(wanted & (draws >= 0), tf.float32)

    def _hidden(self, rows, places, weights, seed):
        """Returns the rows with most of the words at these places hidden, some exchanged, some left as they are."""
        draws = tf.random.stateless_uniform(tf.shape(places), seed)
        others = tf.random.stateless_uniform(tf.shape(places), seed + 1, FIRST_WORD, self.mask_id, tf.int32)
        kept = tf.gather(rows, places, batch_dims=1)
        shown = tf.where(draws < _MASKED, self.mask_id, tf.where(draws < _MASKED + _RANDOM, others, kept))
        shown = tf.where(weights > 0, shown, kept)
        row = tf.broadcast_to(tf.range(tf.shape(places)[0])[:, tf.newaxis], tf.shape(places))
        return tf.tensor_scatter_nd_update(rows, tf.stack([row, places], axis=-1), shown)


def _of_mean_one(inputs, words, weights):
    # So that Keras' mean over all places, which it knows to take over replicas, is the mean over what is asked.
    return inputs, words, weights / tf.reduce_mean(weights)


def questions(objective, share, mask_id):
    """Returns checked `Questions`, the share 0.15 of masked words and all next words by default."""
    _checks.one_of(objective, "objective", ["masked", "next"])
    share = {"masked": 0.15, "next": 1.0}[objective] if share is None else _checks.positive(share, "share")
    return Questions(objective, _checks.number(share, "share", 0.0, 1.0), mask_id)
