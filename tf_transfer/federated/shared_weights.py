"""Which weights of a model leave a client, and which stay there."""

import re

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.backbones import find_backbone
from tf_transfer.training import batch_norm_layers, layer_paths
from tf_transfer.training.layer_taps import layer_at

BATCH_NORM = ["shared", "local", "local_statistics"]


class SharedWeights:
    """Sorts the weights of a model into those that are sent to the server and those that are a client's own.

    Weights that do not change while a client trains, such as those of frozen layers, are neither.

    Args:
        model: Built `keras.Model`.
        personal: "head", a name or path of a layer, "re:..." for the layers whose path the regular expression finds,
            or a list of those. Defaults to None, no layer.
        batch_norm: "shared", "local" or "local_statistics", see `FedAvg`. Defaults to "shared".

    Attributes:
        trained: List of variables that gradients move and that are shared.
        statistics: List of float variables that change in another way, such as moving statistics, and are shared.
        personal: List of variables that stay at a client.

    Raises:
        ValueError: When `personal` or `batch_norm` names nothing that trains, or nothing is left to share.
    """

    def __init__(self, model, personal=None, batch_norm="shared"):
        _checks.one_of(batch_norm, "batch_norm", BATCH_NORM)
        changing = [*model.trainable_variables, *_statistics(model)]
        own = {id(each) for each in [*_of_layers(model, personal), *_of_batch_norm(model, batch_norm)]}
        trained = {id(each) for each in model.trainable_variables}
        shared = [each for each in changing if id(each) not in own]
        self.personal = [each for each in changing if id(each) in own]
        self.trained = [each for each in shared if id(each) in trained]
        self.statistics = [each for each in shared if id(each) not in trained]
        if not self.trained:
            raise ValueError(
                f"The model {model.name!r} has no weights left that train and are shared: there is nothing to learn "
                f"from one another. Unfreeze a part of it, or keep less to the clients. Received: personal={personal!r}"
                f", batch_norm={batch_norm!r}."
            )

    @property
    def shared(self):
        return [*self.trained, *self.statistics]


def values(variables):
    """Returns the values of variables as a list of arrays."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables, arrays):
    """Gives variables their values."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _statistics(model):
    """Returns what layers that are not frozen keep besides their trainable weights, such as moving statistics."""
    layers = [layer for layer in model._flatten_layers() if layer.trainable]
    found = [variable for layer in layers for variable in layer._non_trainable_variables]
    return [variable for variable in found if "float" in variable.dtype]


def _of_batch_norm(model, batch_norm):
    if batch_norm == "shared":
        return []
    layers = [layer for layer in batch_norm_layers(model) if layer.trainable]
    if not layers:
        raise ValueError(
            f"The model {model.name!r} has no batch normalization that trains. Received: batch_norm={batch_norm!r}. "
            "Leave it out."
        )
    if batch_norm == "local":
        return [variable for layer in layers for variable in layer.weights]
    return [variable for layer in layers for variable in layer.non_trainable_variables]


def _of_layers(model, personal):
    if personal is None:
        return []
    found = []
    for name in [personal] if isinstance(personal, str) else personal:
        weights = _head(model) if name == "head" else [each for layer in _named(model, name) for each in layer.weights]
        if not any(weight.trainable for weight in weights):
            raise ValueError(f"{name!r} in `personal` names no weights of {model.name!r} that train.")
        found += weights
    return found


def _head(model):
    backbone = find_backbone(model)
    if backbone is not model:
        inside = {id(variable) for variable in backbone.weights}
        return [variable for variable in model.weights if id(variable) not in inside]
    layers = [layer for layer in layer_paths(model).values() if layer.weights and not getattr(layer, "layers", None)]
    return layers[-1].weights if layers else []


def _named(model, name):
    if not name.startswith("re:"):
        return [layer_at(model, name)]
    paths = layer_paths(model)
    found = [layer for path, layer in paths.items() if re.search(name.removeprefix("re:"), path)]
    if not found:
        raise ValueError(f"{name!r} in `personal` finds no layer of {model.name!r}. It has {list(paths)}.")
    return found
