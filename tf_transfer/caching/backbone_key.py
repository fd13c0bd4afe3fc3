"""What makes two backbones give the same features: a key of architecture and weights."""

import hashlib
import json

import keras


def backbone_key(backbone):
    """Returns a hexadecimal key that two backbones share when they give the same features for the same inputs.

    It covers the configuration of every layer (preprocessing and dtype policies included), the vocabulary of text
    layers and all weights. Names, `trainable` flags and seeds do not count: they differ between equal models.

    Args:
        backbone: A built `keras.Model` or `keras.layers.Layer`.

    Raises:
        ValueError: When the backbone has no complete `get_config`, so that it cannot be told from another one.

    Example:

    >>> def make():
    ...     return keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3, kernel_initializer="ones")])
    >>> make().name == make().name, backbone_key(make()) == backbone_key(make())
    (False, True)
    """
    digest = hashlib.blake2b(digest_size=20)
    digest.update(json.dumps(_architecture(backbone), sort_keys=True, default=str).encode())
    for layer in backbone._flatten_layers():
        if hasattr(layer, "get_vocabulary"):
            # An adapted vocabulary stands in no configuration and is no weight.
            digest.update(json.dumps([str(word) for word in layer.get_vocabulary()]).encode())
    # In the order of the graph: names are numbered by what else the process has built.
    for variable in backbone.weights:
        value = keras.ops.convert_to_numpy(variable)
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def first_random_layer(layer):
    """Returns the first random layer that no trained layer stands before, or None.

    Such a layer (an augmentation, a dropout on the inputs) makes the inputs of the backbone differ from epoch to
    epoch. Dropout inside the backbone does not count: a frozen backbone gives features in inference mode.
    """
    return _walk(layer)[0]


def _walk(layer):
    """Returns the first random layer, and whether a layer with something to train was met (it ends the search)."""
    if _is_random(layer):
        return layer, False
    graph = getattr(layer, "_functional", None) or layer
    if hasattr(graph, "_nodes_by_depth"):
        return _walk_graph(graph)
    for part in layer._flatten_layers(include_self=False, recursive=False):
        found, trained = _walk(part)
        if found is not None or trained:
            return found, trained
    return None, bool(layer._trainable_variables)


def _walk_graph(graph):
    # A layer may be part of several graphs; only its calls in this one count.
    own = {id(node) for nodes in graph._nodes_by_depth.values() for node in nodes}
    above_trained = set()
    for layer in graph.layers:
        calls = [node for node in layer._inbound_nodes if id(node) in own]
        if any(id(parent.operation) in above_trained for node in calls for parent in node.parent_nodes):
            above_trained.add(id(layer))
            continue
        found, trained = _walk(layer)
        if found is not None:
            return found, False
        if trained:
            above_trained.add(id(layer))
    return None, bool(above_trained)


_RANDOM_NAMES = ("Random", "RandAugment", "AugMix", "MixUp", "CutMix", "GaussianNoise")


def _is_random(layer):
    kind = type(layer).__name__
    return ("Dropout" in kind or kind.startswith(_RANDOM_NAMES)) and getattr(layer, "rate", None) != 0


def _architecture(backbone):
    try:
        config = backbone.get_config()
    except NotImplementedError as error:
        raise ValueError(
            f"The features of {backbone.name!r} cannot be cached: its class {type(backbone).__name__} has no "
            "`get_config`, so it cannot be told from another backbone. Define `get_config`, or do without the cache."
        ) from error
    kind = f"{type(backbone).__module__}.{type(backbone).__qualname__}"
    layers = list(backbone._flatten_layers())
    # Operations that are no layers are named by what else the process has built, too.
    operations = [each for layer in layers for each in getattr(layer, "operations", ())]
    numbers = {name: index for index, name in enumerate(dict.fromkeys(each.name for each in [*layers, *operations]))}
    return [kind, _canonical(config, numbers)]


_NO_MATTER = ("trainable", "seed", "compile_config")


def _canonical(config, numbers):
    """Returns a configuration with layers numbered instead of named, without what changes no feature."""
    if isinstance(config, dict):
        kept = {key: value for key, value in config.items() if key not in _NO_MATTER}
        if isinstance(kept.get("name"), str):
            kept["name"] = numbers.get(kept["name"], kept["name"])
        return {key: _canonical(value, numbers) for key, value in kept.items()}
    if isinstance(config, list | tuple):
        # [layer, node, tensor]: where a tensor comes from.
        if len(config) == 3 and isinstance(config[0], str) and config[0] in numbers:
            config = [numbers[config[0]], *config[1:]]
        return [_canonical(value, numbers) for value in config]
    return config
