"""A small classifier, one batch of few labelled and more unlabelled examples, and what a loss says of them in NumPy."""

import keras
import numpy as np
import tensorflow as tf

RNG = np.random.default_rng(0)
X_LABELLED, X_UNLABELLED = RNG.normal(size=(4, 5)).astype("float32"), RNG.normal(size=(8, 5)).astype("float32")
Y = np.array([0, 1, 2, 1])


def network(seed=0, batch_norm=False, regularizer=None, activation="softmax"):
    """Returns a classifier of three classes with one hidden layer, its weights drawn from a seed."""
    layers = [keras.Input((5,)), keras.layers.Dense(6, activation="tanh", kernel_regularizer=regularizer)]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization(momentum=0.8, name="norm"))
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation=activation)])
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if "norm" not in variable.path:
            variable.assign(rng.normal(scale=0.7, size=variable.shape))
    return model


def batch(strong=None, index=None, sample_weight=None):
    """Returns a dataset of one batch of 4 labelled examples with 2 unlabelled ones each."""
    x = {"labelled": X_LABELLED, "unlabelled": X_UNLABELLED.reshape(4, 2, 5)}
    if strong is not None:
        x["strong"] = strong(X_UNLABELLED).reshape(4, 2, 5)
    if index is not None:
        x["index"] = index.reshape(4, 2)
    return tf.data.Dataset.from_tensors((x, Y) if sample_weight is None else (x, Y, sample_weight))


def once(model, data, rate=0.0, loss="sparse_categorical_crossentropy", **options):
    """Trains a method for one step and returns what the history says of it."""
    model.compile(keras.optimizers.SGD(rate), loss)
    return {name: values[0] for name, values in model.fit(data, verbose=0, **options).history.items()}


def softmax(model, x):
    return model(x).numpy().astype("float64")


def cross_entropy(model, weights=1.0):
    """The mean of the cross-entropy on the labelled examples."""
    return np.mean(weights * -np.log(softmax(model, X_LABELLED)[np.arange(4), Y]))
