"""Keras' `fit`, `evaluate` and `predict` for a model whose strategy trains in step with other processes."""

import contextlib
import threading

import keras
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.distribution import is_chief, is_multi_worker, on_chief
from tf_transfer.distribution.chief import agree
from tf_transfer.training.global_batches import Part, array_batches, distribute, fingerprint, with_class_weights
from tf_transfer.training.replica_statistics import average_statistics

# The replicas of a strategy are threads.
_LOCAL = threading.local()


class MultiWorkerTraining:
    """What a `keras.Model` needs to train in step with other processes; elsewhere it changes nothing.

    Keras 3 reduces the scalars of a step over an axis that they do not have (keras#20585), one by one, and leaves to
    `tf.data` who gets what of a batch. Here they go as one row, and each replica gets its part of each batch.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras builds by the mean of the replicas' batches, which strings do not have.
        if self.distribute_strategy.num_replicas_in_sync == 1 and not is_multi_worker(self.distribute_strategy):
            return super()._maybe_symbolic_build(iterator, data_batch)
        if iterator is not None:
            _, _, values = next(iter(iterator))
            data_batch = keras.tree.map_structure(self._of_one_replica, next(values))
        data_batch = data_batch.batch if isinstance(data_batch, Part) else data_batch
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    def _of_one_replica(self, value):
        return self.distribute_strategy.experimental_local_results(value)[0]

    def _make_function(self, step_function):
        if not is_multi_worker(self.distribute_strategy):
            return super()._make_function(step_function)
        evaluates = step_function == self.test_step
        logs_are = {}

        def step(data):
            batch, factor = data if isinstance(data, Part) else (data, ())
            with _part_of_batch(factor):
                if evaluates and not isinstance(factor, tuple):
                    logs = self._unless_stand_in(step_function, batch, factor)
                else:
                    logs = step_function(batch)
            logs_are["like"] = keras.tree.map_structure(lambda _: None, logs)
            # In one row, for workers meet once for each tensor.
            return tf.stack([tf.cast(value, tf.float32) for value in keras.tree.flatten(logs)])[tf.newaxis]

        function = super()._make_function(step)

        def unpacked(iterator):
            values = list(function(iterator).numpy())
            return keras.tree.pack_sequence_as(logs_are["like"], values)

        return unpacked

    def _unless_stand_in(self, step_function, batch, factor):
        """Returns the logs of a step of evaluation, which count nothing of a copy that stands in.

        Every replica takes the step, as it may ask the others for a sum.
        """
        before = [tf.identity(variable.value) for variable in self.metrics_variables]
        step_function(batch)
        for variable, value in zip(self.metrics_variables, before, strict=True):
            variable.assign(tf.where(factor > 0, variable.value, value))
        return self.get_metrics_result()

    def _compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super()._compute_loss(x, y, y_pred, sample_weight, training)
        return self.weigh_part(loss) if training else loss

    def weigh_part(self, loss):
        """Returns a loss whose gradient is that of a replica's share, where replicas have unequal parts of a batch."""
        factor = getattr(_LOCAL, "factor", ())
        if isinstance(factor, tuple):
            return loss
        # Of the gradient alone: the value that is logged is a mean over this part, weighted by its size.
        return loss + (factor - 1.0) * (loss - tf.stop_gradient(loss))

    def predict_step(self, data):
        if not isinstance(data, Part):
            return super().predict_step(data)
        outputs = super().predict_step(data.batch)
        if isinstance(data.factor, tuple):
            return outputs
        return keras.tree.map_structure(lambda each: each[: tf.where(data.factor > 0, tf.shape(each)[0], 0)], outputs)

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs):
        strategy = self.distribute_strategy
        if not is_multi_worker(strategy):
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)
        examples = (x, y, kwargs.pop("sample_weight", None))
        split = kwargs.pop("validation_split", 0.0)
        validation = kwargs.pop("validation_data", None)
        if split and validation is None:
            examples, validation = _split(examples, split)
        epoch = tf.Variable(0, dtype=tf.int32, trainable=False)
        shuffle, class_weight = kwargs.pop("shuffle", True), kwargs.pop("class_weight", None)
        x = _distributed(strategy, examples, batch_size, shuffle, epoch, self._order(), class_weight)
        if validation is not None:
            size = kwargs.pop("validation_batch_size", None) or batch_size
            given = validation if isinstance(validation, list | tuple) else (validation,)
            validation = _distributed(strategy, (*given, None, None)[:3], size)
        verbose = verbose if verbose != "auto" or is_chief(strategy) else 0
        callbacks = with_callback(callbacks, _EachEpoch(epoch))
        return super().fit(
            x, None, None, epochs, verbose, callbacks, validation_data=validation, shuffle=False, **kwargs
        )

    def _order(self):
        """Returns the seed of the order of examples: the same in all workers, and another for each `fit`."""
        return int(keras.ops.convert_to_numpy(self.optimizer.iterations)) if self.optimizer is not None else 0

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs):
        strategy = self.distribute_strategy
        if is_multi_worker(strategy):
            average_statistics(self)
            x, y, sample_weight = _distributed(strategy, (x, y, sample_weight), batch_size), None, None
            verbose = verbose if verbose != "auto" or is_chief(strategy) else 0
        return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        strategy = self.distribute_strategy
        if is_multi_worker(strategy):
            average_statistics(self)
            x = _distributed(strategy, (x, None, None), batch_size)
            verbose = verbose if verbose != "auto" or is_chief(strategy) else 0
        return super().predict(x, batch_size, verbose, steps, callbacks)

    def predict_on_batch(self, x):
        if not is_multi_worker(self.distribute_strategy):
            return super().predict_on_batch(x)
        # Each worker has the whole batch here.
        outputs = self(keras.tree.map_structure(tf.convert_to_tensor, x), training=False)
        return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)

    def save(self, filepath, *args, **kwargs):
        self.write_as_chief(lambda: super(MultiWorkerTraining, self).save(filepath, *args, **kwargs), filepath)

    def save_weights(self, filepath, *args, **kwargs):
        self.write_as_chief(lambda: super(MultiWorkerTraining, self).save_weights(filepath, *args, **kwargs), filepath)

    def export(self, filepath, *args, **kwargs):
        self.write_as_chief(lambda: super(MultiWorkerTraining, self).export(filepath, *args, **kwargs), filepath)

    def write_as_chief(self, write, filepath, say=print):
        """Makes the replicas' statistics one and calls `write` in the chief, for which the other workers wait."""
        average_statistics(self)
        on_chief(write, self.distribute_strategy, say=say and (lambda text: say(f"{filepath}: {text}")))


