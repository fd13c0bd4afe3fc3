"""What lies behind a `HubLayer`: the loaded SavedModel, its variables and how it wants to be called."""

import inspect
import re
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

_ONES = re.compile(r"(gamma|scale|moving_variance|variance|var)(_\d+)?$")
_ZEROS = re.compile(r"(beta|bias|biases|offset|shift|moving_mean|mean)(_\d+)?$")


def load_module(folder, handle):
    """Returns the callable object of the TF2 reusable SavedModel in `folder`, or raises a `ValueError`."""
    if Path(folder, "tfhub_module.pb").exists():
        raise ValueError(
            f"handle={handle!r} is a TF1 Hub module; its graph can be neither trained nor called in TensorFlow 2. "
            "Take the TF2 version of the module (on Kaggle Models the framework 'tensorFlow2')."
        )
    module = tf.saved_model.load(folder)
    if not callable(module):
        signatures = sorted(getattr(module, "signatures", {}))
        raise ValueError(
            f"handle={handle!r} is a SavedModel for serving (signatures {signatures}), not a reusable one: it has no "
            "`__call__`. `keras.layers.TFSMLayer` runs such a signature without training it; to train, write the "
            "model again as a reusable one with `tf_transfer.backbones.export_reusable`."
        )
    if not concrete_functions(module):
        raise ValueError(
            f"handle={handle!r} has a `__call__` that was never traced, so its graph was not saved. Give the "
            "`tf.function` an `input_signature`, or call it once, before `tf.saved_model.save`."
        )
    return module


def concrete_functions(module):
    """Returns the traced versions of the module's `__call__`."""
    return list(getattr(module.__call__, "concrete_functions", []))


def takes(module, argument):
    """Returns whether the module's `__call__` has an argument of this name."""
    if argument in inspect.signature(module.__call__).parameters:
        return True
    return any(argument in function.structured_input_signature[1] for function in concrete_functions(module))


def input_specs(module):
    """Returns what the module takes as its first argument: a spec, or a nest of specs, or an empty list."""
    arguments = concrete_functions(module)[0].structured_input_signature[0]
    specs = arguments[0] if arguments else []
    return specs if all(isinstance(spec, tf.TypeSpec) for spec in tf.nest.flatten(specs)) else []


def cast_inputs(module, inputs):
    """Returns `inputs` with numbers in the dtypes the module was saved for: a SavedModel converts nothing itself."""
    specs, flat = tf.nest.flatten(input_specs(module)), tf.nest.flatten(inputs)
    if len(specs) != len(flat):
        return inputs
    return tf.nest.pack_sequence_as(inputs, [_cast(x, getattr(spec, "dtype", None)) for x, spec in zip(flat, specs)])


def _cast(x, dtype):
    if dtype is None or x.dtype == dtype:
        return x
    is_number = x.dtype.is_floating or x.dtype.is_integer
    # A float is never cut to an integer in silence; TensorFlow then says what the module wants.
    if is_number and (dtype.is_floating or (dtype.is_integer and x.dtype.is_integer)):
        return tf.cast(x, dtype)
    return x


def wrap_variables(module):
    """Returns the module's variables as Keras variables (the same memory) under clean names, trainable ones first."""
    trainable = list(getattr(module, "trainable_variables", []))
    known = {variable.ref() for variable in trainable}
    others = [variable for variable in getattr(module, "variables", []) if variable.ref() not in known]
    names = unique_names(variable.name for variable in trainable + others)
    return [
        keras.Variable(
            variable,
            dtype=variable.dtype.name,
            trainable=index < len(trainable),
            autocast=False,
            name=names[index],
        )
        for index, variable in enumerate(trainable + others)
    ]


def unique_names(names):
    """Returns names that Keras accepts (no `/`, no `:0`), each once; a second `kernel` becomes `kernel_1`."""
    taken, unique = set(), []
    for name in names:
        clean = re.sub(r"\W+", "_", re.sub(r":\d+$", "", name)).strip("_") or "variable"
        candidate, count = clean, 0
        while candidate in taken:
            count += 1
            candidate = f"{clean}_{count}"
        taken.add(candidate)
        unique.append(candidate)
    return unique


def initial_values(variables, trainable, seed):
    """Returns (variable, fresh value) pairs as Keras' layers would draw them; raises where the name does not say how.

    Args:
        variables: List of Keras variables.
        trainable: The same length, booleans: what training moves, whether or not it is frozen now.
        seed: Integer, seed of the draws.
    """
    seeds = np.random.default_rng(seed).integers(2**31, size=len(variables))
    pairs, unknown = [], []
    for variable, learned, one in zip(variables, trainable, seeds):
        initializer = _initializer(variable, int(one))
        if initializer is not None:
            pairs.append((variable, initializer(variable.shape, dtype=variable.dtype)))
        elif learned:
            unknown.append(variable.name)
    if unknown:
        raise ValueError(
            f"How to initialize {unknown} anew is not known: neither two axes nor a name such as 'bias' or 'gamma' "
            "says so. Build an untrained copy with the code that made the module."
        )
    return pairs


def _initializer(variable, seed):
    if _ONES.search(variable.name):
        return keras.initializers.Ones()
    if _ZEROS.search(variable.name):
        return keras.initializers.Zeros()
    if len(variable.shape) < 2 or not tf.as_dtype(variable.dtype).is_floating:
        return None
    if "embedding" in variable.name:
        return keras.initializers.RandomUniform(seed=seed)
    if "recurrent" in variable.name:
        return keras.initializers.Orthogonal(seed=seed)
    return keras.initializers.GlorotUniform(seed=seed)
