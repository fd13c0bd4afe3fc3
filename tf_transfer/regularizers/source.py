"""The source of a model that is fine-tuned: its weights, its features, its classifier."""

import keras
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.backbones import block_layers, find_backbone, split_at_backbone
from tf_transfer.layers import HubLayer, load_model
from tf_transfer.training import LayerTaps, layer_paths
from tf_transfer.training.graphs import graph_of


def pretrained_part(model):
    """Returns the backbone that is nested in a model, or raises."""
    backbone = find_backbone(model)
    if backbone is model:
        raise ValueError(
            f"The model {model.name!r} has no backbone nested in it, so that what is pretrained can't be told from "
            f"what is new; it has {[layer.name for layer in model.layers]}. Make it of a backbone and a head, "
            "`head(backbone(inputs))`, as `tft.ImageClassifier` does."
        )
    return backbone


def loaded(source):
    """Returns a source that was given as a model, as its path, or not at all."""
    return source if source is None or isinstance(source, keras.Model) else load_model(source)


def source_backbone(source, backbone):
    """Returns what of a source model a backbone started from: `backbone` itself, or the part with the same weights."""
    if source is None:
        return backbone
    source, shapes = loaded(source), _shapes(backbone)
    for part in (find_backbone(source), source):
        if _shapes(part) == shapes:
            return part
    raise ValueError(
        f"`source` must have the backbone that is trained: {backbone.name!r} has {len(shapes)} weights, "
        f"{source.name!r} has {len(source.weights)} of other shapes. Load it as the backbone of the model was loaded."
    )


def pretrained_variables(backbone):
    """Returns the variables of a backbone that gradients can move, whether they train now or not."""
    return [variable for part in backbone._flatten_layers() for variable in part._trainable_variables]


def head_variables(model, backbone):
    """Returns the variables of a model that train and are not its backbone's."""
    pretrained = {id(variable) for variable in backbone.variables}
    return [variable for variable in model.trainable_variables if id(variable) not in pretrained]


def constants(variables):
    """Returns the values of variables as they are now."""
    # Tensors, not arrays: a traced step refers to them, where arrays would be written into its graph.
    return [tf.constant(ops.convert_to_numpy(variable)) for variable in variables]


def frozen_copy(model):
    """Returns a copy of a model or Hub layer, with its weights as they are now, that does not train."""
    try:
        copy = type(model).from_config(model.get_config()) if isinstance(model, HubLayer) else _clone(model)
        if not copy.built:
            copy.build(model.input_shape)
        copy.set_weights(model.get_weights())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            f"No copy of {model.name!r} can be made to be the source: {error} Use a functional or sequential model."
        ) from error
    copy.trainable = False
    return copy


class SourceFeatures:
    """Features of a model that trains, beside those of its source on the same inputs.

    Args:
        model: Functional or sequential `keras.Model` with a nested backbone, called once.
        source: As the field of a regularizer.
        layers: Sequence of names or paths of layers in the backbone.

    Attributes:
        paths: List of strings, the layers whose outputs `pairs` needs.
        watched: List of strings, those among them whose features are compared.
    """

    def __init__(self, model, source, layers):
        backbone = pretrained_part(model)
        self._inside = [path_in(backbone, layer) for layer in layers]
        self.watched = [whole_path(model, backbone, inside) for inside in self._inside]
        self._feeding, self._input = _what_feeds(model, backbone)
        self.paths = [*self.watched, *([self._feeding] if self._feeding else [])]
        self._copy = frozen_copy(source_backbone(source, backbone))
        self._taps = LayerTaps(self._copy, [inside for inside in self._inside if inside])

    def pairs(self, batch):
        """Returns a list of pairs (source features, features), float32, one a layer."""
        inputs = batch.layer_outputs[self._feeding] if self._feeding else _input_of(batch.x, *self._input)
        with self._taps.attached(), self._taps.recording() as found:
            outputs = self._copy(inputs, training=False)
        sources = [found[inside] if inside else outputs for inside in self._inside]
        pairs = zip(sources, (batch.layer_outputs[path] for path in self.watched), strict=True)
        return [(ops.stop_gradient(ops.cast(one, "float32")), ops.cast(other, "float32")) for one, other in pairs]


