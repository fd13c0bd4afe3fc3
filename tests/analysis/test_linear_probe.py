"""The linear probe: what it measures, and that nothing of the validation data is in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

import tf_transfer as tft
from tf_transfer.analysis import linear_probe

RNG = np.random.default_rng(0)
Y = np.arange(90) % 3
X = (RNG.normal(size=(90, 5)) + np.eye(3)[Y] @ RNG.normal(size=(3, 5)) * 0.7).astype("float32")
TRAIN, TEST = (X[:45], Y[:45]), (X[45:], Y[45:])


def encoder():
    return keras.Sequential([keras.Input((5,)), keras.layers.Rescaling(1.0)])


def test_it_is_logistic_regression_on_standardized_features():
    mean, deviation = TRAIN[0].mean(0), TRAIN[0].std(0)
    scaled = [(x - mean) / deviation for x in (TRAIN[0], TEST[0])]
    found = linear_probe(encoder(), TRAIN, TEST)
    plain = [
        LogisticRegression(C=strength, max_iter=1000).fit(scaled[0], TRAIN[1]).predict_proba(scaled[1])
        for strength in 10.0 ** np.arange(-4, 3)
    ]
    assert min(np.abs(found.scores - each).max() for each in plain) < 1e-4
    low, high = found.accuracy_interval()
    assert 0.5 < low < found.accuracy < high


def test_labels_of_the_validation_data_and_the_encoder_have_no_part_in_it():
    network = encoder()
    before = [np.array(each) for each in network.weights]
    found = linear_probe(network, TRAIN, TEST)
    other = linear_probe(network, TRAIN, (TEST[0], TEST[1][::-1]))
    np.testing.assert_array_equal(found.scores, other.scores)
    assert all(np.array_equal(old, new) for old, new in zip(before, network.weights, strict=True))


def test_streams_one_hot_labels_maps_and_cached_features_give_the_same(tmp_path):
    expected = linear_probe(encoder(), TRAIN, TEST).scores
    streams = [tf.data.Dataset.from_tensor_slices((x, np.eye(3)[y])).batch(7) for x, y in (TRAIN, TEST)]
    np.testing.assert_allclose(linear_probe(encoder(), *streams).scores, expected, atol=1e-5)
    maps = keras.Sequential([keras.Input((5,)), keras.layers.Reshape((1, 1, 5)), keras.layers.UpSampling2D(2)])
    np.testing.assert_allclose(linear_probe(maps, TRAIN, TEST).scores, expected, atol=1e-5)
    cache = tft.FeatureCache(tmp_path)
    for _ in range(2):
        np.testing.assert_allclose(linear_probe(encoder(), TRAIN, TEST, cache=cache).scores, expected, atol=1e-5)
    assert len(cache.entries()) == 2


def test_one_example_a_class_is_enough_and_names_are_kept(tmp_path):
    found = linear_probe(encoder(), (X[:3], Y[:3]), TEST, class_names=["a", "b", "c"])
    assert found.class_names == ("a", "b", "c") and found.scores.shape == (45, 3)
    with pytest.raises(ValueError, match=r"none of \[2\]"):
        linear_probe(encoder(), (X[:2], Y[:2]), TEST)
