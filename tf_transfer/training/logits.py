"""From a classifier's scores back to its logits."""

import keras
from keras import ops

from tf_transfer.training.graphs import graph_of
from tf_transfer.training.layer_taps import layer_paths

# Below it a float32 probability carries no more information than its logarithm's cut-off.
_SMALLEST = 1e-7
_FOR_REGRESSION = (
    "For regression take a method on features: tft.DAREGRAM, tft.RSD, tft.DAN, tft.DeepCORAL, tft.DANN, tft.WDGRL, "
    "tft.ADDA, or tft.MDD with disparity='squared_error'."
)
_REGRESSION_LOSSES = {
    "huber",
    "huber_loss",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "meanabsoluteerror",
    "meansquarederror",
    "mse",
    "msle",
}


def with_logits(classifier):
    """Returns a model with a classifier's outputs and its logits; the layers are shared.

    The logits are the output of a layer named "logits" where there is one, or what a last layer that is nothing but a
    softmax takes. Else a softmax at the end is undone (log-probabilities are logits up to a constant), a single sigmoid
    becomes the two log-probabilities of "no" and "yes", and a linear output is taken for logits.

    Args:
        classifier: Functional or sequential `keras.Model` with one output of shape `(batch, num_classes)`.

    Returns:
        A `keras.Model` from the classifier's inputs to `[outputs, logits]`, logits float32.

    Raises:
        ValueError: When the logits can't be had: several outputs, a model without a graph, another activation.

    Example:

    >>> scores = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    >>> probabilities, logits = tft.training.with_logits(scores)(np.ones((1, 2)))
    >>> bool(np.allclose(probabilities, np.exp(logits)))
    True
    """
    if not getattr(classifier, "outputs", None) or len(classifier.outputs) != 1:
        raise ValueError(_sentence(classifier, "it is no functional or sequential model with one output"))
    output = classifier.outputs[0]
    named = [layer for layer in classifier.layers if layer.name == "logits"]
    if named:
        logits = _output_of(named[0], classifier)
    elif len(output.shape) != 2:
        raise ValueError(_sentence(classifier, f"its output has the shape {tuple(output.shape)}"))
    else:
        logits = taken_by_activation(classifier, "softmax")
        if logits is None:
            logits = _undone(classifier, last_activation(classifier), ops.cast(output, "float32"))
    inputs = classifier.inputs[0] if len(classifier.inputs) == 1 else classifier.inputs
    return keras.Model(inputs, [output, ops.cast(logits, "float32")], name=f"{classifier.name}_with_logits")


def logits_reader(model):
    """Returns how to read a model's logits in a forward pass: a layer's path, or None, and a function.

    The function gives float32 logits, from the output of that layer or, without a path, from the model's outputs. What
    counts as logits is as in `with_logits`; the layer "logits" may be nested.

    Args:
        model: Built `keras.Model`.

    Raises:
        ValueError: When the logits can't be had.
    """
    named = [path for path in layer_paths(model) if path.split("/")[-1] == "logits"]
    if len(named) == 1:
        return named[0], lambda output: ops.cast(output, "float32")
    if not getattr(model, "outputs", None) or len(model.outputs) != 1:
        raise ValueError(_sentence(model, "it is no functional or sequential model with one output"))
    if len(model.outputs[0].shape) != 2:
        raise ValueError(_sentence(model, f"its output has the shape {tuple(model.outputs[0].shape)}"))
    activation = last_activation(model)
    # Says now what would be wrong with the outputs later.
    _undone(model, activation, keras.KerasTensor(model.outputs[0].shape))
    return None, lambda outputs: _undone(model, activation, ops.cast(outputs, "float32"))


def _output_of(layer, model):
    graph = graph_of(model)
    # A layer knows all graphs it was called in; `layer.output` is that of the first.
    nodes = [node for nodes in graph._nodes_by_depth.values() for node in nodes if node.operation is layer]
    return nodes[0].output_tensors[0]


def taken_by_activation(model, activation):
    """Returns the tensor that a last layer of nothing but an activation takes, or None for another layer.

    Args:
        model: Functional or sequential `keras.Model` with one output.
        activation: String, the name of the activation.
    """
    if not getattr(model, "outputs", None):
        return None
    history = graph_of(model).outputs[0]._keras_history
    is_alone = isinstance(history.operation, keras.layers.Softmax | keras.layers.Activation)
    if not is_alone or last_activation(model) != activation:
        return None
    return history.operation._inbound_nodes[history.node_index].input_tensors[0]


def _undone(classifier, activation, output):
    if activation == "linear" and output.shape[-1] > 1:
        return output
    if activation == "softmax":
        return ops.log(ops.maximum(output, _SMALLEST))
    if activation == "sigmoid" and output.shape[-1] == 1:
        return ops.log(ops.maximum(ops.concatenate([1.0 - output, output], axis=-1), _SMALLEST))
    raise ValueError(_sentence(classifier, f"it ends in {output.shape[-1]} output(s) with activation {activation!r}"))


def check_class_loss(model, loss, method):
    """Raises a `ValueError` when a method on class probabilities is compiled with a regression loss on linear outputs.

    Several linear outputs may be logits or values; the loss tells. With a softmax in front, "mse" is a loss on classes.

    Args:
        model: `keras.Model`, whose outputs are taken for scores of classes.
        loss: What `compile` was given.
        method: String, the name of the method, for the sentence.
    """
    if not is_regression_loss(loss) or last_activation(model) in ("softmax", "sigmoid"):
        return
    raise ValueError(
        f"{method} works on class probabilities, and compile(loss={loss!r}) says that the linear outputs of "
        f"{model.name!r} are values. {_FOR_REGRESSION} For a classifier compile with a loss on classes, such as "
        "keras.losses.SparseCategoricalCrossentropy(from_logits=True)."
    )


def is_regression_loss(loss):
    """Returns whether a loss, as `compile` takes it, is one of Keras' own on values."""
    name = loss.name if isinstance(loss, keras.losses.Loss) else getattr(loss, "__name__", loss)
    return isinstance(name, str) and name.lower() in _REGRESSION_LOSSES


def last_activation(model):
    """Returns the name of the activation that a functional or sequential model ends in, or of its last operation."""
    layer = model.layers[-1] if isinstance(model, keras.Sequential) else _producer(model)
    while isinstance(layer, keras.Model):
        layer = layer.layers[-1] if isinstance(layer, keras.Sequential) else _producer(layer)
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    if not hasattr(layer, "activation"):
        return type(layer).__name__
    activation = keras.activations.serialize(layer.activation)
    return activation if isinstance(activation, str) else type(layer.activation).__name__


def _producer(model):
    # Which operation made a tensor is written on it, and nowhere in the public interface.
    return model.outputs[0]._keras_history.operation


def _sentence(classifier, why):
    return (
        f"The logits of the classifier {classifier.name!r} can't be told: {why}. Expected a functional or sequential "
        "model with one output (batch, num_classes), which ends in softmax, in one sigmoid, or in logits, or has a "
        f"layer named 'logits'. A regressor has none. {_FOR_REGRESSION}"
    )