def with_callback(callbacks, callback):
    """Returns callbacks as `fit` takes them, with one more in front."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callback.set_params(callbacks.params)
        callback.set_model(callbacks.model)
        callbacks.callbacks.insert(0, callback)
        return callbacks
    given = [] if callbacks is None else callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    return [callback, *given]


class _EachEpoch(keras.callbacks.Callback):
    """Tells the order of the examples which epoch it is, and makes the replicas' statistics one at its end."""

    def __init__(self, epoch):
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch.assign(epoch)

    def on_epoch_end(self, epoch, logs=None):
        average_statistics(self.model)


@contextlib.contextmanager
def _part_of_batch(factor):
    _LOCAL.factor = factor
    try:
        yield
    finally:
        _LOCAL.factor = ()


def _split(examples, part):
    """Returns the first examples, and the last `part` of them, as Keras does."""
    if not _is_array(keras.tree.flatten(examples[0])[0]):
        raise ValueError("`validation_split` is for arrays. Give a stream its `validation_data`.")
    at = round(len(keras.tree.flatten(examples[0])[0]) * (1.0 - _checks.number(part, "validation_split", 0.0, 1.0)))
    first = keras.tree.map_structure(lambda array: None if array is None else array[:at], examples)
    return first, keras.tree.map_structure(lambda array: None if array is None else array[at:], examples)


def _distributed(strategy, examples, batch_size, shuffle=False, epoch=None, seed=0, class_weight=None):
    """Returns a distributed dataset of parts, of arrays or of a `tf.data.Dataset`; one that is distributed stays."""
    x = examples[0]
    if isinstance(x, tf.distribute.DistributedDataset):
        return x
    load = None
    if isinstance(x, tf.data.Dataset):
        batches = x
        _check_same(strategy, batches)
    elif all(_is_array(leaf) for leaf in keras.tree.flatten(x)):
        arrays = tuple(each for each in examples if each is not None)
        arrays = arrays if len(arrays) > 1 else arrays[0]
        batches, load = array_batches(arrays, batch_size or 32, shuffle, epoch, seed)
    else:
        raise ValueError(
            "Several workers train on arrays, a `tf.data.Dataset` or a `tf.distribute.DistributedDataset`. "
            f"Received: {type(x).__name__}. Wrap a generator with `tf.data.Dataset.from_generator`."
        )
    if class_weight:
        batches, load = with_class_weights(batches if load is None else batches.map(load), class_weight), None
    return distribute(batches, strategy, load)


def _is_array(value):
    return hasattr(value, "shape") and hasattr(value, "__getitem__") and not isinstance(value, keras.utils.PyDataset)


def _check_same(strategy, dataset):
    """Raises, in all workers, when their streams do not begin with the same batch."""
    own = fingerprint(dataset)
    num_workers = strategy.num_replicas_in_sync / len(strategy.extended.worker_devices)
    mean = agree(strategy, own) / num_workers
    if agree(strategy, abs(own - mean)) > 0:
        raise ValueError(
            "The workers' streams differ in their first batch, so that parts of their batches would be seen twice and "
            "others never. Give `shuffle` (and augmentation of labels) a `seed`, the same in all workers."
        )
