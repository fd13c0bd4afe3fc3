"""Clients with a few examples each, linear models and a network, and plain NumPy for what they should do."""

import keras
import numpy as np

import tf_transfer as tft

RNG = np.random.default_rng(5)


def data(num, seed=0, dim=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num, dim)).astype("float32")
    return x, (x @ np.arange(1.0, dim + 1)[:, None] + rng.normal(size=(num, 1))).astype("float32")


def clients(*sizes):
    return [data(size, seed) for seed, size in enumerate(sizes)]


def linear(optimizer=None, dim=3):
    """Returns a compiled linear regression with fixed weights and a bias."""
    kernel = keras.initializers.Constant(np.linspace(-1, 1, dim)[:, None])
    model = keras.Sequential([keras.Input((dim,)), keras.layers.Dense(1, kernel_initializer=kernel)])
    model.compile(optimizer or keras.optimizers.SGD(0.1), "mse")
    return model


def network(batch_norm=False, dropout=0.0, seed=3):
    """Returns a compiled classifier of two classes: a nested backbone and a head."""
    layers = [keras.Input((3,)), keras.layers.Dense(4, "tanh")]
    layers += [keras.layers.BatchNormalization(name="batch_norm")] if batch_norm else []
    layers += [keras.layers.Dropout(dropout, seed=1)] if dropout else []
    backbone = tft.backbones.reinitialize(keras.Sequential(layers, name="backbone"), seed)
    inputs = keras.Input((3,))
    head = keras.layers.Dense(2, activation="softmax", name="head")
    model = keras.Model(inputs, head(backbone(inputs)))
    model.compile(keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    tft.backbones.reinitialize(model, seed)
    return model


def opposed(num_clients=4, num=24):
    """Returns clients of which every second one calls the classes the other way round."""
    found = []
    for client in range(num_clients):
        x = np.random.default_rng(client).normal(size=(num, 3)).astype("float32")
        found.append((x, ((x[:, 0] > 0) ^ (client % 2)).astype("int64")))
    return found


def gradient_step(weights, x, y, rate=0.1):
    """Returns kernel and bias after one step of gradient descent on the mean squared error."""
    kernel, bias = (np.asarray(weight, "float64") for weight in weights)
    error = x @ kernel + bias - y
    return [kernel - rate * 2 * x.T @ error / len(x), bias - rate * 2 * error.mean(axis=0)]
