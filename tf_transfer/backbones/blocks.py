"""The blocks of a backbone, by name and in order, so that people can say from where on to train."""

import re

import keras

from tf_transfer.layers import HubLayer

# Pattern of a layer's name -> name of its block. Layers before the first match are the stem, layers after
# the last match the top, a layer between two matches (an unnamed shortcut) belongs to the block before it.
PATTERNS = {
    "convnext": [
        (r"stage_(\d+)_block_(\d+)_", "stage_{}_block_{}"),
        (r"downsampling_block_(\d+)$", "downsampling_{}"),
    ],
    "efficientnet": [(r"^block(\d+)([a-z])_", "block_{}{}")],
    "inception": [
        (r"^mixed_?(\d+[ab]?)$", "mixed_{}"),
        (r"^block(\d+)_(\d+)_ac$", "block{}_{}"),
    ],
    "mobilenet": [(r"^conv_(?:dw|pw)_(\d+)", "block_{}")],
    "mobilenet_v2": [(r"^block_(\d+)_", "block_{}")],
    "mobilenet_v3": [(r"^expanded_conv_(\d+)_", "block_{}")],
    "nasnet": [
        (r"^stem_|_stem_\d$", "stem"),
        (r"_reduce_(\d+)$", "reduce_{}"),
        (r"^(?:adjust|normal|separable).*(?<!stem)_(\d+)$", "block_{}"),
    ],
    "numbered": [(r"^block(\d+)_(?:sep)?conv\d", "block_{}")],
    "resnet": [(r"^conv(\d+)_block(\d+)_", "conv{}_block_{}"), (r"^pool(\d+)_", "transition_{}")],
}

# In a model of unknown family these belong to the layer in front of them.
_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)

_PADDINGS = (keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D)

# Families whose names mark the layer that closes a block, not the layers inside it.
_CLOSING = {"inception"}


def find_backbone(model):
    """Returns the pretrained part of a model: its one nested model or Hub layer, else the model itself.

    Args:
        model: A `keras.Model`.

    Returns:
        A `keras.Model` or `HubLayer`. Among several nested models with weights it is the one that holds more
        than half of the parameters; where none does, `model` itself. So it is where nested models stand side by
        side and their features are all that comes out, as in the backbone of a `tft.FeatureFusion`.

    Example:

    >>> backbone = tft.load_backbone("mobilenet_v2", None, (32, 32, 3), alpha=0.35)
    >>> model = keras.Sequential([keras.Input((32, 32, 3)), backbone, keras.layers.Dense(2)])
    >>> tft.backbones.find_backbone(model) is backbone
    True
    """
    if not isinstance(model, keras.Model | HubLayer):
        raise ValueError(f"`model` must be a `keras.Model`. Received: {model!r}.")
    if isinstance(model, HubLayer):
        return model
    if side_by_side(model):
        return model
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model | HubLayer)]
    # A Hub module that lists no variables is a backbone all the same, when there is no other.
    nested = [layer for layer in nested if layer.weights] or [layer for layer in nested if _holds_module(layer)]
    if len(nested) == 1:
        return nested[0]
    half = model.count_params() / 2
    return next((layer for layer in nested if layer.count_params() > half), model)


def side_by_side(model):
    """Returns the branches of a model that only puts the features of nested models beside each other.

    Args:
        model: A `keras.Model` or `HubLayer`.

    Returns:
        Dict of name to nested `keras.Model` or `HubLayer`, in the order of their features; empty for any other model.
    """
    outputs = getattr(model, "outputs", None) if isinstance(model, keras.Model) else None
    if not outputs or len(outputs) != 1 or not hasattr(model, "_nodes_by_depth"):
        return {}
    last = next((layer for layer in model.layers if isinstance(layer, keras.layers.Concatenate)), None)
    if last is None or model.outputs[0]._keras_history.operation is not last:
        return {}
    own = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    (call,) = [node for node in last._inbound_nodes if id(node) in own]
    parts = [tensor._keras_history.operation for tensor in call.input_tensors]
    if not all(isinstance(part, keras.Model | HubLayer) for part in parts):
        return {}
    return {part.name: part for part in parts}


def _holds_module(layer):
    return any(isinstance(part, HubLayer) for part in layer._flatten_layers())


