"""From a builder and its phases to the configuration of a run."""

import dataclasses

import keras

from tf_transfer.adaptation import DomainAdversarialClassifier
from tf_transfer.choosing.builders import input_shape
from tf_transfer.workflow import AdaptConfig, AudioTrainConfig, TableTrainConfig, TextTrainConfig, TrainConfig

# What stands for a folder or file where the examples come from none.
PLACE = "PATH"
_CONFIGS = {
    "images": (TrainConfig, "images"),
    "texts": (TextTrainConfig, "text"),
    "rows": (TableTrainConfig, "table"),
    "recordings": (AudioTrainConfig, "audio"),
}


def train_config(examples, builder, phases, fields, balanced=True):
    """Returns the configuration of training a builder's model, or None when a file can't hold its backbone.

    Args:
        examples: `Examples`.
        builder: The builder.
        phases: Dict of arguments of `tft.fine_tune`.
        fields: Dict of what was chosen in the builder by the user; for what is no image, all but what was learned.
        balanced: Boolean, whether the classes are about equally frequent.
    """
    if isinstance(getattr(builder, "backbone", None), keras.Model):
        return None
    made, about = _CONFIGS[examples.kind]
    given = {about: examples.path or PLACE, "class_weight": None if balanced else "balanced", **phases}
    if examples.kind == "images":
        given |= _size(builder) | _chosen(builder, TrainConfig)
    else:
        own = made.fields().keys()
        trains = {} if examples.kind == "rows" else {"trainable": builder.trainable}
        given |= {name: value for name, value in {**fields, **trains}.items() if name in own}
        given |= {"regularizer": builder.regularizer} if builder.regularizer is not None else {}
    if examples.kind == "rows":
        given["target"] = getattr(examples.data[0], "target", None) or "TARGET"
    if phases.get("epochs") == 0:
        given.pop("trainable", None)
    return made.from_dict(given)


def adapting_builder(builder, method):
    """Returns the builder of an adaptation method with the fields of a `tft.ImageClassifier`."""
    names = [field.name for field in dataclasses.fields(builder) if field.name != "hidden_units"]
    return DomainAdversarialClassifier(**{name: getattr(builder, name) for name in names}, method=method)


def adapt_config(examples, target, builder):
    """Returns the configuration of an adaptation, or None when a file can't hold the backbone."""
    if isinstance(builder.backbone, keras.Model):
        return None
    places = {"source": examples.path or PLACE, "target": _place(target)}
    return AdaptConfig.from_dict({**places, **_size(builder), **_chosen(builder, AdaptConfig)})


def _place(data):
    paths = getattr(data, "paths", data)
    return str(paths) if isinstance(paths, str) or hasattr(paths, "__fspath__") else PLACE


def _size(builder):
    height, width, channels = input_shape(builder)
    return {"image_size": (height, width), "channels": channels}


def _chosen(builder, config):
    """Returns the fields of an image builder that differ from their defaults and that a configuration has."""
    plain = builder.to_dict()
    found = {}
    for field in dataclasses.fields(builder):
        default = field.default if field.default is not dataclasses.MISSING else None
        if field.name in config.fields() and getattr(builder, field.name) not in (default, {}):
            found[field.name] = plain[field.name]
    return {name: value for name, value in found.items() if name not in ("num_classes", "seed", "learning_rate")}
