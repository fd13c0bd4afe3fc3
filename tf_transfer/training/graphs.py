"""The graph of a Keras model, which a sequential one keeps inside."""

import keras


def graph_of(model):
    """Returns the functional model that says which operations a functional or sequential model is made of.

    Its `input` and `output` are those that the model is called on and gives; of a sequential model itself Keras knows
    them only once it was called.

    Args:
        model: `keras.Model`, functional, or sequential and built.
    """
    return model._functional if isinstance(model, keras.Sequential) else model
