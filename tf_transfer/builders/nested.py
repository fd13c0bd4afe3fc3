"""Builders as fields of other builders."""

from tf_transfer import _checks
from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.base import Builder
from tf_transfer.builders.targets import ClassifierFields, RegressorFields


def as_builder(value, name, kind=Builder):
    """Returns a field that holds a builder, which may be given as a dict.

    Args:
        value: A builder, or its dict as `to_dict` gives it.
        name: String, the field, for errors.
        kind: Class that the builder must be of. Defaults to any.

    Raises:
        ValueError: For anything else, or a builder of another kind.
    """
    if isinstance(value, dict):
        known = {cls.__name__: cls for cls in _subclasses(kind)}
        if "builder" not in value:
            raise ValueError(f"`{name}` must say under 'builder' which of {sorted(known)} it is. Received: {value}.")
        return known[_checks.one_of(value["builder"], f"{name}['builder']", sorted(known))].from_dict(value)
    if not isinstance(value, kind):
        raise ValueError(
            f"`{name}` must be a {kind.__name__}, such as one of {sorted(cls.__name__ for cls in _subclasses(kind))}, "
            f"or its dict. Received: {name}={value!r}."
        )
    return value


def as_trunk(value, name):
    """Returns a field that holds a builder without a head of its own, which may be given as a dict.

    Args:
        value: A `BackboneBuilder`, or its dict as `to_dict` gives it.
        name: String, the field, for errors.

    Raises:
        ValueError: For anything else, a classifier or regressor, and a trunk that mixes labels.
    """
    trunk, heads = as_builder(value, name, BackboneBuilder), (ClassifierFields, RegressorFields)
    if isinstance(trunk, heads):
        parents = [each for each in type(trunk).__mro__ if issubclass(each, BackboneBuilder)]
        plain = next(each.__name__ for each in parents if not issubclass(each, heads))
        raise ValueError(
            f"`{name}` must be a builder without a head of its own, such as {plain}. "
            f"Received: a {type(trunk).__name__}."
        )
    if trunk.mixes_labels:
        raise ValueError(
            f"augmentation={trunk.augmentation!r} mixes labels of classes; a model without a single label an example "
            f"can't have it. Change the augmentation of `{name}`."
        )
    return trunk


def _subclasses(cls):
    return {cls}.union(*(_subclasses(each) for each in cls.__subclasses__()))