class SourceHead:
    """The last layer of a source classifier, copied onto the features of a model, where it trains along.

    Args:
        model: `keras.Model` with a nested backbone.
        source: Built classifier whose last dense layer takes the features of such a backbone.
    """

    def __init__(self, model, source):
        self._path = whole_path(model, pretrained_part(model), "")
        dim = pretrained_part(model).output_shape[-1]
        last = _last_dense(source, dim)
        self.layer = keras.layers.Dense(last.units, use_bias=last.use_bias, dtype="float32", name="source_head")
        self.layer.build((None, dim))
        self.layer.set_weights(
            [ops.convert_to_numpy(weight) for weight in (last.kernel, last.bias) if weight is not None]
        )
        self.paths = [self._path]
        self.variables = self.layer.trainable_variables

    def logits(self, batch):
        return self.layer(averaged(batch.layer_outputs[self._path]))


def averaged(features):
    """Returns features of shape `(batch, channels)`: maps are averaged over their positions."""
    features = ops.cast(features, "float32")
    return ops.mean(features, axis=tuple(range(1, len(features.shape) - 1))) if len(features.shape) > 2 else features


def path_in(backbone, layer):
    """Returns the path of a layer in a backbone, given its path or its name; "" is the backbone itself."""
    paths = [] if isinstance(backbone, HubLayer) else list(layer_paths(backbone))
    if layer in ("", backbone.name):
        return ""
    found = [path for path in paths if path == layer] or [path for path in paths if path.endswith(f"/{layer}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{layer!r} names several layers of {backbone.name!r}: {found}. Give the whole path of one.")
    hint = _checks.did_you_mean(layer, [*paths, *(path.split("/")[-1] for path in paths)])
    raise ValueError(f"The backbone {backbone.name!r} has no layer {layer!r}. It has {paths}.{hint}")


def whole_path(model, backbone, inside):
    """Returns the path in a model of what has a path in its backbone."""
    prefix = next(path for path, layer in layer_paths(model).items() if layer is backbone)
    return f"{prefix}/{inside}" if inside else prefix


def quarter_ends(backbone):
    """Returns the paths of the layers that end the four quarters of a backbone's blocks."""
    grouped = list(block_layers(backbone).values())
    if isinstance(backbone, HubLayer):
        return [""]
    paths = {id(layer): path for path, layer in layer_paths(backbone).items()}
    ends = dict.fromkeys(round(len(grouped) * quarter / 4) - 1 for quarter in (1, 2, 3, 4))
    return [paths[id(grouped[end][-1])] for end in ends if end >= 0]


def _clone(model):
    return keras.models.clone_model(model)


def _shapes(model):
    return [tuple(weight.shape) for weight in model.weights]


def _what_feeds(model, backbone):
    """Returns the path of the layer in front of a backbone, or None and which input of the model it takes."""
    encoder, _ = split_at_backbone(model)
    node = backbone._inbound_nodes[encoder.outputs[0]._keras_history.node_index]
    tensor = node.input_tensors[0]
    graph = graph_of(model)
    for position, own in enumerate(graph.inputs):
        if own is tensor:
            return None, (own.name, position)
    paths = {id(layer): path for path, layer in layer_paths(model).items()}
    path = paths.get(id(tensor._keras_history.operation))
    if len(node.input_tensors) != 1 or path is None:
        raise ValueError(
            f"What the backbone {backbone.name!r} of {model.name!r} is called on is no output of one layer. Put a "
            "layer in front of it, or give it an input of the model."
        )
    return path, None


def _input_of(x, name, position):
    return x[name] if isinstance(x, dict) else keras.tree.flatten(x)[position]


def _last_dense(source, dim):
    dense = [layer for layer in source._flatten_layers() if isinstance(layer, keras.layers.Dense)]
    named = [layer for layer in dense if layer.name == "logits"]
    last = (named or dense or [None])[-1]
    if last is None or last.kernel.shape[0] != dim:
        found = "no dense layer" if last is None else f"{last.name!r}, which takes {last.kernel.shape[0]}"
        raise ValueError(
            f"`source` must be a classifier whose last dense layer takes the {dim} features of the backbone. "
            f"Received: {source.name!r} with {found}."
        )
    return last
