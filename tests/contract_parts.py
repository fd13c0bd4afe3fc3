"""The parts that contracts are made of: documentation, configuration, equal tensors, refusals."""

import copy
import inspect
import json
import os
import re
import tempfile

import keras
import numpy as np

PREFIX = "tf_transfer>"
MISTAKES = (ValueError, TypeError, OSError)


def hold(condition, sentence):
    if not condition:
        raise AssertionError(sentence)


# Documentation


def check_docstring(thing, example_in=None):
    """Holds the docstring of a function or class: a summary, each argument, what comes back, an example that runs.

    Args:
        thing: Function or class.
        example_in: Another one whose example shows this one at work, when that is the better place.
    """
    name = thing.__name__
    doc = _own_doc(thing)
    # A dataclass without a docstring gets its signature for one.
    hold(doc and not doc.startswith(f"{name}("), f"{name} has no docstring.")
    hold(doc.splitlines()[0].endswith("."), f"{name}: the first line of the docstring is no sentence on one line.")
    missing = [argument for argument in own_arguments(thing) if argument not in documented_arguments(thing)]
    hold(not missing, f"{name}: the arguments {missing} are not in the docstring's Args.")
    if not inspect.isclass(thing):
        stale = sorted(set(_arguments_of(doc)) - set(inspect.signature(thing).parameters))
        hold(not stale, f"{name}: the docstring's Args has {stale}, the signature has not.")
        gives = re.search(r"^\s+(return|yield) ", inspect.getsource(thing), re.MULTILINE)
        says = doc.startswith(("Returns ", "Yields ", "Whether ")) or "\nReturns:" in doc or "\nYields:" in doc
        hold(says or not gives, f"{name}: no Returns in the docstring.")
    elsewhere = _own_doc(example_in) if example_in else ""
    shown = _prompts(doc) or (name in elsewhere and _prompts(elsewhere))
    raised = inspect.isclass(thing) and issubclass(thing, Exception)
    hold(shown or raised, f"{name}: no example that runs in the docstring.")


def _own_doc(thing):
    return inspect.cleandoc(vars(thing).get("__doc__") or "") if inspect.isclass(thing) else inspect.getdoc(thing) or ""


def _prompts(doc):
    return [line for line in re.findall(r"^ *(?:>>>|\.\.\.) .*$", doc, re.MULTILINE) if "doctest: +SKIP" not in line]


def own_arguments(thing):
    """Returns the names of the arguments that a function, or the constructor of a class, spells out."""
    if inspect.isclass(thing) and thing.__init__ is object.__init__:
        return []
    signature = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing)
    star = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [name for name, parameter in signature.parameters.items() if parameter.kind not in star]
    return [name for name in names if name != "self" and not name.startswith("_")]


def documented_arguments(thing):
    """Returns the arguments that docstrings describe: the thing's own and, for a class, those of its parents."""
    classes = thing.__mro__[:-1] if inspect.isclass(thing) else [thing]
    # Keras explains these on its base classes, for every layer, loss and model.
    base = ["name", "dtype", "trainable", "reduction"] if any(is_keras(each) for each in classes) else []
    return {*base, *(argument for each in classes for argument in _arguments_of(_own_doc(each)))}


def _arguments_of(doc):
    sections = re.findall(r"^(?:Args|Attributes):\n((?:[ \t]+.*\n|\n)*)", doc + "\n", re.MULTILINE)
    pattern = r"^ {4}(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^)]*\))?:"
    lines = [line for section in sections for line in re.findall(pattern, section, re.MULTILINE)]
    return [argument.strip().lstrip("*") for line in lines for argument in line.split(",")]


def is_keras(cls):
    return cls.__module__.split(".")[0] == "keras"


# Configuration


def check_registered(cls):
    registered = keras.saving.get_registered_name(cls)
    hold(
        registered.startswith(PREFIX) and keras.saving.get_registered_object(registered) is cls,
        f"{cls.__name__} is not registered under {PREFIX!r} "
        "(@keras.saving.register_keras_serializable(package='tf_transfer')).",
    )


def check_config(factory):
    """Holds registration and configuration of a Keras object and returns the clone made from its configuration."""
    made = factory()
    cls = type(made)
    check_registered(cls)
    config = made.get_config()
    missing = [name for name in own_arguments(cls) if name not in config]
    hold(not missing, f"{cls.__name__}.get_config() lacks the arguments {missing} of its constructor.")
    for name, value in getattr(factory, "keywords", {}).items():
        hold(
            name not in config or _as_json(config[name]) == _as_json(value),
            f"{cls.__name__}.get_config()[{name!r}] is {config.get(name)!r}; it was made with {value!r}.",
        )
    given = copy.deepcopy(_as_json(config))
    clone = cls.from_config(config)
    hold(_as_json(config) == given, f"{cls.__name__}.from_config changed the configuration that it was given.")
    hold(
        _as_json(clone.get_config()) == given, f"{cls.__name__}: the clone's configuration differs from the original's."
    )
    return clone


def _as_json(value):
    try:
        return json.loads(json.dumps(keras.saving.serialize_keras_object(value)))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{value!r} can't be written as JSON: {error}") from error


# Tensors


def same(first, second, tolerance=1e-6):
    """Holds that two nests have one structure and equal values."""
    keras.tree.assert_same_structure(first, second)
    for one, other in zip(keras.tree.flatten(first), keras.tree.flatten(second)):
        one, other = np.asarray(one), np.asarray(other)
        hold(one.shape == other.shape, f"Shapes differ: {one.shape} and {other.shape}.")
        if one.dtype.kind in "fc":
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(one, other)


def arrays(outputs):
    return keras.tree.map_structure(
        lambda value: keras.ops.convert_to_numpy(value) if numeric(value) else value, outputs
    )


def numeric(value):
    return keras.backend.standardize_dtype(value.dtype) != "string"


def check_saves(model, inputs, tolerance=1e-6):
    """Holds the round trip through a `.keras` file, with Keras' safe mode on, and returns the reloaded model."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        again = keras.models.load_model(path, safe_mode=True)
    same(arrays(model(inputs, training=False)), arrays(again(inputs, training=False)), tolerance)
    for one, other in zip(model.weights, again.weights, strict=True):
        hold(one.trainable == other.trainable, f"{one.path}: saving changed trainable from {one.trainable}.")
    return again


# Refusals


def check_refuses(call, *fragments):
    """Holds that a call with bad input raises, in a sentence that holds all `fragments`."""
    try:
        given = call()
    except MISTAKES as error:
        text = str(error)
        lacking = [fragment for fragment in fragments if fragment not in text]
        hold(not lacking, f"The message lacks {lacking}: {text}")
        hold(len(text.split()) >= 5, f"The message is no sentence: {text!r}")
    else:
        raise AssertionError(f"Bad input passed and gave {given!r}.")
