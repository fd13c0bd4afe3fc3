"""What each public object of `tft.multi_task` holds beyond its docstring."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

import contracts
from contract_parts import check_config, check_refuses
from contract_registry import row

X = np.random.default_rng(5).normal(size=(8, 4)).astype("float32")
Y = {"digit": np.where(np.arange(8) % 4 == 3, -1, np.arange(8) % 3), "age": np.arange(8.0)[:, None]}


def network():
    x = keras.Input((4,))
    shared = keras.layers.Dense(5, "tanh", name="shared")(x)
    digit = keras.layers.Dense(3, "softmax", name="digit")(shared)
    model = keras.Model(x, {"digit": digit, "age": keras.layers.Dense(1, name="age")(shared)})
    digits = tft.losses.LabelledLoss("sparse_categorical_crossentropy", missing=-1)
    model.compile("sgd", {"digit": digits, "age": keras.losses.MeanSquaredError()})
    return model


def check_balancing(cls, **arguments):
    def made():
        method = cls(network(), **arguments)
        method.compile(keras.optimizers.Adam(0.01))
        return method

    check_config(functools.partial(cls, network(), **arguments))
    contracts.check_method(made, tf.data.Dataset.from_tensors((X, Y)).repeat(2), X, Y)
    one = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    check_refuses(lambda: cls(one), "two outputs or more", "tft.MultiTask")


@row("multi_task.BalancedModel", example_in="multi_task.UncertaintyWeighting")
def _(balanced_model):
    method = balanced_model(network())
    method.compile("sgd")
    with pytest.raises(NotImplementedError, match="`balance`"):
        method.fit(X, Y, verbose=0)


@row("multi_task.UncertaintyWeighting")
def _(uncertainty):
    check_balancing(uncertainty)


@row("multi_task.DynamicWeightAveraging")
def _(averaging):
    check_balancing(averaging, temperature=1.5)
    check_refuses(lambda: averaging(network(), temperature=0.0), "`temperature`", "above 0")


@row("multi_task.GradNorm")
def _(grad_norm):
    check_balancing(grad_norm, alpha=0.5, learning_rate=0.1, shared_layer="shared")
    check_refuses(lambda: grad_norm(network(), alpha=-1.0), "`alpha`")
    check_refuses(lambda: grad_norm(network(), learning_rate=0.0), "`learning_rate`", "above 0")


@row("multi_task.PCGrad")
def _(pc_grad):
    check_balancing(pc_grad, seed=3)
