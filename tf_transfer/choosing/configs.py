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


def train_config(examples, builder, phases, balanced=True, **settings):
    """Returns the configuration of training a builder's model, or None when a file can't hold its backbone.

    Args:
        examples: `Examples`.
        builder: The builder.
        phases: Dict of arguments of `tft.fine_tune`.
        balanced: Boolean, whether the classes are about equally frequent; else rare ones count as much. Defaults to
            True.
        **settings: Further fields of the configuration.
    """
    if isinstance(getattr(builder, "backbone", None), keras.Model):
        return None
    made, about = _CONFIGS[examples.kind]
    given = {about: examples.path or PLACE, "class_weight": None if balanced else "balanced", **phases, **settings}
    given |= _chosen(builder, made)
    if examples.kind == "images":
        given |= _size(builder)
    elif examples.kind == "rows":
        given |= _columns(examples.data[0], builder)
    if phases.get("epochs") == 0 or given.get("trainable") is False:
        given.pop("trainable", None)
    return made.from_dict(given)


def completed(config, chosen):
    """Returns the configuration that says what was chosen and, in all else, what that of a user says.

    Args:
        config: Configuration of a training on files, whose builder is not chosen yet.
        chosen: What `train_config` returns for examples of these files.
    """
    plain = type(chosen).from_dict({name: getattr(chosen, name) for name in chosen.required}).to_dict()
    own = {name: value for name, value in chosen.to_dict().items() if name not in plain or value != plain[name]}
    return type(config).from_dict({**config.to_dict(), **own})


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


def _columns(table, builder):
    """Returns what a configuration says of a table: its target, and columns where they are not what was found there."""
    kinds = {name: column["kind"] for name, column in builder.columns.items()}
    given = {"target": getattr(table, "target", None) or "TARGET"}
    if kinds != getattr(table, "kinds", kinds):
        given |= {"columns": tuple(kinds), "kinds": kinds}
    return given


def _chosen(builder, config):
    """Returns the fields of a builder that differ from their defaults and that a configuration has.

    A vocabulary is none of them: the run learns it from the texts that it trains on.
    """
    plain = builder.to_dict()
    if "vocabulary" in plain.get("backbone_options", {}):
        options = {name: each for name, each in plain["backbone_options"].items() if name != "vocabulary"}
        plain["backbone_options"] = options
    found = {}
    for field in dataclasses.fields(builder):
        default = field.default if field.default is not dataclasses.MISSING else None
        if field.name in config.fields() and getattr(builder, field.name) not in (default, {}):
            found[field.name] = plain[field.name]
    left_out = ("num_classes", "seed", "learning_rate", "columns")
    return {name: value for name, value in found.items() if name not in left_out}
