"""Named augmentations: lists of Keras' own layers for images in 0..255."""

import keras

from tf_transfer import _checks

_RANGE = (0, 255)
_NEEDS_RGB = keras.layers.RandomColorDegeneration
MIXING = (keras.layers.MixUp, keras.layers.CutMix)


def _geometry(shift, zoom_in, zoom_out, degrees):
    """Moves, scales and turns each image by its own amount; what comes into view is mirrored."""
    turn = degrees / 360
    return [
        # Whole pixels: twice as fast, and the two layers below blur enough.
        keras.layers.RandomTranslation(shift, shift, interpolation="nearest", dtype="float32"),
        keras.layers.RandomZoom((-zoom_in, zoom_out), dtype="float32"),
        keras.layers.RandomRotation((-turn, turn), dtype="float32"),
    ]


def _colors(amount):
    """Changes brightness, contrast and saturation.

    `RandomColorJitter` is left aside: its saturation layer leaves the range of values (-120 was seen)
    and is four times as slow as fading towards grey. A single contrast factor would only ever add contrast.
    """
    return [
        keras.layers.RandomBrightness((-amount, amount), value_range=_RANGE, dtype="float32"),
        keras.layers.RandomContrast((amount, amount), value_range=_RANGE, dtype="float32"),
        keras.layers.RandomColorDegeneration((0.0, 2 * amount), value_range=_RANGE, dtype="float32"),
    ]


def _flip():
    return [keras.layers.RandomFlip("horizontal", dtype="float32")]


def _light():
    return _flip() + _geometry(shift=0.05, zoom_in=0.1, zoom_out=0.0, degrees=5)


def _no_flip():
    return _geometry(shift=0.1, zoom_in=0.2, zoom_out=0.1, degrees=15) + _colors(0.2)


def _standard():
    return _flip() + _no_flip()


def _strong_no_flip():
    return _geometry(shift=0.15, zoom_in=0.35, zoom_out=0.15, degrees=30) + _colors(0.4)


def _strong():
    return _flip() + _strong_no_flip()


def _cutout():
    """Makes a rectangle of each image grey; grey says least about what was there."""
    return [keras.layers.RandomErasing((1.0, 1.0), scale=(0.02, 0.25), fill_value=127.5, dtype="float32")]


RECIPES = {
    "none": list,
    "flip": _flip,
    "light": _light,
    "no_flip": _no_flip,
    "standard": _standard,
    "strong": _strong,
    "cutout": lambda: _strong() + _cutout(),
    "cutout_no_flip": lambda: _strong_no_flip() + _cutout(),
    "mixup": lambda: [*_standard(), keras.layers.MixUp(alpha=0.2, dtype="float32")],
    "cutmix": lambda: [*_standard(), keras.layers.CutMix(dtype="float32")],
}


def recipe_names():
    """Returns the names of the augmentation recipes.

    - "none": images as they are.
    - "flip": left and right swapped in half of the images.
    - "light": flip, moved by up to 5%, zoomed in by up to 10%, turned by up to 5 degrees.
    - "no_flip": "standard" without flips, for what a mirror would change: digits, text, traffic signs.
    - "standard": flip, moved by up to 10%, zoomed in by 20% or out by 10%, turned by 15 degrees;
      brightness, contrast and saturation changed by up to 20, 20 and 40%.
    - "strong": about twice as much of each.
    - "cutout", "cutout_no_flip": "strong", with flips or without, then a rectangle of up to a quarter of the image made
      grey: for what is to be recognized whatever happens to it, as in `tft.semi_supervised.FixMatch`.
    - "mixup", "cutmix": "standard", then each image blended with another one of its batch, or a
      rectangle of it replaced, and the labels mixed alike; labels become one-hot.

    Example:

    >>> recipe_names()
    ['none', 'flip', 'light', 'no_flip', 'standard', 'strong', 'cutout', 'cutout_no_flip', 'mixup', 'cutmix']
    """
    return list(RECIPES)


def recipe_layers(recipe, num_channels=3):
    """Returns new layers for a recipe: a name, None, or a list of Keras layers, which are cloned."""
    if recipe is None or isinstance(recipe, str):
        layers = RECIPES[_checks.one_of("none" if recipe is None else recipe, "recipe", RECIPES)]()
        # Grey has no saturation to change, and no other number of channels has one that Keras knows.
        return [layer for layer in layers if num_channels == 3 or not isinstance(layer, _NEEDS_RGB)]
    layers = list(recipe) if isinstance(recipe, (list, tuple)) else [recipe]
    for layer in layers:
        if not isinstance(layer, keras.layers.Layer):
            raise TypeError(
                f"`recipe` must be None, one of {recipe_names()}, or a list of Keras layers. Received: {layer!r}."
            )
        if any(isinstance(part, MIXING) for part in getattr(layer, "layers", [])):
            raise ValueError(f"A layer that mixes labels must stand in `recipe` itself, not inside {layer.name!r}.")
    # A clone: the caller's layers keep their seeds, and a global float16 policy would round the pixels.
    return [type(layer).from_config({**layer.get_config(), "dtype": "float32"}) for layer in layers]


def mixes_labels(recipe):
    """Whether a recipe mixes the labels of several images, so that a model must take them one-hot.

    Args:
        recipe: A name in `recipe_names()`, None, or a list of Keras layers.

    Example:

    >>> mixes_labels("standard"), mixes_labels("cutmix")
    (False, True)
    """
    return any(isinstance(layer, MIXING) for layer in recipe_layers(recipe))
