"""A small network of three tasks, and data in which some labels are missing."""

import keras
import numpy as np

import tf_transfer as tft

RNG = np.random.default_rng(11)
X = RNG.normal(size=(16, 4)).astype("float32")
Y = {
    "digit": RNG.integers(0, 3, 16),
    "age": RNG.normal(size=(16, 1)).astype("float32"),
    "tags": RNG.integers(0, 2, (16, 2)),
}
# Two of each eight, so that halves of a batch have unequal numbers of labels.
MISSING = {
    "digit": np.where(np.arange(16) % 8 < 2, -1, Y["digit"]),
    "age": np.where(np.arange(16)[:, None] % 8 > 4, np.nan, Y["age"]).astype("float32"),
    "tags": np.where(np.arange(16)[:, None] % 8 == 3, -1, Y["tags"]),
}


def network(seed=0, l2=0.0, trainable=True):
    x = keras.Input((4,), name="x")
    regularizer = keras.regularizers.L2(l2) if l2 else None
    initial = [keras.initializers.GlorotUniform(seed=seed + number) for number in range(5)]
    shared = x
    for units, name, initializer in ((6, "first", initial[0]), (5, "last", initial[1])):
        options = {"kernel_initializer": initializer, "kernel_regularizer": regularizer, "name": name}
        shared = keras.layers.Dense(units, "tanh", **options)(shared)
    heads = {
        "digit": keras.layers.Dense(3, "softmax", kernel_initializer=initial[2], name="digit", dtype="float32"),
        "age": keras.layers.Dense(1, kernel_initializer=initial[3], name="age", dtype="float32"),
        "tags": keras.layers.Dense(2, "sigmoid", kernel_initializer=initial[4], name="tags", dtype="float32"),
    }
    model = keras.Model(x, {name: head(shared) for name, head in heads.items()}, name="network")
    for name in ("first", "last"):
        model.get_layer(name).trainable = trainable
    return model


def losses():
    return {
        "digit": tft.losses.LabelledLoss("sparse_categorical_crossentropy", -1),
        "age": tft.losses.LabelledLoss(keras.losses.MeanSquaredError(), by_entry=True),
        "tags": tft.losses.LabelledLoss("binary_crossentropy", -1, by_entry=True),
    }


def values_and_gradients(model, x=X, y=None, weights=None):
    """Returns the loss of each task, and its gradients, computed apart from the methods."""
    import tensorflow as tf

    y = Y if y is None else y
    found = {}
    for name, loss in losses().items():
        with tf.GradientTape() as tape:
            value = loss(y[name], model(x, training=True)[name], sample_weight=weights)
        gradients = tape.gradient(value, [each.value for each in model.trainable_variables])
        found[name] = (float(value), [None if each is None else each.numpy() for each in gradients])
    return found
