"""The training of one client: Keras' own step, traced once for all clients."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tf_transfer.data import as_dataset
from tf_transfer.data.example_arrays import check_arrays
from tf_transfer.federated.shared_weights import assign, values
from tf_transfer.training.run_state import random_states


@dataclasses.dataclass
class ClientUpdate:
    """What a client sends.

    Args:
        change: List of float32 arrays, what its training added to each of the shared weights.
        num_examples: Integer, how many examples it has.
        logs: Dict of floats, the loss and metrics of its training.
        personal: List of arrays that stay at the client, its personal weights.
    """

    change: list
    num_examples: int
    logs: dict
    personal: list


class LocalTraining:
    """Trains one model for one client after the other, each from the weights, optimizer and seeds that it is given.

    Args:
        model: Built and compiled `keras.Model`.
        weights: `SharedWeights` of the model.
        optimizer: Keras optimizer, of which a new one takes the place of the compiled one meanwhile.
        objective: `ProximalTerm`, or None.
    """

    def __init__(self, model, weights, optimizer, objective=None):
        self.model, self._weights, self._objective = model, weights, objective
        self._compiled_optimizer, self._optimizer = model.optimizer, type(optimizer).from_config(optimizer.get_config())
        self._functions, self._fresh, self._seeds = {}, None, random_states(model)

    def __enter__(self):
        self.model.optimizer = self._optimizer
        self._optimizer.build(self.model.trainable_variables)
        self._fresh = values(self._optimizer.variables)
        if self._objective is not None:
            self._objective.set_params({"epochs": 1, "steps": None})
            self._objective.set_model(self.model)
            self._objective.on_train_begin()
        return self

    def __exit__(self, *error):
        if self._objective is not None:
            self._objective.on_train_end()
        self.model.optimizer = self._compiled_optimizer
        # What was traced has the optimizer and the objective in it.
        self._functions = {}

    def train(self, data, shared, personal, *, epochs, batch_size, learning_rate=None, seed=()):
        """Returns the `ClientUpdate` of a client.

        Args:
            data: Arrays `(x, y[, sample_weight])`, a dataset, or a folder.
            shared: List of arrays, the server's weights.
            personal: List of arrays, the client's own.
            epochs: Integer, passes over the data.
            batch_size: Integer.
            learning_rate: Float or None, the optimizer's own.
            seed: Sequence of integers, of which the order of the examples and what random layers draw are functions.
        """
        rng = np.random.default_rng(seed)
        assign(self._weights.shared, shared)
        assign(self._weights.personal, personal)
        assign(self._optimizer.variables, self._fresh)
        if learning_rate is not None:
            self._optimizer.learning_rate = learning_rate
        for state in self._seeds:
            state.assign(rng.integers(2**31, size=state.shape))
        if self._objective is not None:
            self._objective.set_anchors(shared[: len(self._weights.trained)])
            self._objective.on_epoch_begin(0)
        num_examples, logs = self._go_through(data, "train_step", epochs, batch_size, rng)
        if self._objective is not None:
            self._objective.on_epoch_end(0, logs)
        after = values(self._weights.shared)
        change = [new - old for new, old in zip(after, shared, strict=True)]
        return ClientUpdate(change, num_examples, logs, values(self._weights.personal))

    def evaluate(self, data, batch_size):
        """Returns the number of examples and a dict of the loss and metrics of the model as it is."""
        return self._go_through(data, "test_step", 1, batch_size, None)

    def _go_through(self, data, step, epochs, batch_size, rng):
        self.model.reset_metrics()
        walk = self._through_arrays if isinstance(data, tuple | list) else self._through_stream
        num_examples = walk(data, step, epochs, batch_size, rng)
        # Keras' own: a method's would report parts that it noted while it was traced.
        logs = keras.Model.get_metrics_result(self.model)
        return num_examples, {name: float(value) for name, value in logs.items()}

    def _through_arrays(self, data, step, epochs, batch_size, rng):
        # NaN may be a missing value of a table; where it is not, the update is refused.
        data = check_arrays(tuple(data), ("x", "y", "sample_weight")[: len(data)], None, missing=True)
        data = tf.nest.map_structure(tf.convert_to_tensor, data)
        num_examples = len(tf.nest.flatten(data)[0])
        orders = [np.arange(num_examples) if rng is None else rng.permutation(num_examples) for _ in range(epochs)]
        specs = tf.nest.map_structure(lambda part: tf.TensorSpec((None, *part.shape[1:]), part.dtype), data)
        signature = [specs, tf.TensorSpec((None, None), tf.int64), tf.TensorSpec((), tf.int64)]
        self._function(step, _walk, signature, data, batch_size)(data, np.stack(orders), batch_size)
        return num_examples

    def _through_stream(self, data, step, epochs, batch_size, rng):
        seed = None if rng is None else int(rng.integers(2**31))
        stream = as_dataset(data, batch_size=batch_size, shuffle=rng is not None, seed=seed, missing=True)
        signature = [tf.nest.map_structure(lambda spec: tf.TensorSpec((None, *spec.shape[1:]), spec.dtype),
                                           stream.element_spec)]  # fmt: skip
        num_examples = 0
        for _ in range(epochs):
            for batch in stream:
                self._function(step, _once, signature, batch, batch_size)(batch)
                num_examples += int(tf.nest.flatten(batch)[0].shape[0])
        if not num_examples:
            raise ValueError("The dataset is empty: it has no examples.")
        return num_examples // epochs

    def _function(self, step, walk, signature, data, batch_size):
        """Returns the traced function for data of this kind."""
        key = (step, walk, str(signature))
        if key not in self._functions:
            first = tf.nest.map_structure(lambda part: part[:batch_size], data)
            self.model._symbolic_build(data_batch=first)
            one = tf.autograph.experimental.do_not_convert(getattr(self.model, step))
            eager = self.model.run_eagerly
            made = walk(one)
            self._functions[key] = made if eager else tf.function(made, input_signature=signature)
        return self._functions[key]


def _walk(step):
    """Returns a function that makes all steps of a client in one graph."""

    def walk(data, orders, batch_size):
        num_examples = tf.shape(orders, tf.int64)[1]
        for order in orders:
            for start in tf.range(0, num_examples, batch_size):
                chosen = order[start : start + batch_size]
                step(tf.nest.map_structure(lambda part: tf.gather(part, chosen), data))  # noqa: B023

    return walk


def _once(step):
    return lambda batch: step(batch)
