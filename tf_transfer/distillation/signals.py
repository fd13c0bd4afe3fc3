"""What a model shows of itself in one forward pass: logits, outputs of layers, its own outputs."""

import keras
from keras import ops

from tf_transfer.training import LayerTaps
from tf_transfer.training.graphs import graph_of
from tf_transfer.training.logits import logits_reader

LOGITS = "logits"
OUTPUTS = "outputs"


class Signals:
    """Reads what distillation losses compare from a model.

    Args:
        model: Built `keras.Model`.
        wanted: Set of `LOGITS`, `OUTPUTS` and ("layer", path).

    Raises:
        ValueError: When the model has no such layer, or its logits can't be told.
    """

    def __init__(self, model, wanted):
        self.wanted = sorted(wanted, key=str)
        self._path, self._to_logits = logits_reader(model) if LOGITS in wanted else (None, None)
        paths = [signal[1] for signal in self.wanted if signal not in (LOGITS, OUTPUTS)]
        self.paths = list(dict.fromkeys([*paths, *([self._path] if self._path else [])]))
        self.taps = LayerTaps(model, self.paths)

    def read(self, outputs, layer_outputs):
        """Returns a dict from the name of each signal to its tensor."""
        found = {}
        for signal in self.wanted:
            if signal == OUTPUTS:
                found[signal_name(signal)] = outputs
            elif signal == LOGITS:
                found[signal_name(signal)] = self._to_logits(layer_outputs[self._path] if self._path else outputs)
            else:
                found[signal_name(signal)] = layer_outputs[signal[1]]
        return found

    def run(self, model, inputs, training=False):
        """Calls a model and returns its outputs and its signals."""
        with self.taps.attached(), self.taps.recording() as layer_outputs:
            outputs = model(inputs, training=training)
        return outputs, self.read(outputs, layer_outputs)

    def shape(self, model, signal):
        """Returns the shape of a signal, as far as it is known before any call."""
        if signal == OUTPUTS:
            return tuple(model.output_shape)
        layer = self.taps.layers[signal[1]]
        try:
            return tuple(layer.output.shape)
        except AttributeError as error:
            raise ValueError(
                f"The shape of what {signal[1]!r} of {model.name!r} puts out is not known, since it is no layer of a "
                "functional or sequential model. Choose a layer that is, or give a loss that needs no projector."
            ) from error


def signal_name(signal):
    """Returns the string under which a signal is kept."""
    return signal if isinstance(signal, str) else f"layer:{signal[1]}"


def inputs_for(model, x):
    """Returns inputs as a model takes them: its own of a dict, and images resized where it wants another size.

    Args:
        model: `keras.Model`.
        x: Tensor, or a dict or list of tensors.

    Raises:
        ValueError: When an input is missing, or has other channels.
    """
    if not getattr(model, "inputs", None):
        return x
    wanted = graph_of(model).input
    if isinstance(wanted, dict) and isinstance(x, dict):
        missing = sorted(set(wanted) - set(x))
        if missing:
            raise ValueError(f"{model.name!r} takes the inputs {sorted(wanted)}. Missing: {missing} of {sorted(x)}.")
        return {name: _resized(model, each, x[name]) for name, each in wanted.items()}
    if keras.tree.is_nested(wanted) or keras.tree.is_nested(x):
        return x
    return _resized(model, wanted, x)


def _resized(model, wanted, x):
    if len(wanted.shape) != 4 or len(x.shape) != 4 or None in wanted.shape[1:3] or wanted.shape[1:3] == x.shape[1:3]:
        return x
    if wanted.shape[3] != x.shape[3]:
        raise ValueError(
            f"{model.name!r} takes images of {wanted.shape[3]} channels. Received: images of shape {tuple(x.shape)}."
        )
    images = ops.cast(x, "float32")
    return ops.image.resize(images, tuple(wanted.shape[1:3]), interpolation="bilinear", antialias=True)
