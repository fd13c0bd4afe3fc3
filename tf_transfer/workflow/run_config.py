"""What the configurations of runs on folders of images share: fields side by side with a builder's, as plain data."""

import dataclasses
import os
import typing

from tf_transfer import _checks
from tf_transfer.builders import ImageClassifier
from tf_transfer.builders.base import write_yaml
from tf_transfer.parameter_efficient.method import ParameterEfficient
from tf_transfer.regularizers.regularizer import Regularizer
from tf_transfer.workflow.written_values import read_value

_WRITTEN = {"output", "export", "save_model", "features_cache", "tensorboard"}
# Names of what there is, or files.
_NETWORKS = {"backbone", "weights"}


class RunConfig:
    """Base of the configurations: frozen dataclasses with a field `builder`, a dict of fields of `builder_class`.

    In a file and in a dict all names stand side by side, those of the run and those of the builder.

    Attributes:
        builder_class: The builder of the run.
        not_chosen: Dict of fields of the builder that a run knows otherwise, to from where.
        required: Dict of fields that must be given, to what they are.
    """

    builder_class = ImageClassifier
    not_chosen = {
        "num_classes": "the folder of images has one subfolder per class",
        "multi_label": "a folder per class gives each image one label",
        "input_shape": "`image_size` and `channels`",
        "learning_rate": "the run's own `learning_rate`",
        "seed": "the run's own `seed`",
    }
    required = {}

    @classmethod
    def fields(cls):
        """Returns the names that stand side by side in a file, each with its `dataclasses.Field`."""
        builder = {
            field.name: field for field in dataclasses.fields(cls.builder_class) if field.name not in cls.not_chosen
        }
        return {field.name: field for field in dataclasses.fields(cls) if field.name != "builder"} | builder

    @classmethod
    def from_dict(cls, fields, **overrides):
        """Makes a configuration from names and values side by side.

        Args:
            fields: Dict of the names of `fields()`. What the builder's `to_dict()` gives may be among them, or nested
                under "builder".
            **overrides: Values that replace those of `fields`.

        Raises:
            ValueError: For an unknown name ("did you mean"), or a value that can't be.
        """
        known = cls.fields()
        fields = {**cls._side_by_side(fields), **cls._side_by_side(overrides)}
        expected = fields.pop("num_classes", None)
        _checks.known_fields(fields, known, "The configuration")
        for name, meaning in cls.required.items():
            if name not in fields:
                raise ValueError(f"The configuration has no `{name}`, {meaning}.")
        fields = {
            name: read_value(value, known[name].type, name) if isinstance(value, str) else value
            for name, value in fields.items()
        }
        own = {field.name for field in dataclasses.fields(cls)}
        builder = {name: value for name, value in fields.items() if name not in own}
        if expected is not None:
            builder["num_classes"] = expected
        return cls(builder=builder, **{name: value for name, value in fields.items() if name in own})

    @classmethod
    def from_yaml(cls, path, **overrides):
        """Makes a configuration from a YAML (or JSON) file; paths in it count from the current folder."""
        return cls.from_dict(read_fields(path), **overrides)

    def input_paths(self):
        """Returns a dict of names to the files and folders that the run reads and that are there."""
        fields = self.fields()
        read = {name for name, field in fields.items() if _is_path(field.type) and name not in _WRITTEN} | _NETWORKS
        paths = {
            name: value.removeprefix("file:")
            for name, value in self.to_dict().items()
            if name in read and isinstance(value, str)
        }
        return {name: path for name, path in paths.items() if os.path.exists(path)}

    def to_dict(self):
        """Returns all names and values side by side, as plain data."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "builder"}
        # What the run is about comes first.
        own = {name: own[name] for name in self.required} | own
        return {name: _plain(value) for name, value in (own | self.builder).items()}

    def to_yaml(self, path=None):
        """Returns the configuration as YAML text, and writes it to `path` when one is given."""
        return write_yaml(self.to_dict(), path)

    def make_builder(self, class_names, input_shape=None, *, builder_class=None, **found):
        """Returns the builder of the run for what its examples are.

        Args:
            class_names: Sequence of strings, or None for examples that have values and no classes.
            input_shape: Tuple (height, width, channels), for images. Defaults to None.
            builder_class: Another class than that of the run. Defaults to None.
            **found: Further fields that follow from the examples.
        """
        if class_names is not None:
            expected = self.builder.get("num_classes", len(class_names))
            if expected != len(class_names):
                raise ValueError(
                    f"num_classes={expected}, but there are {len(class_names)} classes: {list(class_names)}."
                )
            found |= {"num_classes": len(class_names), "class_names": tuple(class_names)}
        if input_shape is not None:
            found["input_shape"] = tuple(input_shape)
        shared = {"learning_rate": self.learning_rate, "seed": self.seed}
        if builder_class is not None:
            known = [field.name for field in dataclasses.fields(builder_class)]
            _checks.known_fields(self.builder_fields(), known, builder_class.__name__)
        return (builder_class or self.builder_class)(**{**self.builder_fields(), **found, **shared})

    def builder_fields(self):
        """Returns the fields of the builder that differ from its own defaults."""
        return self.builder

    def _check_paths(self, *names):
        for name in names:
            value = getattr(self, name)
            if value is None and name not in self.required:
                continue
            if not isinstance(value, str | os.PathLike) or not os.fspath(value):
                raise ValueError(f"`{name}` must be a path. Received: {name}={value!r}.")

    def _check_split(self):
        if self.validation_split is not None:
            if self.validation is not None:
                raise ValueError("`validation` is there to measure on, so there is nothing to split: leave out one.")
            fraction = _checks.number(self.validation_split, "validation_split")
            if not 0 < fraction < 1:
                raise ValueError(f"`validation_split` must be between 0 and 1. Received: {fraction}.")

    def _check_images(self):
        _checks.one_of(self.skip_bad, "skip_bad", [False, True])
        if self.channels is not None:
            _checks.one_of(self.channels, "channels", [1, 3, 4])
        if self.image_size is not None:
            size = self.image_size if isinstance(self.image_size, list | tuple) else (self.image_size,) * 2
            if len(size) != 2:
                raise ValueError(f"`image_size` must be a number or height x width. Received: {self.image_size!r}.")
            object.__setattr__(self, "image_size", tuple(_checks.integer(side, "image_size", 1) for side in size))

    def _check_builder(self):
        # Files have lists where code has tuples; configurations of equal content are equal.
        builder = {name: tuple(value) if isinstance(value, list) else value for name, value in self.builder.items()}
        for name in ("regularizer", "trainable"):
            if isinstance(builder.get(name), Regularizer | ParameterEfficient):
                builder[name] = builder[name].to_dict()
        object.__setattr__(self, "builder", builder)
        chosen = self.fields().keys() - {field.name for field in dataclasses.fields(self)} | {"num_classes"}
        _checks.known_fields(builder, chosen, "`builder`")
        names = builder.get("class_names") or range(_checks.integer(builder.get("num_classes", 2), "num_classes", 2))
        self._try_builder(names)

    def _try_builder(self, class_names):
        """Raises for fields that can't be, as the builder says it."""
        self.make_builder(class_names, (*(self.image_size or (1, 1)), self.channels or 3))

    @classmethod
    def _side_by_side(cls, fields):
        """Returns a copy of the dict with what a builder's own dict has in it under the names of the run."""
        flat = dict(fields)
        nested = flat.pop("builder", {})
        if isinstance(nested, str):
            nested = {"builder": nested}
        name = cls.builder_class.__name__
        if not isinstance(nested, dict):
            raise ValueError(f"`builder` must be fields of {name}. Received: builder={nested!r}.")
        nested = dict(nested)
        _checks.one_of(nested.pop("builder", name), "builder", [name])
        flat = {**nested, **flat}
        if flat.pop("multi_label", False) is not False:
            raise ValueError(f"`multi_label` can't be trained from folders: {cls.not_chosen['multi_label']}.")
        # A builder's dict has its fields that are not chosen too; those that say nothing may stand there.
        for name in {"seed", "regularizer"} & cls.not_chosen.keys() & flat.keys():
            if flat[name] is None:
                del flat[name]
        names = flat.get("class_names")
        if names is not None:
            # Folders may be named by digits, which are names all the same.
            names = names.split(",") if isinstance(names, str) else names
            flat["class_names"] = tuple(str(name).strip() for name in names)
        shape = flat.pop("input_shape", None)
        if shape is not None:
            height, width, channels = _checks.image_shape(shape)
            flat = {"image_size": (height, width), "channels": channels, **flat}
        return flat


def read_fields(path):
    """Returns the names and values of a YAML (or JSON) file.

    Raises:
        ValueError: When it is no such file, or not `name: value` on each line.
    """
    import yaml

    with open(path, encoding="utf-8") as file:
        try:
            fields = yaml.safe_load(file)
        except yaml.YAMLError as error:
            raise ValueError(f"{os.fspath(path)!r} is not a YAML file: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{os.fspath(path)!r} must have `name: value` on each line. Received: {fields!r}.")
    return fields


def _is_path(kind):
    return os.PathLike in (typing.get_args(kind) or (kind,))


def _plain(value):
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
