"""Networks that few-shot learners are tested on."""

import keras


def twins():
    """Returns a dense network of three inputs and one output, and one with a convolution that computes the same."""
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)])
    image = keras.Sequential([
        keras.Input((3,)), keras.layers.Reshape((1, 1, 3)), keras.layers.Conv2D(4, 1, activation="tanh"),
        keras.layers.Flatten(), keras.layers.Dense(1),
    ])  # fmt: skip
    kernel, *rest = dense.get_weights()
    image.set_weights([kernel[None, None], *rest])
    return dense, image
