"""Builders as fields of other builders."""

from tf_transfer import _checks
from tf_transfer.builders.base import Builder


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


def _subclasses(cls):
    return {cls}.union(*(_subclasses(each) for each in cls.__subclasses__()))
