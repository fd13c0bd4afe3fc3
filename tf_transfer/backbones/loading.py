"""`load_backbone`: raw images in, features out, whatever the source."""

import os

import keras

from tf_transfer import _checks
from tf_transfer.backbones.applications import build_application
from tf_transfer.backbones.preprocessing import preprocess
from tf_transfer.backbones.reusable import shipped, shipped_names
from tf_transfer.backbones.saved import open_saved_model
from tf_transfer.backbones.table import APPLICATIONS, PREPROCESSING
from tf_transfer.layers import HubLayer

_POOLING = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}


def names(contains=""):
    """Returns the names that `load_backbone` knows, sorted.

    Args:
        contains: String, only names with this in them. Defaults to all.

    Returns:
        List of strings: the families of `keras.applications` and the encoders that come with the package.

    Example:

    >>> tft.backbones.names("mobilenet")
    ['mobilenet', 'mobilenet_v2', 'mobilenet_v3_large', 'mobilenet_v3_small']
    """
    return sorted(name for name in [*APPLICATIONS, *shipped_names()] if contains in name)


def load_backbone(
    name, weights="imagenet", input_shape=None, pooling="avg", *, preprocessing="auto", output_layer=None, **options
):
    """Loads a pretrained network as a Keras model from raw images to features.

    The model takes images in 0..255 as they come from a file, and preprocesses them as its weights were trained.
    All of it is made of Keras' own layers, except for Hub modules, which sit in a `HubLayer`.

    Args:
        name: String, where the network comes from:

            - a name of `tft.backbones.names()`, such as "mobilenet_v2";
            - "hub:" and a handle: a folder, a `.tar.gz`, an `https://` address or a Kaggle handle of a TF2 module;
            - "file:" and the path of a saved Keras model.
        weights: "imagenet", None for random ones, or the path of a `.weights.h5` file made from the same network
            without its top. Only for `keras.applications`. Defaults to "imagenet".
        input_shape: Tuple `(height, width, channels)` in pixels. One and N channels keep the pretrained weights: the
            first convolution is summed or averaged. Defaults to what the weights were trained at.
        pooling: "avg", "max", or None for feature maps. Defaults to "avg".
        preprocessing: String, a key of `tft.backbones.PREPROCESSING`, or "auto": what the family wants, [0, 1] for
            Hub modules (the convention of TF Hub), nothing for saved models. Defaults to "auto".
        output_layer: String, the layer of a saved model ("file:") whose output are the features. Defaults to its last.
        **options: Further arguments of the constructor in `keras.applications`, such as `alpha=0.35`.

    Returns:
        A `keras.Model`, input "image" of shape `(batch, height, width, channels)`, output `(batch, features)`, or
        `(batch, height, width, features)` with `pooling=None`.

    Raises:
        ValueError: For an unknown name or option, or images smaller than the network can take.
        OSError: When weights or a module can be neither found nor downloaded.

    Example:

    >>> backbone = tft.load_backbone("mobilenet_v2", weights=None, input_shape=(96, 96, 3), alpha=0.35)
    >>> backbone.output_shape
    (None, 1280)
    """
    if pooling is not None:
        _checks.one_of(pooling, "pooling", ["avg", "max"])
    _checks.one_of(preprocessing, "preprocessing", ["auto", *PREPROCESSING])
    if input_shape is not None:
        input_shape = _checks.image_shape(input_shape)
    name = os.fspath(name)
    if name in shipped_names():
        name = f"hub:{shipped(name)}"
    if not name.startswith("file:") and output_layer is not None:
        raise ValueError(f"`output_layer` cuts a saved model ('file:...'). Received: {output_layer!r} for {name!r}.")
    if name.startswith(("hub:", "file:")):
        return _load_saved(name, input_shape, pooling, preprocessing, output_layer, options)
    check_name(name)
    entry = APPLICATIONS[name]
    if preprocessing not in ("auto", entry.preprocessing):
        raise ValueError(f"{name!r} has its preprocessing, {entry.preprocessing!r}. Received: {preprocessing!r}.")
    shape = input_shape or (entry.default_size, entry.default_size, 3)
    return build_application(name, _check_weights(name, weights), shape, pooling, options)


def check_name(name):
    """Raises for what `load_backbone` does not know, without loading anything."""
    if name in APPLICATIONS or name in shipped_names() or name.startswith(("hub:", "file:")):
        return
    hint = _checks.did_you_mean(name, names())
    raise ValueError(f"Unknown backbone {name!r}.{hint} Known are {names()}, 'hub:HANDLE' and 'file:MODEL.keras'.")


def _load_saved(name, input_shape, pooling, preprocessing, output_layer, options):
    source, _, place = name.partition(":")
    if options:
        raise ValueError(f"{name!r} takes no further options. Received: {sorted(options)}.")
    if source == "hub":
        layer, shape, default = _hub_layer(place, input_shape)
    else:
        layer, shape, default = _saved_model(place, input_shape, output_layer)
    image = keras.Input(shape, name="image")
    features = layer(preprocess(image, default if preprocessing == "auto" else preprocessing))
    if pooling is not None and len(features.shape) == 4:
        features = _POOLING[pooling](name=f"{pooling}_pooling")(features)
    return keras.Model(image, features, name=model_name(place))


def _hub_layer(handle, input_shape):
    layer = HubLayer(handle)
    shape = input_shape or layer.expected_input_shape
    if shape is None or None in shape:
        raise ValueError(
            f"The module {handle!r} does not say what image size it wants. Give input_shape=(height, width, channels)."
        )
    return layer, shape, "unit"


def _saved_model(path, input_shape, output_layer):
    model = open_saved_model(path, output_layer)
    own = tuple(model.input_shape[1:])
    shape = input_shape or own
    fits = len(own) == len(shape) and all(a in (None, b) for a, b in zip(own, shape, strict=True))
    if not fits or None in shape:
        raise ValueError(f"{path!r} takes images of shape {own}. Received: input_shape={input_shape}.")
    return model, shape, "none"


def _check_weights(name, weights):
    if weights is None or weights == "imagenet":
        return weights
    path = os.fspath(weights)
    if not os.path.isfile(path):
        hint = _checks.did_you_mean(path, ["imagenet", "none"])
        raise ValueError(
            f"`weights` must be 'imagenet', None or the path of a weight file of {name!r}. Received: {path!r}.{hint}"
        )
    return path


def model_name(place):
    """Returns a name for the model from a handle, with the characters that Keras' variable scopes can take."""
    parts = [
        part for part in place.removesuffix(".tar.gz").removesuffix(".keras").split("/") if part and not part.isdigit()
    ]
    cleaned = "".join(letter if letter.isalnum() else "_" for letter in (parts[-1] if parts else "backbone"))
    return cleaned.strip("_") or "backbone"
