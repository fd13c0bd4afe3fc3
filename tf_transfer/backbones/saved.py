"""Saved Keras models as backbones: opened, and cut where the features are."""

import os

import keras

from tf_transfer import _checks
from tf_transfer.backbones.splitting import calls_within
from tf_transfer.layers import load_model


def open_saved_model(path, output_layer=None):
    """Opens a saved Keras model as a backbone.

    Args:
        path: Path of a `.keras` file.
        output_layer: String, the layer whose output are the features. Defaults to None: the model's own output.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        FileNotFoundError: When there is no such file.
        ValueError: For a folder, and for a layer that the model does not have.

    Example:

    >>> inputs = keras.Input((4,))
    >>> hidden = keras.layers.Dense(3, name="hidden")(inputs)
    >>> keras.Model(inputs, keras.layers.Dense(2)(hidden)).save("whole.keras")
    >>> tft.backbones.open_saved_model("whole.keras", "hidden").output_shape
    (None, 3)
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no saved model at {path!r}.")
    if os.path.isdir(path):
        raise ValueError(f"{path!r} is a folder. A saved Keras model is a file; for a SavedModel say 'hub:{path}'.")
    model = load_model(path, compile=False)
    if output_layer is None:
        return model
    layers = [layer.name for layer in model.layers]
    if output_layer not in layers:
        hint = _checks.did_you_mean(output_layer, layers)
        raise ValueError(f"{path!r} has no layer {output_layer!r}. Its layers are {layers}.{hint}")
    # The `output` of a nested model is that of its own graph, not of its call in this one.
    _, calls = calls_within(model, model.get_layer(output_layer))
    return keras.Model(model.inputs, calls[0].output_tensors[0], name=model.name)