def blocks(model):
    """Returns the names of a model's blocks, from the input to the output.

    The families of `keras.applications` are grouped as their papers do ("stem", "block_1", ..., "top"); in any
    other model each layer that has weights is a block, with the normalization behind it. In a model with a nested
    backbone (what the builders return) the blocks are those of the backbone.

    Args:
        model: A `keras.Model`, built.

    Returns:
        List of strings.

    Example:

    >>> backbone = tft.load_backbone("mobilenet_v2", weights=None, input_shape=(32, 32, 3), alpha=0.35)
    >>> names = tft.blocks(backbone)
    >>> names[0], names[1], names[-2], names[-1]
    ('stem', 'block_1', 'block_16', 'top')
    """
    return list(block_layers(model))


def block_layers(model):
    """Returns the layers of each block, those that have weights.

    Args:
        model: A `keras.Model`, built, as in `blocks`.

    Returns:
        Dict of block name to list of `keras.layers.Layer`, from the input to the output.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.ReLU()])
    >>> {name: [layer.name for layer in layers] for name, layers in tft.backbones.block_layers(model).items()}
    {'a': ['a']}
    """
    backbone = _innermost(model)
    if isinstance(backbone, HubLayer):
        return {backbone.name: [backbone]}
    if branches := side_by_side(backbone):
        return _with_names(branches, block_layers)
    grouped = {}
    for layer, name in zip(backbone.layers, _block_names(backbone.layers), strict=True):
        if layer.weights:
            grouped.setdefault(name, []).append(layer)
    return grouped


def block_ends(model):
    """Returns the last layer of each block, with weights or without, whose output the next block sees.

    Args:
        model: A `keras.Model`, built, as in `blocks`.

    Returns:
        Dict of block name to `keras.layers.Layer`, from the input to the output.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.ReLU(name="b")])
    >>> {name: layer.name for name, layer in block_ends(model).items()}
    {'a': 'b'}
    """
    backbone = _innermost(model)
    if isinstance(backbone, HubLayer):
        return {backbone.name: backbone}
    if branches := side_by_side(backbone):
        return _with_names(branches, block_ends)
    # Zeros around feature maps are for the convolution of the next block.
    ends = {
        name: layer
        for layer, name in zip(backbone.layers, _block_names(backbone.layers), strict=True)
        if not isinstance(layer, _PADDINGS)
    }
    return {name: ends[name] for name in block_layers(model)}


def _with_names(branches, look):
    return {f"{name}/{block}": found for name, branch in branches.items() for block, found in look(branch).items()}


def _innermost(model):
    # A saved model that is a backbone now may have had a backbone of its own.
    while (inner := find_backbone(model)) is not model:
        model = inner
    return model


def _block_names(layers):
    family, matches = _best_family(layers)
    if family is None:
        return _one_a_layer(layers)
    if family in _CLOSING:
        return _until_closed(layers, matches)
    first = next(i for i, match in enumerate(matches) if match)
    last = max(i for i, match in enumerate(matches) if match)
    names, current = [], None
    for i, match in enumerate(matches):
        current = match or current
        names.append("stem" if i < first else "top" if i > last else current)
    return names


def _one_a_layer(layers):
    names, current = [], None
    for layer in layers:
        if layer.weights and not (current and isinstance(layer, _NORMALIZATIONS)):
            current = layer.name
        names.append(current)
    return names


def _best_family(layers):
    """Returns the family under which most layers find a block, with each layer's block or None."""
    best, best_matches, best_count = None, None, 1
    for family, patterns in PATTERNS.items():
        matches = [_match(layer.name, patterns) for layer in layers]
        count = sum(match is not None for match in matches)
        if count > best_count and len(set(matches) - {None}) > 1:
            best, best_matches, best_count = family, matches, count
    return best, best_matches


def _match(name, patterns):
    for pattern, template in patterns:
        found = re.search(pattern, name)
        if found:
            return template.format(*found.groups())
    return None


def _until_closed(layers, matches):
    first = next(i for i, match in enumerate(matches) if match)
    # The stem of the Inception networks ends at the last pooling in front of the first branches.
    poolings = [i for i in range(first) if isinstance(layers[i], keras.layers.MaxPooling2D)]
    stem_end = poolings[-1] if poolings else -1
    names, current = [], "top"
    for i in reversed(range(len(layers))):
        current = matches[i] or current
        names.append("stem" if i <= stem_end else current)
    return names[::-1]
