"""Texts as questions: which words are asked for, what stands in their place, and that all of a text is used."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.pretraining.word_guesses import FIRST_WORD, UNKNOWN, questions, windows

LENGTH, WORDS = 20, 50
MASK = FIRST_WORD + WORDS
ROWS = np.random.default_rng(0).integers(FIRST_WORD, MASK, (400, LENGTH)).astype("int32")


def asked(rows=ROWS, objective="masked", share=None, seed=(1, 2)):
    inputs, words, weights = questions(objective, share, MASK).ask(tf.constant(rows), tf.constant(seed))
    return inputs["ids"].numpy(), inputs["places"].numpy(), words.numpy(), weights.numpy()


def test_long_texts_become_several_windows_and_single_words_none():
    layer = keras.layers.TextVectorization(vocabulary=["a", "b", "c"])
    rows = windows(tf.data.Dataset.from_tensors(["a b c a b", "c", "x a"]), layer, 3)
    assert sorted(rows.tolist()) == sorted([[2, 3, 4], [2, 3, 0], [1, 2, 0]])


def test_hidden_words_are_asked_for_and_all_others_are_seen_as_they_are():
    ids, places, words, weights = asked()
    np.testing.assert_array_equal(words, np.take_along_axis(ROWS, places, 1))
    assert places.shape == (400, 3) and weights.all(), "15% of 20 words are 3"
    assert all(len(set(row)) == 3 for row in places.tolist())
    untouched = np.ones(ROWS.shape, bool)
    np.put_along_axis(untouched, places, False, 1)
    np.testing.assert_array_equal(ids[untouched], ROWS[untouched])
    shown = np.take_along_axis(ids, places, 1)
    assert (shown == MASK).mean() == pytest.approx(0.8, abs=0.04)
    # A tenth is left, and one of 50 words exchanged for another is that word itself.
    assert (shown == words).mean() == pytest.approx(0.1 + 0.1 / WORDS, abs=0.03)
    assert shown[shown != MASK].min() >= FIRST_WORD and shown.max() == MASK
    assert np.bincount(places.ravel(), minlength=LENGTH).min() > 20, "some places are never asked for"


def test_neither_padding_nor_unknown_words_are_asked_for():
    rows = ROWS.copy()
    rows[:, 5:] = 0
    rows[:, 1] = UNKNOWN
    ids, places, words, weights = asked(rows, share=0.5)
    assert weights.sum(axis=1).tolist() == [2.0] * 400, "half of four words are two"
    assert (words[weights > 0] >= FIRST_WORD).all() and set(places[weights > 0]) == {0, 2, 3, 4}
    np.testing.assert_array_equal(ids[:, 5:], rows[:, 5:])


def test_the_next_word_is_the_one_behind():
    ids, places, words, weights = asked(objective="next")
    np.testing.assert_array_equal(ids, ROWS)
    row = np.arange(len(ROWS))[:, None]
    ahead = np.pad(ROWS, ((0, 0), (0, 1)))[row, places + 1]
    np.testing.assert_array_equal(words[weights > 0], ahead[weights > 0])
    assert weights.sum(axis=1).tolist() == [LENGTH - 1] * 400 and not (places[weights > 0] == LENGTH - 1).any()


def test_each_epoch_asks_otherwise_and_a_seed_asks_the_same_again():
    def epochs(seed, shuffle=True):
        stream = questions("masked", None, MASK).dataset(ROWS[:8], 4, seed, shuffle=shuffle)
        return [np.concatenate([batch[0]["ids"] for batch in stream]) for _ in range(2)]

    first, second = epochs(3)
    assert not np.array_equal(np.sort(first, axis=0), np.sort(second, axis=0))
    np.testing.assert_array_equal(epochs(3)[0], first)
    np.testing.assert_array_equal(epochs(3)[1], second)
    fixed = epochs(3, shuffle=False)
    np.testing.assert_array_equal(fixed[0], fixed[1])


def test_the_weights_of_a_batch_are_one_in_the_mean_whatever_the_lengths():
    rows = ROWS[:8].copy()
    rows[:6, 4:] = 0
    stream = questions("masked", 0.5, MASK).dataset(rows, 4, 0)
    assert int(stream.cardinality()) == 2
    for _, _, weights in stream:
        assert (weights.numpy() == 0).any() and float(tf.reduce_mean(weights)) == pytest.approx(1.0)
