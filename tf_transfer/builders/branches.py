"""The branches of a model on several backbones, and how the inputs of the whole reach each of them."""

import dataclasses

import keras

from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.nested import as_builder
from tf_transfer.builders.targets import ClassifierFields, RegressorFields

# What a builder says of its head and training, which here the builder of the whole says.
_OF_THE_WHOLE = ("batch_norm", "hidden_units", "dropout", "l2", "regularizer", "learning_rate")


def check_branches(branches):
    """Raises a `ValueError` unless there are several branches with names that can be those of models."""
    if not isinstance(branches, dict) or len(branches) < 2:
        raise ValueError(
            "`branches` must be a dict from names to at least two builders or models. "
            f"Received: branches={branches!r:.200}."
        )
    for name in branches:
        if not isinstance(name, str) or not name.replace("_", "").isalnum():
            raise ValueError(f"A branch's name must have letters, digits and '_' only. Received: {name!r}.")


def as_branch(name, given):
    """Returns a branch as a builder or a model, once it says nothing that the whole has to say."""
    if isinstance(given, keras.Model):
        if len(given.outputs) != 1:
            raise ValueError(f"The branch {name!r} must have one output, features. Received: {len(given.outputs)}.")
        return given
    builder = as_builder(given, f"branches[{name!r}]", BackboneBuilder)
    if isinstance(builder, ClassifierFields | RegressorFields):
        raise ValueError(
            f"The branch {name!r} must be a builder without a head of its own, such as ImageBuilder. Received: a "
            f"{type(builder).__name__}."
        )
    defaults = {field.name: field.default for field in dataclasses.fields(builder)}
    for field in _OF_THE_WHOLE:
        if getattr(builder, field) != defaults[field]:
            raise ValueError(f"`{field}` is a field of the whole. Take it out of the branch {name!r}.")
    return builder


def input_like(tensor, name):
    """Returns an input of the same shape and dtype under a name."""
    return keras.Input(tuple(tensor.shape[1:]), dtype=tensor.dtype, name=name)


def as_taken(inputs):
    """Returns inputs as a model takes them: one as it is, several by name."""
    return inputs if len(inputs) > 1 else next(iter(inputs.values()))


def shared_inputs(parts):
    """Returns the inputs of the whole by name; the first branch with a name says its shape."""
    inputs = {}
    for part in parts:
        for spec in part.inputs:
            known = inputs.setdefault(spec.name, input_like(spec, spec.name))
            same = spec.dtype == known.dtype and tuple(spec.shape) == tuple(known.shape)
            if not same and not _are_images(spec, known):
                raise ValueError(
                    f"Two branches have an input {spec.name!r}, of shapes {tuple(known.shape)} ({known.dtype}) and "
                    f"{tuple(spec.shape)} ({spec.dtype}), which can't be the same. Rename that of one, for instance "
                    f"inputs={{{part.name!r}: '{part.name}_{spec.name}'}}."
                )
    return inputs


def _are_images(one, other):
    return len(one.shape) == len(other.shape) == 4 and one.shape[-1] == other.shape[-1] and one.dtype == other.dtype


def inputs_for(part, inputs):
    """Returns what a branch takes of the inputs, images in its size."""
    taken = {}
    for spec in part.inputs:
        tensor = inputs[spec.name]
        if tuple(tensor.shape) != tuple(spec.shape):
            tensor = keras.layers.Resizing(*spec.shape[1:3], name=f"{spec.name}_for_{part.name}")(tensor)
        taken[spec.name] = tensor
    return as_taken(taken)


def swapping(one, other):
    """Returns a function of a batch that exchanges two names in a dict x, and leaves any other x alone."""

    def swap(x, *rest):
        if isinstance(x, dict) and one != other:
            names = {one: other, other: one}
            x = {names.get(name, name): value for name, value in x.items()}
        return x, *rest

    return swap
