"""Backbones from `keras.applications`: built at any size and channel count, preprocessed right."""

import inspect

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.backbones.channels import adapt_channels
from tf_transfer.backbones.preprocessing import constants, preprocess
from tf_transfer.backbones.table import APPLICATIONS, IMAGENET_STD

# What `load_backbone` decides itself, or what belongs to a head.
_NOT_OPTIONS = {
    "include_top", "include_preprocessing", "weights", "input_tensor", "input_shape", "pooling", "classes",
    "classifier_activation", "name",
}  # fmt: skip


def build_application(name, weights, input_shape, pooling, options):
    """Returns a flat functional model from raw images to features.

    Args:
        name: String, a key of `APPLICATIONS`.
        weights: "imagenet", None, or the path of a weight file.
        input_shape: Tuple `(height, width, channels)`.
        pooling: "avg", "max" or None.
        options: Dict, further arguments of the constructor such as `alpha`.

    Returns:
        A `keras.Model` named `name` whose input is named "image".
    """
    entry = APPLICATIONS[name]
    constructor = getattr(keras.applications, entry.constructor)
    options = _check_options(name, constructor, options)
    _check_size(name, entry, weights, input_shape)
    image = keras.Input(input_shape, name="image")
    inner = image if entry.built_in else preprocess(image, entry.preprocessing)
    if input_shape[-1] == 3 or weights is None:
        base = _construct(name, constructor, weights, inner, input_shape, pooling, options)
    else:
        rgb_shape = (*input_shape[:2], 3)
        rgb = _construct(name, constructor, weights, keras.Input(rgb_shape), rgb_shape, pooling, options)
        base = _construct(name, constructor, None, inner, input_shape, pooling, options)
        adapt_channels(rgb, base, entry.preprocessing)
    return keras.Model(image, base.output, name=name)


def _construct(name, constructor, weights, inputs, input_shape, pooling, options):
    if "include_preprocessing" in inspect.signature(constructor).parameters:
        options = {**options, "include_preprocessing": False}
    try:
        model = constructor(
            include_top=False, weights=weights, input_tensor=inputs, input_shape=input_shape, pooling=pooling, **options
        )
    except Exception as error:
        # keras.utils.get_file raises a bare Exception with this text; whatever else goes wrong keeps its own words.
        if "URL fetch failure" not in str(error):
            raise
        raise OSError(
            f"The ImageNet weights of {name!r} are not on this machine and could not be downloaded ({error}). "
            "Connect once, or put the file into the `models` folder of $KERAS_HOME (by default ~/.keras), or pass "
            "`weights=` the path of a weight file, or `weights=None` for random ones."
        ) from error
    _normalize_efficientnet(model, weights, input_shape)
    return model


def _normalize_efficientnet(model, weights, input_shape):
    """Gives the first EfficientNets the input scaling that they only have with weights="imagenet".

    `keras.applications` adds a division by the square root of ImageNet's deviations for "imagenet" alone. A weight
    file made from such a network would silently run without it, and random weights without any normalisation.
    Folding it into the variance of the normalisation layer gives the same function from every source.
    """
    normalization = [layer for layer in model.layers if isinstance(layer, keras.layers.Normalization) and layer.weights]
    rescalings = [layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling)]
    if not normalization or len(rescalings) > 1:
        return
    _, variance, count = normalization[0].get_weights()
    published = input_shape[-1] == 3 and np.allclose(variance, np.square(IMAGENET_STD), rtol=1e-2)
    if weights is None or published:
        # The layer follows a division by 255.
        scale, offset, _ = constants("efficientnet", input_shape[-1])
        scale = np.broadcast_to(scale, input_shape[-1:]) * 255
        normalization[0].set_weights([-np.asarray(offset) / scale, scale**-2.0, count])
        normalization[0].finalize_state()


def _check_options(name, constructor, options):
    known = sorted(set(inspect.signature(constructor).parameters) - _NOT_OPTIONS)
    _checks.known_fields(options, known, f"The backbone {name!r}")
    return dict(options)


def _check_size(name, entry, weights, input_shape):
    if min(input_shape[:2]) < entry.smallest_size:
        raise ValueError(
            f"{name!r} needs images of at least {entry.smallest_size} x {entry.smallest_size} pixels. "
            f"Received: input_shape={input_shape}. Resize the images, or choose another backbone."
        )
    wanted = (entry.default_size, entry.default_size, 3)
    if entry.fixed_size and weights == "imagenet" and input_shape != wanted:
        raise ValueError(
            f"The ImageNet weights of {name!r} load at input_shape={wanted} only. Received: input_shape={input_shape}."
        )
