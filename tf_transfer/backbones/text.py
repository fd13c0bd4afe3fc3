"""`load_text_backbone`: raw strings in, features out, whatever the source."""

import os

import keras

from tf_transfer import _checks
from tf_transfer.backbones.loading import model_name
from tf_transfer.backbones.saved import open_saved_model
from tf_transfer.layers import HubLayer, TextPreprocessor

SOURCES = ("hub:", "keras_hub:", "file:")


def load_text_backbone(
    name, *, pooling="avg", sequence_length=128, output_key=None, preprocessor=None, output_layer=None
):
    """Loads a pretrained text encoder as a Keras model from raw strings to features, its vocabulary inside.

    Args:
        name: String, where the encoder comes from:

            - "hub:" and a handle, as in `tft.load_backbone`, of a module that takes strings, or takes what a
              `preprocessor` makes of them;
            - "keras_hub:" and a preset of KerasHub (`pip install tf-transfer[keras-hub]`), its name or its folder: a
              backbone with its tokenizer;
            - "file:" and the path of a saved Keras model that takes strings.
        pooling: "avg" or "first" over the tokens of encoders that give a vector for each: their mean without the
            padding, or the first token, which BERT trained for this. Defaults to "avg".
        sequence_length: Integer, tokens of a text that a KerasHub encoder sees. Defaults to 128.
        output_key: String, which output of a Hub module that gives several, such as "pooled_output".
        preprocessor: String, the handle of the Hub module that makes tokens for this one. Defaults to none.
        output_layer: String, the layer of a saved model whose output are the features. Defaults to its last.

    Returns:
        A `keras.Model`, input "text" of shape `(batch,)`, strings, output `(batch, features)`.

    Raises:
        ValueError: For an unknown source, or a model that does not take strings.
        ImportError: For a KerasHub preset without KerasHub.

    Example:

    >>> encoder = tft.TextEncoder(vocabulary=["good", "bad"], sequence_length=4, dim=8, num_heads=2).build()
    >>> encoder.save("encoder.keras")
    >>> tft.backbones.load_text_backbone("file:encoder.keras").output_shape
    (None, 8)
    """
    _checks.one_of(pooling, "pooling", ["avg", "first"])
    _checks.integer(sequence_length, "sequence_length", 1)
    name = os.fspath(name)
    source = next((each for each in SOURCES if name.startswith(each)), None)
    if source is None:
        raise ValueError(f"Unknown text backbone {name!r}. Known are {[f'{each}...' for each in SOURCES]}.")
    place = name.removeprefix(source)
    if source == "file:":
        return _of_strings(open_saved_model(place, output_layer), name)
    text = keras.Input((), dtype="string", name="text")
    if source == "keras_hub:":
        features, mask = _keras_hub(place, text, sequence_length)
    else:
        features, mask = _hub(place, text, output_key, preprocessor)
    return keras.Model(text, _pooled(features, mask, pooling), name=model_name(place))


def import_keras_hub(what):
    """Returns the module of KerasHub, or raises an `ImportError` that says how what needs it comes to it."""
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(f"{what} needs KerasHub: `pip install tf-transfer[keras-hub]`. ({error})") from error
    return keras_hub


def takes_strings(model):
    """Returns whether a model has one input, of strings, a text an example."""
    inputs = getattr(model, "inputs", None) or []
    return len(inputs) == 1 and inputs[0].dtype == "string" and tuple(inputs[0].shape[1:]) in ((), (1,))


def _of_strings(model, name):
    if not takes_strings(model):
        received = {spec.name: (spec.dtype, tuple(spec.shape)) for spec in model.inputs}
        raise ValueError(f"A text backbone takes strings of shape (batch,). {name!r} takes {received}.")
    return model


def _hub(handle, text, output_key, preprocessor):
    tokens = text if preprocessor is None else HubLayer(preprocessor, name="tokens")(text)
    layer = HubLayer(handle, output_key=output_key)
    try:
        features = layer(tokens)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The module {handle!r} does not take a batch of strings: {error}. Does it need a `preprocessor`?"
        ) from error
    if isinstance(features, dict):
        raise ValueError(f"The module {handle!r} gives {sorted(features)}. Say which with `output_key`.")
    return features, None


def _keras_hub(preset, text, sequence_length):
    keras_hub = import_keras_hub(f"The preset {preset!r}")
    backbone = keras_hub.models.Backbone.from_preset(preset)
    make = keras_hub.models.TextClassifierPreprocessor.from_preset(preset, sequence_length=sequence_length)
    tokens = TextPreprocessor(make, name="tokens")(text)
    features = backbone(tokens)
    mask = tokens.get("padding_mask") if isinstance(tokens, dict) else None
    if isinstance(features, dict):
        features = features["sequence_output"]
    return features, mask


def _pooled(features, mask, pooling):
    if len(features.shape) == 2:
        return features
    if pooling == "first":
        return features[:, 0]
    if mask is None:
        return keras.layers.GlobalAveragePooling1D(name="avg_pooling")(features)
    return mean_of_tokens(features, mask)


def mean_of_tokens(x, mask):
    """Returns the mean of vectors of tokens, shape `(batch, tokens, dim)`, where a mask is not 0; else zeros."""
    weights = keras.ops.expand_dims(keras.ops.cast(mask, x.dtype), -1)
    return keras.ops.sum(x * weights, axis=1) / keras.ops.maximum(keras.ops.sum(weights, axis=1), 1)
