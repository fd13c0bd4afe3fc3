"""Adaptive batch normalization: the statistics of the target in place of those of the source."""

import keras
import tensorflow as tf
from keras import ops

from tf_transfer.adaptation.unlabelled import WithoutLabels, batch_size_of
from tf_transfer.training.normalizing_by_batch import check_batch_norm, normalizing_by_batch
from tf_transfer.training.whole_model import WholeModel


@keras.saving.register_keras_serializable(package="tf_transfer")
class AdaBN(WithoutLabels, WholeModel):
    """Adaptive batch normalization: moving statistics become those of the whole target data. Nothing is trained.

    `fit` makes one pass over target inputs, arrays or a dataset; labels that come along are ignored. The statistics
    of the batches are pooled exactly: the mean of the means, each weighted by the size of its batch, and the mean of
    the variances + the variance of the means. While it passes, layers normalize by their batch, so those behind
    others see what large batches, at best the whole target as one, make of it. Frozen layers are adapted too.
    Another `fit` starts anew. History: `num_examples`, how many were seen; there is no loss.

    The model that is given is changed; `keras.models.clone_model` and `set_weights` make a copy to keep. It needs no
    `compile`: a compiled model brings its loss and metrics along for `evaluate`.

    Args:
        model: `keras.Model` with `BatchNormalization`, from inputs to predictions; or an encoder.
        **kwargs: `name` of a `keras.Model`.

    Raises:
        ValueError: For a model without `BatchNormalization`; the message lists what it has.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization(), keras.layers.Dense(3)])
    >>> x_target = np.array([[1.0], [3.0], [5.0], [7.0]])
    >>> _ = tft.AdaBN(model).fit(x_target, batch_size=3, verbose=0)
    >>> [round(float(each[0]), 3) for each in (model.layers[0].moving_mean, model.layers[0].moving_variance)]
    [4.0, 5.0]

    Reference:
        Li et al., 2017, https://arxiv.org/abs/1603.04779
    """

    def __init__(self, model, **kwargs):
        super().__init__(model, **kwargs)
        self._norms = _untracked(check_batch_norm(model))
        self._num_examples = self.add_weight(
            shape=(), dtype="int64", initializer="zeros", trainable=False, name="num_examples"
        )
        if model.compiled:
            self.compile_from_config(model.get_compile_config())

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs):
        if not self.compiled:
            self.compile()
        self._num_examples.assign(0)
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def make_updates(self, data):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        known = [(ops.copy(norm.moving_mean), ops.copy(norm.moving_variance)) for norm in self._norms()]
        with normalizing_by_batch(self.model, momentum=lambda own: 0.0):
            self.model(x, training=False)
        # Without momentum the moving statistics are now those of this batch.
        seen = [(ops.copy(norm.moving_mean), ops.copy(norm.moving_variance)) for norm in self._norms()]
        size, seen = _over_replicas(ops.cast(batch_size_of(x), "float32"), seen)
        before = ops.cast(self._num_examples, "float32")
        for norm, old, new in zip(self._norms(), known, seen, strict=True):
            mean, variance = _pooled(old, new, size / (before + size))
            norm.moving_mean.assign(mean)
            norm.moving_variance.assign(variance)
        self._num_examples.assign_add(ops.cast(size, "int64"))
        return {"num_examples": ops.copy(self._num_examples)}


def _untracked(layers):
    # In a function, for Keras would track the layers a second time.
    return lambda: layers


def _pooled(old, new, share):
    """Returns mean and variance of two samples together, of which the second is a share of the whole."""
    gap = new[0] - old[0]
    mean = old[0] + share * gap
    return mean, old[1] + share * (new[1] - old[1]) + share * (1.0 - share) * ops.square(gap)


def _over_replicas(size, statistics):
    """Returns the size and the statistics of the batches of all replicas together."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return size, statistics
    total = _sum(size)
    means = [_sum(size * mean) / total for mean, _ in statistics]
    spreads = [size * (variance + ops.square(own - mean)) for (own, variance), mean in zip(statistics, means)]
    return total, [(mean, _sum(spread) / total) for mean, spread in zip(means, spreads)]


def _sum(value):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)
