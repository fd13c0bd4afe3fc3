"""What every builder shares: fields as data, in and out of dicts and YAML."""

import dataclasses
import os

import keras

from tf_transfer import _checks, _files
from tf_transfer.parameter_efficient.method import ParameterEfficient
from tf_transfer.regularizers.regularizer import Regularizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Builder:
    """A frozen set of choices from which `build()` makes a compiled Keras model.

    The fields are plain data, so that a builder can be varied with `dataclasses.replace`, searched over, read from a
    file and recorded with an export. Subclasses add fields, their checks in `__post_init__`, and `build`.
    """

    # Whether `augment` mixes the labels of examples, which are one-hot then.
    mixes_labels = False
    # Whether NaN in inputs or labels stands for a value that is missing.
    takes_missing = False

    def __post_init__(self):
        """The end of the chain of checks that subclasses add to."""

    def build(self):
        raise NotImplementedError(f"{type(self).__name__} must define `build`.")

    def augment(self, dataset):
        """Returns the dataset of batches with the builder's augmentation applied; as it is for a builder without."""
        return dataset

    def _set(self, **fields):
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def to_dict(self):
        """Returns the fields as a dict of plain values, with the builder's name under "builder".

        Raises:
            ValueError: When a field holds an object that a file can't, such as a model.
        """
        fields = {field.name: _plain(getattr(self, field.name), field.name) for field in dataclasses.fields(self)}
        return {"builder": type(self).__name__, **fields}

    def described(self):
        """Returns the fields as `to_dict` does, for a record: a model that a field holds is there by its name alone."""
        fields = {field.name: _plain(getattr(self, field.name), field.name, True) for field in dataclasses.fields(self)}
        return {"builder": type(self).__name__, **fields}

    @classmethod
    def from_dict(cls, fields):
        """Makes the builder from a dict of its fields.

        Args:
            fields: Dict as `to_dict` gives. "builder" may be left out; missing fields take their defaults.

        Raises:
            ValueError: For a field that the builder does not have, or another builder's dict.
        """
        fields = dict(fields)
        name = fields.pop("builder", cls.__name__)
        if name != cls.__name__:
            raise ValueError(f"The fields are those of {name!r}, not of {cls.__name__!r}. Use {name}.from_dict.")
        _checks.known_fields(fields, [field.name for field in dataclasses.fields(cls)], cls.__name__)
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(f"{cls.__name__} can't be made from {sorted(fields)}: {error}.") from error

    def to_yaml(self, path=None):
        """Returns the fields as YAML text, and writes it to `path` when one is given."""
        return write_yaml(self.to_dict(), path)

    @classmethod
    def from_yaml(cls, source):
        """Makes the builder from a YAML file, given by its path, or from YAML text."""
        import yaml

        if isinstance(source, os.PathLike) or "\n" not in source:
            with open(source, encoding="utf-8") as file:
                source = file.read()
        fields = yaml.safe_load(source)
        if not isinstance(fields, dict):
            raise ValueError(
                f"The YAML must hold the fields of {cls.__name__}, `name: value` a line. Received: {fields!r}."
            )
        return cls.from_dict(fields)


def write_yaml(fields, path=None):
    """Returns a dict of plain values as YAML text, in its own order, and writes it to `path` when one is given."""
    import yaml

    text = yaml.safe_dump(fields, sort_keys=False)
    if path is not None:
        _files.write_text(path, text)
    return text


def _plain(value, name, named=False):
    if isinstance(value, keras.Model | keras.layers.Layer):
        if named:
            return f"{type(value).__name__} {value.name!r}"
        raise ValueError(
            f"`{name}` holds a {type(value).__name__}, which a file can't. Save the model and say 'file:PATH' instead."
        )
    if isinstance(value, Builder) and named:
        return value.described()
    if isinstance(value, Regularizer | ParameterEfficient | Builder):
        return value.to_dict()
    if isinstance(value, dict):
        return {str(key): _plain(item, name, named) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name, named) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
