"""Where in a model the features are: what its last layer decides on."""

import keras

from tf_transfer import _checks
from tf_transfer.backbones import find_backbone, split_at_backbone
from tf_transfer.training.graphs import graph_of

# Layers at the end of a model that only shape what the last layer with weights gives.
_SHAPING = (keras.layers.Activation, keras.layers.Softmax, keras.layers.Dropout, keras.layers.Rescaling)


def feature_model(model, features):
    """Returns the part of a model that ends in its features; it shares the layers of the model.

    Args:
        model: A functional or sequential `keras.Model`.
        features: String, the name of the layer whose output they are; or True for those of the nested backbone, or
            where there is none, for what goes into the last layer with weights.

    Returns:
        A `keras.Model` with the inputs of `model` and one output.

    Raises:
        ValueError: There is no such layer, or more than one path to the output; the message lists the layers.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2)])
    >>> feature_model(model, True).output_shape
    (None, 3)
    """
    if isinstance(features, str):
        return _ending_at(model, _layer(model, features).output)
    if features is not True:
        raise ValueError(f"`features` must be True, False or the name of a layer. Received: features={features!r}.")
    if find_backbone(model) is not model:
        try:
            return _ending_at(model, split_at_backbone(model)[0].outputs[0])
        except ValueError as error:
            raise ValueError(f"`features=True` finds no features. {error} {_way_out(model)}") from error
    return _ending_at(model, _before_the_last_weights(model))


def _layer(model, name):
    layers = {layer.name: layer for layer in model.layers}
    if name not in layers:
        raise ValueError(
            f"`features` must be True or the name of a layer, one of {list(layers)}. Received: features={name!r}."
            f"{_checks.did_you_mean(name, layers)}"
        )
    if not isinstance(layers[name].output, keras.KerasTensor):
        raise ValueError(f"Layer {name!r} gives more than one tensor, so its output cannot be served as `features`.")
    return layers[name]


def _before_the_last_weights(model):
    tensor = model.outputs[0]
    while len(model.outputs) == 1:
        layer, node, _ = tensor._keras_history
        inputs = layer._inbound_nodes[node].input_tensors
        if len(inputs) != 1 or isinstance(layer, keras.layers.InputLayer):
            break
        if not isinstance(layer, _SHAPING):
            if not layer.weights:
                break
            # In a served model dropout does nothing, so that it does not matter on which side of it to look.
            return inputs[0]
        tensor = inputs[0]
    raise ValueError(f"`features=True` finds no features: it has no single last layer with weights. {_way_out(model)}")


def _ending_at(model, tensor):
    graph = graph_of(model)
    return keras.Model(graph.input, tensor, name=f"{model.name}_features")


def _way_out(model):
    return f"Name the layer whose output they are, one of {[layer.name for layer in model.layers]}."
