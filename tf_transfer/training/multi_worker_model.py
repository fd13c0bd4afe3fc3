"""A model of layers, as Keras' functional one, that also trains in step with other processes."""

import keras
import tensorflow as tf

from tf_transfer.distribution import is_multi_worker
from tf_transfer.training.graphs import graph_of
from tf_transfer.training.multi_worker import MultiWorkerTraining


class MultiWorkerModel(MultiWorkerTraining, keras.Model):
    """A functional `keras.Model` for the scope of a multi-worker strategy; its file is that of a `keras.Model`."""

    def __init__(self, inputs, outputs, name=None):
        super().__init__(inputs, outputs, name=name)

    def save(self, filepath, *args, **kwargs):
        self.write_as_chief(lambda: plain_model(self).save(filepath, *args, **kwargs), filepath)

    def export(self, filepath, *args, **kwargs):
        self.write_as_chief(lambda: plain_model(self).export(filepath, *args, **kwargs), filepath)


def as_multi_worker(model):
    """Returns a model of the same layers that also trains on several machines, where the strategy is for those.

    Where it is for several devices of one machine, a model that takes strings gets the same, since plain Keras can't
    split those.

    Under a `tf.distribute.MultiWorkerMirroredStrategy`, a plain `keras.Model` can't `fit`, `evaluate` or `predict`
    (keras#20585). Call this in the scope in which the model was built or loaded. The batches of arrays and of
    `tf.data.Dataset`s are those of all workers together, and every worker has to give the same ones: each takes its
    part. What it `save`s is the plain model, written by the chief.

    Args:
        model: A functional or `Sequential` `keras.Model` that is built, compiled or not.

    Returns:
        A `keras.Model`; in the scope of any other strategy, `model` itself but for strings.

    Raises:
        ValueError: For a subclass of `keras.Model`, in the scope of a multi-worker strategy: derive that from
            `tft.training.TransferModel` instead.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> tft.training.as_multi_worker(model) is model
    True
    """
    if not (is_multi_worker() or _splits_strings(model)) or isinstance(model, MultiWorkerTraining):
        return model
    if not _is_graph(model):
        raise ValueError(
            "Of the layers of a functional or `Sequential` model, once it is built, a model for several workers can be "
            f"made. Received: {type(model).__name__}. Derive it from `tft.training.TransferModel` instead."
        )
    made = MultiWorkerModel(*_ends(model), name=model.name)
    _compile_as(made, model)
    return made


def _splits_strings(model):
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return replicas > 1 and any(each.dtype == "string" for each in getattr(model, "inputs", None) or ())


def plain_model(model):
    """Returns a plain `keras.Model` of the same layers for one device, with the same optimizer.

    What was made in the scope of a strategy runs on all of its replicas. This model is for one process: to export, or
    to evaluate in one of them what only that one has. Call this outside of the scope.

    Args:
        model: A `keras.Model`.

    Returns:
        A `keras.Model`; `model` itself when one replica runs it, or it is no functional or `Sequential` model.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> tft.training.plain_model(model) is model
    True
    """
    has_replicas = model.distribute_strategy.num_replicas_in_sync > 1 and _is_graph(model)
    if not isinstance(model, MultiWorkerModel) and not has_replicas:
        return model
    plain = keras.Model(*_ends(model), name=model.name)
    _compile_as(plain, model)
    if hasattr(model, "builder"):
        plain.builder = model.builder
    return plain


def _is_graph(model):
    return type(model).__name__ in ("Functional", "Sequential") and model.built


def _ends(model):
    """Returns the inputs and the outputs of a model's own graph, as they are nested in it."""
    graph = graph_of(model)
    return graph._inputs_struct, graph._outputs_struct


def _compile_as(model, other):
    if getattr(other, "compiled", False):
        model.compile_from_config(other.get_compile_config())
        # With what it has learnt; a new one would begin at step 0.
        model.optimizer = other.optimizer
