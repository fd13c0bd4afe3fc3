"""A loss and a metric that pass over missing labels, for tasks of which not every example has one."""

import keras
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.distribution.sums import sum_over_replicas


@keras.saving.register_keras_serializable(package="tf_transfer")
class LabelledLoss(keras.losses.Loss):
    """Another loss, as the mean over those examples that have a label.

    Value: `scale` * sum_i w_i loss(y_i, p_i) / number of i with a label. Under a strategy that number is counted over
    all of its replicas. A batch without any label has the value 0. The sample weights w multiply, as everywhere in
    Keras.

    Args:
        loss: Name or `keras.losses.Loss`, which gives one value an example.
        missing: Integer that stands for a missing label. NaN does anyway. Defaults to None: NaN only.
        by_entry: Boolean. True looks at each entry of labels `(batch, dim)` by itself: an example counts with the mean
            over the entries that it has. False: a label that is missing in part is missing. Defaults to False.
        class_weight: Dict from class to a float of at least 0 that multiplies the loss of its examples (of its
            column with `by_entry`). Classes that are not in it have 1. Defaults to None.
        scale: Float above 0, such as 1 / variance of the targets, after which a squared error has no unit. Defaults
            to 1.
        name: String. Defaults to "labelled_loss".

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, dim)`.
        y_pred: Predictions of shape `(batch, dim)`.
        sample_weight: Float tensor of shape `(batch,)`. Defaults to None.

    Returns:
        A scalar; under a strategy a replica's share of it, as of every Keras loss.

    Example:

    >>> loss = tft.losses.LabelledLoss("mse")
    >>> float(loss(np.array([[1.0], [np.nan]]), np.array([[3.0], [5.0]])))
    4.0
    >>> loss = tft.losses.LabelledLoss("sparse_categorical_crossentropy", missing=-1, class_weight={0: 2.0})
    >>> round(float(loss(np.array([0, -1, -1]), np.full((3, 2), 0.5))), 4)
    1.3863
    """

    def __init__(self, loss, missing=None, *, by_entry=False, class_weight=None, scale=1.0, name="labelled_loss"):
        super().__init__(name=name, reduction="none", dtype="float32")
        self.loss = keras.losses.get(loss)
        if self.loss is None:
            raise ValueError(f"`loss` must be a name or a keras.losses.Loss. Received: loss={loss!r}.")
        self._each = _without_reduction(self.loss)
        self.missing = missing if missing is None else _checks.integer(missing, "missing")
        self.by_entry = bool(by_entry)
        self.class_weight = check_class_weight(class_weight)
        self.scale = _checks.positive(scale, "scale")

    def __call__(self, y_true, y_pred, sample_weight=None):
        with keras.name_scope(self.name):
            y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
            known, y_true = known_labels(y_true, self.missing, self.by_entry)
            values, is_labelled = self._values(known, y_true, y_pred)
            values = values * is_labelled
            if sample_weight is not None:
                values = values * ops.reshape(ops.cast(sample_weight, self.dtype), (-1,))
            size = ops.cast(ops.shape(values)[0], self.dtype)
            labelled, everything = tf.unstack(sum_over_replicas(tf.stack([ops.sum(is_labelled), size])))
            # By the part that has labels and not their number: so it stays right where replicas have unequal parts.
            mean = tf.math.divide_no_nan(ops.mean(values), labelled / everything)
            return self.scale * mean / tf.distribute.get_strategy().num_replicas_in_sync

    def call(self, y_true, y_pred):
        return self._each(y_true, y_pred)

    def _values(self, known, y_true, y_pred):
        """Returns a value for each example, and 1 for those that have a label."""
        if not self.by_entry:
            return self.call(y_true, y_pred) * self._weights(y_true), known
        entries = self.call(y_true[..., tf.newaxis], y_pred[..., tf.newaxis]) * known
        if self.class_weight:
            entries = entries * self._columns(y_pred.shape[-1])
        count = ops.sum(known, axis=-1)
        return tf.math.divide_no_nan(ops.sum(entries, axis=-1), count), ops.cast(count > 0, self.dtype)

    def _weights(self, y_true):
        if not self.class_weight:
            return 1.0
        one_hot = len(y_true.shape) > 1 and y_true.shape[-1] != 1
        if one_hot:
            return ops.sum(ops.cast(y_true, self.dtype) * self._columns(y_true.shape[-1]), axis=-1)
        classes, last = ops.reshape(ops.cast(y_true, "int32"), (-1,)), max(self.class_weight)
        weights = ops.take(self._columns(last + 1), ops.minimum(classes, last))
        return ops.where(classes <= last, weights, 1.0)

    def _columns(self, num_classes):
        return tf.constant([self.class_weight.get(each, 1.0) for each in range(num_classes)], self.dtype)

    def get_config(self):
        loss = keras.saving.serialize_keras_object(self.loss)
        # The keys of a dict in a file are strings.
        weights = None if self.class_weight is None else [list(pair) for pair in sorted(self.class_weight.items())]
        return {
            "loss": loss,
            "missing": self.missing,
            "by_entry": self.by_entry,
            "class_weight": weights,
            "scale": self.scale,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        loss = config["loss"]
        loss = keras.saving.deserialize_keras_object(loss) if isinstance(loss, dict) else loss
        return cls(**{**config, "loss": loss})


@keras.saving.register_keras_serializable(package="tf_transfer")
class LabelledMetric(keras.metrics.Metric):
    """Another metric, of those examples that have a label.

    Args:
        metric: `keras.metrics.Metric`.
        missing: As in `LabelledLoss`.
        by_entry: As in `LabelledLoss`: whether each entry of the labels counts by itself.
        name: String. Defaults to the metric's.

    Example:

    >>> metric = tft.losses.LabelledMetric(keras.metrics.SparseCategoricalAccuracy(name="accuracy"), missing=-1)
    >>> metric.update_state(np.array([0, 1, -1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]]))
    >>> metric.name, float(metric.result())
    ('accuracy', 0.5)
    """

    def __init__(self, metric, missing=None, *, by_entry=False, name=None):
        if not isinstance(metric, keras.metrics.Metric):
            raise ValueError(f"`metric` must be a keras.metrics.Metric. Received: metric={metric!r}.")
        super().__init__(name=name or metric.name, dtype=metric.dtype)
        self.metric = metric
        self.missing = missing if missing is None else _checks.integer(missing, "missing")
        self.by_entry = bool(by_entry)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred)
        known, y_true = known_labels(y_true, self.missing, self.by_entry)
        if sample_weight is not None:
            shape = (-1, *[1] * (len(known.shape) - 1))
            known = known * ops.reshape(ops.cast(sample_weight, "float32"), shape)
        if self.by_entry and isinstance(self.metric, keras.metrics.MeanMetricWrapper):
            # These take the mean over the last axis before they weigh.
            y_true, y_pred = y_true[..., tf.newaxis], y_pred[..., tf.newaxis]
        self.metric.update_state(y_true, y_pred, known)

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()

    def get_config(self):
        metric = keras.saving.serialize_keras_object(self.metric)
        return {"metric": metric, "missing": self.missing, "by_entry": self.by_entry, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "metric": keras.saving.deserialize_keras_object(config["metric"])})


