"""`fingerprint`: blind to order and batches, and to nothing else."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.data import StreamFingerprint, fingerprint

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (20, 6, 6, 3)).astype("float32")
Y = RNG.integers(0, 4, 20)
W = RNG.random(20).astype("float32")


def of(x=X, y=Y, w=W, batch_size=7, shuffle=None):
    dataset = tf.data.Dataset.from_tensor_slices((x, y, w))
    if shuffle is not None:
        dataset = dataset.shuffle(20, seed=shuffle)
    return fingerprint(dataset.batch(batch_size))


@pytest.mark.parametrize(
    "options", [{"batch_size": 1}, {"batch_size": 20}, {"shuffle": 1}, {"shuffle": 2, "batch_size": 3}]
)
def test_order_and_batches_do_not_matter(options):
    assert of(**options) == of()


def changed(array, index, by=1):
    copy = array.copy()
    copy[index] += by
    return copy


@pytest.mark.parametrize(
    "change",
    [
        {"x": changed(X, (13, 2, 3, 1))},
        {"x": changed(X, (13, 2, 3, 1), by=1e-4)},
        {"y": changed(Y, 19)},
        {"w": changed(W, 0)},
        {"x": X.astype("float64")},
        {"y": Y.astype("int32")},
        {"x": X.reshape(20, 6, 3, 6)},
        {"y": Y[::-1].copy()},
        {"x": np.concatenate([X[:19], X[:1]])},
    ],
)
def test_any_change_matters(change):
    assert of(**change) != of()


def test_missing_doubled_and_swapped_examples_matter():
    assert of(X[:19], Y[:19], W[:19]) != of()
    twice = np.concatenate([X, X[:1]]), np.concatenate([Y, Y[:1]]), np.concatenate([W, W[:1]])
    assert of(*twice) != of()
    thrice = [np.concatenate([part, part[-1:]]) for part in twice]
    assert len({of(), of(*twice), of(*thrice)}) == 3


def test_value_is_the_sum_of_the_hashes_of_the_examples():
    x = np.array([[1, 2], [3, 4]], np.uint8)
    header = b".[('|u1', (2,))]"
    digests = [hashlib.blake2b(header + bytes(row), digest_size=16).digest() for row in ([1, 2], [3, 4])]
    total = sum(int.from_bytes(digest, "little") for digest in digests) % 2**128
    assert fingerprint([x]) == f"{total:032x}-2"


def test_structure_matters():
    part = np.zeros((3, 2))
    batches = [part, (part,), (part, part), {"a": part}, {"b": part}, {"a": part, "b": part}, (part, None)]
    assert len({fingerprint([batch]) for batch in batches}) == len(batches)
    assert fingerprint([{"a": part, "b": part + 1}]) == fingerprint([{"b": part + 1, "a": part}])


def test_texts_are_told_apart_by_their_borders():
    def of_texts(rows):
        return fingerprint(tf.data.Dataset.from_tensor_slices(rows).batch(2))

    assert of_texts([["ab", "c"]]) != of_texts([["a", "bc"]])
    assert of_texts(["one", "two", "three"]) == of_texts(["three", "one", "two"])


def test_reading_while_training_counts_examples():
    reader = StreamFingerprint()
    for batch in tf.data.Dataset.from_tensor_slices((X, Y, W)).batch(8):
        reader.update(batch)
    assert reader.num_examples == 20
    assert reader.hexdigest() == of()
    assert reader.hexdigest().endswith("-20")


def test_random_stream_changes_from_pass_to_pass():
    dataset = tf.data.Dataset.range(4).map(lambda i: tf.random.uniform((3,))).batch(2)
    assert fingerprint(dataset) != fingerprint(dataset)


def test_what_has_no_fingerprint():
    with pytest.raises(ValueError, match="An endless dataset has no fingerprint"):
        fingerprint(tf.data.Dataset.range(3).repeat().batch(2))
    with pytest.raises(ValueError, match="same first dimension"):
        fingerprint([(np.zeros(3), np.zeros(2))])
    with pytest.raises(TypeError, match="Received a RaggedTensor"):
        fingerprint([tf.ragged.constant([[1], [1, 2]])])
