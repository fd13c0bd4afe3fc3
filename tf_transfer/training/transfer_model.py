"""The Keras model that methods build on: it knows how far training is, and logs the parts of its objective."""

import keras
import tensorflow as tf

from tf_transfer import schedules
from tf_transfer.training.logits import check_class_loss
from tf_transfer.training.multi_worker import MultiWorkerTraining, with_callback
from tf_transfer.training.part_means import PartMeans
from tf_transfer.training.progress import CountProgress, part_done
from tf_transfer.training.replicas import regularization, share, unshare
from tf_transfer.training.stop_on_nan import stopping_on_nan


@keras.saving.register_keras_serializable(package="tf_transfer")
class TransferModel(MultiWorkerTraining, keras.Model):
    """A Keras model with an objective of several parts and weights that follow the progress of training.

    Base class of the methods of this package. Keras' own training step stays: a subclass states its objective in
    `compute_loss` and reports parts of it with `log_part`. Progress is 0 at the first step of `fit` and 1 after the
    last; `fit(initial_epoch=3)` goes on where three epochs leave off. Where the number of steps of an epoch is not
    known (a generator), it is counted in the first epoch, and progress stays at 0 until that has ended. A loss that is
    NaN ends `fit` with the error of `tft.training.StopOnNaN`.

    Built in the scope of a `tf.distribute.MultiWorkerMirroredStrategy` it also trains on several machines, on arrays or
    a `tf.data.Dataset` that all of them have: a batch is one of all workers together; see `as_multi_worker`.

    Args:
        **kwargs: `name`, `trainable`, `dtype` of a `keras.Model`.

    Attributes:
        progress: Float32 tensor in [0, 1], the part of the current `fit` that is done.

    Example:

    >>> class Ramped(tft.training.TransferModel):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense = keras.layers.Dense(1)
    ...         self.add_part("norm")
    ...     def call(self, x):
    ...         return self.dense(x)
    ...     def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
    ...         norm = tf.reduce_mean(tf.square(y_pred))
    ...         self.log_part("norm", norm, training)
    ...         return super().compute_loss(x, y, y_pred, sample_weight, training) + self.progress * norm
    >>> model = Ramped()
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=4, epochs=2, verbose=0).history
    >>> sorted(history), float(model.progress)
    (['loss', 'norm'], 1.0)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._step = self._counter("step")
        self._num_steps = self._counter("num_steps")
        # In an object of its own, because Keras would list metrics among the attributes in evaluation too.
        self._parts = _Parts()
        self._evaluating = False

    @property
    def class_scorer(self):
        """The part whose outputs a method takes for scores of classes, or None when it does not ask what they are."""
        return None

    def _counter(self, name):
        return self.add_weight(shape=(), dtype="int64", initializer="zeros", trainable=False, name=name)

    @property
    def progress(self):
        return part_done(self._step, self._num_steps)

    def add_part(self, name):
        """Declares, in the constructor, an entry of the logs of training.

        Args:
            name: String, the entry, such as "domain_loss".
        """
        # Here and not at the first step: variables of a strategy are made in its scope, outside of its replicas.
        # A new one each time, for all parts share one variable.
        self._parts.means = PartMeans([*(self._parts.means.names if self._parts.means else []), name])

    def log_part(self, name, value, training=True, num_examples=1):
        """Reports a value under its name in the logs of training, as the mean over an epoch.

        Args:
            name: String, an entry declared with `add_part`.
            value: Scalar tensor.
            training: Boolean, nothing is logged in evaluation. Defaults to True.
            num_examples: Integer scalar, how many examples it is a mean of. Defaults to 1.
        """
        if training:
            self._parts.means.note(name, value, num_examples)

    def add_scheduled(self, name, value):
        """Makes, in the constructor, a variable for a number or for a schedule, which it follows while training.

        Args:
            name: String, the variable's name.
            value: Float or `tft.schedules.Schedule`, at least 0.

        Returns:
            A float32 `keras.Variable`. A callback may set it when `value` is a number.
        """
        schedule = schedules.get(value, name, minimum=0.0)
        initial = keras.initializers.Constant(float(schedule(0.0)))
        variable = self.add_weight(
            shape=(), dtype="float32", initializer=initial, trainable=False, autocast=False, name=name
        )
        if isinstance(value, schedules.Schedule):
            self._parts.scheduled.append((variable, schedule))
        return variable

    def share(self, value):
        """Returns a replica's share of a value that is a mean over its examples; see `tft.training.share`."""
        return share(value)

    def unshare(self, value):
        """Returns the value of which `share` is the share."""
        return unshare(value)

    def compiled_loss(self, y, y_pred, sample_weight=None):
        """Returns the compiled loss on labelled examples; under a strategy, a replica's share of it."""
        return keras.Model.compute_loss(self, None, y, y_pred, sample_weight) - self.regularization(self)

    def regularization(self, *models):
        """Returns the sum of the losses that models gathered in their last calls; a replica's share of it."""
        return regularization(*models)

    @property
    def metrics(self):
        parts = self._parts.means
        return [*super().metrics, *([parts] if parts and not self._evaluating else [])]

    def get_metrics_result(self):
        if self._parts.means:
            self._parts.means.update_noted()
        return super().get_metrics_result()

    def train_step(self, data):
        if self._parts.means:
            self._parts.means.forget_noted()
        for variable, schedule in self._parts.scheduled:
            variable.assign(schedule(self.progress))
        self.begin_step()
        logs = self.make_updates(data)
        # In a graph a step without data, at the end of a stream of unknown length, would count too.
        with tf.control_dependencies([part for part in keras.tree.flatten(data) if tf.is_tensor(part)]):
            self._step.assign_add(1)
        return logs

    def make_updates(self, data):
        """Called in the graph in each training step, to change the weights; one update by Keras' own step here.

        Args:
            data: Batch as `fit` gets it.

        Returns:
            A dict, the logs.
        """
        return super().train_step(data)

    def begin_step(self):
        """Called in the graph at the start of each training step: the place to set what follows `progress`."""

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs):
        if self.class_scorer is not None:
            check_class_loss(self.class_scorer, getattr(self, "loss", None), type(self).__name__)
        callbacks = with_callback(stopping_on_nan(callbacks), CountProgress(self._step, self._num_steps))
        if isinstance(x, tf.data.Dataset):
            # Keras warns that it does not shuffle a dataset, by the default of an argument that nobody gave.
            kwargs.setdefault("shuffle", False)
            _refuse_endless(x, kwargs.get("steps_per_epoch"))
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def compile_from_config(self, config):
        if type(self).compile is keras.Model.compile:
            super().compile_from_config(config)
            return
        # Keras compiles nothing where `compile` is a class's own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        # The file holds its state; Keras fills in what is there.
        self.optimizer.build(self.trainable_variables)

    def evaluate(self, *args, **kwargs):
        self._evaluating = True
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._evaluating = False


def _refuse_endless(dataset, steps_per_epoch):
    if steps_per_epoch is None and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "An endless dataset has no epochs, so `fit` would never come to the end of the first. "
            "Say `steps_per_epoch`. Received: steps_per_epoch=None."
        )


class _Parts:
    def __init__(self):
        self.means = None
        self.scheduled = []
