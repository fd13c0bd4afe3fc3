"""Builders for examples: from what people name as a backbone to the builder of its kind, ready to build."""

import os

import keras

from tf_transfer import _checks
from tf_transfer.backbones import APPLICATIONS, load_backbone
from tf_transfer.backbones.loading import check_name
from tf_transfer.builders import AudioClassifier, ImageClassifier, TabularClassifier, TextClassifier
from tf_transfer.builders.text_encoder import ARCHITECTURES

_OWN = ("name", "weights", "input_shape", "pooling")


def named_backbones(backbones):
    """Returns a dict of names to what `image_builder` takes, from what `tft.rank_backbones` takes."""
    if not backbones:
        raise ValueError(f"`backbones` must name one backbone or more. Received: backbones={backbones!r}.")
    if isinstance(backbones, str | os.PathLike | keras.Model):
        backbones = (backbones,)
    if isinstance(backbones, dict):
        return {str(name): each for name, each in backbones.items()}
    return {str(getattr(each, "name", each)): each for each in backbones}


def as_ranked(builder):
    """Returns an image builder's backbone as `tft.rank_backbones` takes it."""
    if isinstance(builder.backbone, keras.Model):
        return builder.backbone
    given = {"name": builder.backbone, "weights": builder.weights, "input_shape": builder.input_shape}
    return {**given, **builder.backbone_options}


def image_builder(given, examples, weights="imagenet", image_size=None, fields=None):
    """Returns the `tft.ImageClassifier` of a backbone for images.

    Args:
        given: String, dict of arguments of `tft.load_backbone`, or `keras.Model`, as in `tft.rank_backbones`.
        examples: `Examples` of images.
        weights: As in `tft.load_backbone`, where `given` does not say.
        image_size: Integer or pair (height, width), where `given` does not say. Defaults to that of images in arrays,
            else to what the backbone was trained at.
        fields: Dict of further fields of `tft.ImageClassifier`.
    """
    found = {"num_classes": examples.num_classes, "class_names": examples.class_names, **(fields or {})}
    if isinstance(given, keras.Model):
        if not given.weights:
            raise ValueError(
                f"`backbones`: {given.name!r} has no weights, so that there is nothing to carry over. Leave it out; "
                "`tft.rank_backbones` and `tft.analysis.linear_probe` compare it with those that have some."
            )
        return ImageClassifier(**{**found, "backbone": given})
    options = {"name": given} if isinstance(given, str | os.PathLike) else dict(given)
    if "name" not in options:
        raise ValueError(f'`backbones` must be names, models or dicts with a "name". Received: {given!r}.')
    check_name(os.fspath(options["name"]))
    made = {name: options.pop(name) for name in _OWN if name in options}
    name = os.fspath(made.pop("name"))
    shape = made.pop("input_shape", None) or (_shape(examples, image_size) if name in APPLICATIONS else None)
    made = {"weights": weights, "input_shape": shape, **made, "backbone": name}
    return ImageClassifier(**{**found, **made, "backbone_options": {**found.get("backbone_options", {}), **options}})


def other_builder(examples, fields=None):
    """Returns the builder of texts, rows or recordings, which has learned from them what it needs to."""
    found = {"num_classes": examples.num_classes, "class_names": examples.class_names, **(fields or {})}
    if examples.kind == "texts":
        return TextClassifier(**found).adapt(next(iter(examples.data)), verbose=0)
    if examples.kind == "rows":
        table = examples.data[0]
        found.setdefault("columns", getattr(table, "kinds", None) or tuple(table))
        return TabularClassifier(**found).adapt(table, examples.labels)
    rate = examples.data.sample_rate
    return AudioClassifier(**{"sample_rate": rate, "seconds": examples.data.num_samples / rate, **found})


def starts_at_random(builder):
    """Returns whether a builder's backbone knows nothing yet."""
    if isinstance(builder, TabularClassifier):
        return True
    if isinstance(builder, TextClassifier):
        return builder.backbone in ARCHITECTURES
    return isinstance(builder, AudioClassifier) and builder.trainable is True


def training_data(examples, builder):
    """Returns examples as the builder's model takes them."""
    if examples.kind == "images":
        return examples.sized(input_shape(builder))
    return (builder.inputs(examples.data[0]), examples.labels) if examples.kind == "rows" else examples.data


def input_shape(builder):
    """Returns (height, width, channels) of the images that a builder's model will take."""
    backbone = builder.backbone
    if builder.input_shape is not None:
        return tuple(builder.input_shape)
    if isinstance(backbone, keras.Model):
        return tuple(backbone.input_shape[1:])
    if backbone in APPLICATIONS:
        return (APPLICATIONS[backbone].default_size,) * 2 + (3,)
    return tuple(load_backbone(backbone).input_shape[1:])


def _shape(examples, image_size):
    """Returns the shape that a backbone is to take, None for its own."""
    channels = 3 if examples.shape is None else examples.shape[2]
    if image_size is None:
        return examples.shape
    size = image_size if isinstance(image_size, list | tuple) else (image_size, image_size)
    return (*(_checks.integer(side, "image_size", 1) for side in size), channels)