def known_labels(y_true, missing=None, by_entry=False):
    """Returns which labels are there, and the labels with 0 in place of the others.

    Args:
        y_true: Labels of shape `(batch,)` or `(batch, dim)`.
        missing: As in `LabelledLoss`.
        by_entry: As in `LabelledLoss`.

    Returns:
        Float32 tensor of 0 and 1, shape `(batch,)`, or `(batch, dim)` with `by_entry`; and the labels, of the shape
        `(batch, 1)` where they were `(batch,)` and `by_entry`.
    """
    y_true = ops.convert_to_tensor(y_true)
    if by_entry and len(y_true.shape) == 1:
        y_true = y_true[:, tf.newaxis]
    known = tf.ones_like(y_true, dtype=tf.bool)
    if y_true.dtype.is_floating:
        known = known & ~tf.math.is_nan(y_true)
    if missing is not None:
        known = known & (y_true != tf.cast(missing, y_true.dtype))
    y_true = tf.where(known, y_true, tf.zeros_like(y_true))
    if not by_entry and len(known.shape) > 1:
        known = tf.reduce_all(known, axis=list(range(1, len(known.shape))))
    return tf.cast(known, tf.float32), y_true


def check_class_weight(class_weight, name="class_weight"):
    """Returns weights of classes as a dict from integers to floats, or None.

    Args:
        class_weight: Dict, list of pairs, or None.
        name: String for errors.
    """
    if class_weight is None:
        return None
    try:
        pairs = dict(class_weight)
        return {
            _checks.integer(int(each), name, 0): _checks.number(weight, name, 0.0) for each, weight in pairs.items()
        }
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must be a dict from classes, integers from 0, to weights of at least 0. "
            f"Received: {name}={class_weight!r}."
        ) from error


def _without_reduction(loss):
    if not isinstance(loss, keras.losses.Loss):
        return loss
    return type(loss).from_config({**loss.get_config(), "reduction": "none"})
