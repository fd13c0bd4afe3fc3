"""A model in two: from the inputs to the backbone's features, and from the features to the outputs."""

import keras

from tf_transfer.backbones.blocks import find_backbone
from tf_transfer.training import as_multi_worker
from tf_transfer.training.graphs import graph_of


def split_at_backbone(model):
    """Cuts a model behind its backbone; the parts share its layers, so that training one trains the model.

    Args:
        model: A functional or sequential `keras.Model` with one backbone nested in it, called once.

    Returns:
        Two `keras.Model`s: from the model's inputs to the backbone's features, and from those to its outputs.

    Raises:
        ValueError: When there is no nested backbone, or the outputs do not depend on its features alone.

    Example:

    >>> model = tft.ImageClassifier(num_classes=3, weights=None, input_shape=(32, 32, 3),
    ...                             backbone_options={"alpha": 0.35}).build()
    >>> encoder, head = tft.backbones.split_at_backbone(model)
    >>> encoder.output_shape, head.output_shape
    ((None, 1280), (None, 3))
    """
    backbone = find_backbone(model)
    if backbone is model:
        raise ValueError(
            f"The model {model.name!r} has no backbone nested in it; it has {[layer.name for layer in model.layers]}. "
            "Make it of a backbone and a head, `head(backbone(inputs))`, as the builders do."
        )
    graph, calls = calls_within(model, backbone)
    if len(calls) != 1:
        raise ValueError(
            f"The model {model.name!r} must be functional and call its backbone {backbone.name!r} once. "
            f"Received: a {type(model).__name__} that calls it {len(calls)} times."
        )
    features = calls[0].output_tensors[0]
    try:
        with model.distribute_strategy.scope():
            head = as_multi_worker(keras.Model(features, graph.outputs, name=f"{model.name}_head"))
    except ValueError as error:
        raise ValueError(
            f"The outputs of {model.name!r} depend on more than the features of its backbone {backbone.name!r}."
        ) from error
    return keras.Model(graph.inputs, features, name=f"{model.name}_features"), head


def calls_within(model, layer):
    """Returns the graph of a functional or sequential model, and the nodes in it at which it calls a layer.

    A layer may be part of several graphs; only its calls in this one count.
    """
    graph = graph_of(model)
    own = {id(node) for nodes in getattr(graph, "_nodes_by_depth", {}).values() for node in nodes}
    return graph, [node for node in layer._inbound_nodes if id(node) in own]
