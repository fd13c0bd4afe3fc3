"""Test entropy minimization: a few parameters adapt to the target while it is being predicted."""

import contextlib
import threading

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.adaptation.unlabelled import Unlabelled, batch_size_of
from tf_transfer.ops import entropy
from tf_transfer.training import extend_optimizer, with_logits
from tf_transfer.training.normalizing_by_batch import check_batch_norm, normalizing_by_batch
from tf_transfer.training.whole_model import WholeModel


@keras.saving.register_keras_serializable(package="tf_transfer")
class TENT(Unlabelled, WholeModel):
    """Test entropy minimization: batch normalization alone adapts, so that predictions on the target become certain.

    Each step normalizes by the batch and moves scale and offset (gamma, beta) of every `BatchNormalization`, frozen
    ones too, down the mean entropy of the predictions. Nothing else is trained, dropout is off, and the `trainable`
    flags of the model stay as they are. The moving statistics follow the target: those of the source are dropped at
    the first batch, then they are the mean over the batches seen, later the usual moving mean. So `predict`,
    `evaluate` and `deployable()`, which normalize by them, see the target as it was in adaptation.

    Offline: `fit(x_target)`, then `predict`. Online: `predict_and_adapt`. Labels that come along are ignored. `compile`
    needs no loss. Small learning rates (1e-3) and few epochs: entropy alone, for long, sends all to one class.

    History: `entropy_loss`, and `loss`, which is that + regularization of what is trained.

    Args:
        model: Functional or sequential `keras.Model` with `BatchNormalization`, from inputs to predictions; see
            `tft.training.with_logits`. It is changed.
        **kwargs: `name` of a `keras.Model`.

    Raises:
        ValueError: For a model without `BatchNormalization`, or with none that has scale or offset.

    Example:

    >>> layers = [keras.Input((2,)), keras.layers.BatchNormalization(), keras.layers.Dense(3, activation="softmax")]
    >>> model = tft.TENT(keras.Sequential(layers))
    >>> model.compile(keras.optimizers.Adam(1e-3))
    >>> x_target = np.random.default_rng(0).normal(size=(64, 2))
    >>> sorted(model.fit(x_target, verbose=0).history), len(model.trainable_variables)
    (['entropy_loss', 'loss'], 2)
    >>> model.predict_and_adapt(x_target, batch_size=16).shape
    (64, 3)

    Reference:
        Wang et al., 2021, https://arxiv.org/abs/2006.10726
    """

    def __init__(self, model, **kwargs):
        super().__init__(model, **kwargs)
        affine = [each for norm in check_batch_norm(model) for each in (norm.gamma, norm.beta) if each is not None]
        if not affine:
            raise ValueError(
                f"No `BatchNormalization` of the model {model.name!r} has a scale or an offset, which are what TENT "
                "trains. Received layers with scale=False and center=False; `tft.AdaBN` adapts their statistics."
            )
        twin = with_logits(model)
        # In functions, for Keras would track them a second time.
        self._twin, self._affine = (lambda: twin), (lambda: affine)
        self._num_batches = self.add_weight(
            shape=(), dtype="int64", initializer="zeros", trainable=False, name="num_batches"
        )
        # Replicas of a strategy are threads.
        self._local = threading.local()
        self._online = None
        self.add_part("entropy_loss")

    @property
    def class_scorer(self):
        return self.model

    @property
    def _adapted_variables(self):
        return self._affine()

    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs)
        self._online = None

    def call(self, inputs, training=False):
        adapting = normalizing_by_batch(self.model, self._momentum) if training else contextlib.nullcontext()
        with adapting:
            self._local.outputs, self._local.logits = self._twin()(inputs, training=False)
        return self._local.outputs

    def objective(self, x, y_pred, training):
        value = ops.mean(entropy(self._local.logits))
        self.log_part("entropy_loss", value, training, batch_size_of(x))
        regularization = sum(ops.cast(ops.sum(loss), "float32") for loss in self.losses)
        return self.share(value + regularization)

    def make_updates(self, data):
        logs = super().make_updates(data)
        self._num_batches.assign_add(1)
        return logs

    def _momentum(self, own):
        # The mean over all batches, as long as that is quicker than the layer's own way to follow.
        seen = ops.cast(self._num_batches, "float32")
        return ops.minimum(own, seen / (seen + 1.0))

    def predict_and_adapt(self, x, batch_size=32):
        """Predicts batch by batch, with one step of adaptation on each, in the order in which they come.

        Predictions are those from before the step that the batch itself causes, normalized by the batch.

        Args:
            x: Array or nest of arrays of inputs, or a batched `tf.data.Dataset`, whose labels are ignored.
            batch_size: Integer, of arrays. Statistics of batches below about 16 are poor. Defaults to 32.

        Returns:
            Array of predictions, shape `(num_examples, num_classes)`.
        """
        self._check_online()
        if not isinstance(x, tf.data.Dataset):
            x = tf.data.Dataset.from_tensor_slices(x).batch(_checks.integer(batch_size, "batch_size", minimum=1))
        if self._online is None:
            self.optimizer = extend_optimizer(self.optimizer, self.trainable_variables)
            step = self._predict_step_online
            self._online = step if self.run_eagerly else tf.function(step, reduce_retracing=True)
        batches = (keras.utils.unpack_x_y_sample_weight(batch)[0] for batch in x)
        return np.concatenate([ops.convert_to_numpy(self._online(batch)) for batch in batches])

    def _predict_step_online(self, x):
        self.train_step((x,))
        return self._local.outputs

    def _check_online(self):
        if not self.compiled:
            raise ValueError("`predict_and_adapt` needs an optimizer. Call `compile` first: model.compile('adam').")
        if self.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("`predict_and_adapt` works on one replica. Received a model made in a strategy's scope.")
