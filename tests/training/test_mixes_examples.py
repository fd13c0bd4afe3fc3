"""Whether a model's word on an example depends on the rest of the batch: the rule against what the model says."""

import keras
import numpy as np
import pytest

from tf_transfer.training.batch_statistics import mixes_examples

layers = keras.layers


class Centered(layers.Dense):
    def call(self, x):
        return super().call(x - keras.ops.mean(x, axis=0))


def frozen():
    norm = layers.BatchNormalization()
    norm.trainable = False
    return norm


def functional(function):
    inputs = keras.Input((6, 6, 2))
    return keras.Model(inputs, function(inputs))


def convolutions():
    return [layers.Conv2D(3, 3, activation="relu"), layers.MaxPooling2D(), layers.GroupNormalization(groups=-1)]


ALONE = {
    "convolutions": lambda: keras.Sequential([keras.Input((6, 6, 2)), *convolutions(), layers.Flatten()]),
    "branches": lambda: functional(lambda x: layers.Concatenate()([layers.Dense(3)(x), layers.ReLU()(x)])),
    "frozen": lambda: keras.Sequential([keras.Input((6, 6, 2)), keras.Sequential([frozen()]), layers.Dense(2)]),
}
MIXED = {
    "normalized": lambda: keras.Sequential([keras.Input((6, 6, 2)), keras.Sequential([layers.BatchNormalization()])]),
    "subclass of a known layer": lambda: keras.Sequential([keras.Input((6, 6, 2)), Centered(2)]),
    "operation": lambda: functional(lambda x: layers.Dense(2)(x - keras.ops.mean(x, axis=0))),
    "axis": lambda: functional(lambda x: layers.Softmax(axis=0)(x)),
    "activation": lambda: functional(lambda x: layers.Dense(2, activation=lambda x: x - keras.ops.mean(x, axis=0))(x)),
    "lambda": lambda: functional(lambda x: layers.Lambda(lambda x: x - keras.ops.mean(x, axis=0))(x)),
}


def depends_on_the_batch(model):
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")
    together, by_itself = model(x, training=True)[:1], model(x[:1], training=True)
    return float(keras.ops.max(keras.ops.abs(together - by_itself))) > 1e-5


@pytest.mark.parametrize("name", ALONE)
def test_models_that_see_one_example_at_a_time(name):
    model = ALONE[name]()
    assert not mixes_examples(model)
    assert not depends_on_the_batch(model)


@pytest.mark.parametrize("name", MIXED)
def test_models_that_see_the_batch(name):
    model = MIXED[name]()
    assert mixes_examples(model)
    assert depends_on_the_batch(model)
    assert mixes_examples(ALONE["branches"](), model)


def test_what_adds_a_loss_counts_as_mixing():
    # It would be counted once for both domains instead of once for each.
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activity_regularizer=keras.regularizers.L2(0.1))])
    assert mixes_examples(model)


def test_freezing_a_whole_model_reaches_its_normalization():
    model = MIXED["normalized"]()
    model.trainable = False
    assert not mixes_examples(model)
    model.trainable = True
    assert mixes_examples(model)
