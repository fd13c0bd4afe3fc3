"""What a model costs: its weights, its arithmetic, and its time on this machine."""

import os
import platform
import time

import keras
import numpy as np
import tensorflow as tf

from tf_transfer._logging import quiet
from tf_transfer.training.graphs import graph_of

_NUM_ROUNDS = 10
_WARM_UPS = 5


def num_flops(model):
    """Returns the floating point operations of one example, or None where they can't be counted.

    A multiplication and an addition count as two.

    They are counted in the graph by TensorFlow's profiler, which does not look into the functions of a Hub module.

    Args:
        model: `keras.Model` with known inputs; sizes that vary count as one.

    Example:

    >>> tft.analysis.model_cost.num_flops(keras.Sequential([keras.Input((10,)), keras.layers.Dense(3, use_bias=False)]))
    60
    """
    from tensorflow.compat.v1 import profiler

    specs = [tf.TensorSpec([size or 1 for size in tensor.shape], tensor.dtype) for tensor in model.inputs]
    structure = graph_of(model).input

    @tf.function
    def run(*inputs):
        return model(keras.tree.pack_sequence_as(structure, list(inputs)), training=False)

    try:
        graph = run.get_concrete_function(*specs).graph
    except (ValueError, TypeError):
        # A size of 1 where the model does not take it.
        return None
    if any(operation.type.endswith("PartitionedCall") for operation in graph.get_operations()):
        return None
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation()).with_empty_output()
    # It says at each start that it is older than TensorFlow 2.
    with quiet("tensorflow"):
        return int(profiler.profile(graph, options=options.build()).total_float_ops)


def median_seconds(models, examples, *, seconds=3.0, fewest=10, most=100):
    """Returns how long each model takes for its examples, a dict of medians; the models take turns.

    Args:
        models: Dict of names to `keras.Model`s.
        examples: Dict of the names to a batch of inputs.
        seconds: Float, about how long to measure each. Defaults to 3.
        fewest, most: Integers, how often each is run, at least and at most. Default to 10 and 100.
    """
    runs = {name: tf.function(lambda x, model=model: model(x, training=False)) for name, model in models.items()}
    # The first runs trace the graph and fill caches.
    first = {name: min(_seconds(run, examples[name]) for _ in range(_WARM_UPS)) for name, run in runs.items()}
    counts = {name: max(fewest, min(most, int(seconds / each))) // _NUM_ROUNDS for name, each in first.items()}
    measured = {name: [] for name in models}
    for _ in range(_NUM_ROUNDS):
        for name, run in runs.items():
            measured[name] += [_seconds(run, examples[name]) for _ in range(counts[name])]
    return {name: float(np.median(each)) for name, each in measured.items()}


def machine():
    """Returns a phrase for what times are measured on."""
    devices = [tf.config.experimental.get_device_details(each) for each in tf.config.list_physical_devices("GPU")]
    if devices:
        return str(devices[0].get("device_name", "GPU"))
    return f"CPU ({platform.machine()}, {os.cpu_count()} cores)"


def _seconds(run, x):
    start = time.perf_counter()
    # As arrays, for a result on a GPU is there only when it is asked for.
    keras.tree.map_structure(np.asarray, run(x))
    return time.perf_counter() - start
