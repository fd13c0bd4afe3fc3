"""What methods that learn from the target alone share: labels are ignored, and some variables learn."""

import keras
from keras import ops

from tf_transfer.training import TransferModel


class WithoutLabels(TransferModel):
    """A `TransferModel` whose training step sees no labels, so that compiled metrics are left to evaluation.

    Args:
        **kwargs: As in `TransferModel`.
    """

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if not self._evaluating:
            return self.get_metrics_result()
        return super().compute_metrics(x, y, y_pred, sample_weight)

    @property
    def metrics(self):
        # Compiled metrics compare with labels, of which there are none in training.
        own = [self._loss_tracker, self._parts.means]
        return [metric for metric in super().metrics if self._evaluating or any(metric is each for each in own)]


class Unlabelled(WithoutLabels):
    """A `TransferModel` that `fit` trains on inputs without labels; those that come along are ignored.

    A subclass defines `objective`, and `_adapted_variables`. `compile` needs no loss; with one, `evaluate` and
    `validation_data` give its value, else that of the objective.

    Args:
        **kwargs: As in `TransferModel`.
    """

    def objective(self, x, y_pred, training):
        """Returns the value to minimize; under a strategy, a replica's share of it."""
        raise NotImplementedError(f"{type(self).__name__} must define `objective`.")

    @property
    def _adapted_variables(self):
        """The variables that learn, whatever the `trainable` flags of the layers they belong to."""
        raise NotImplementedError(f"{type(self).__name__} must define `_adapted_variables`.")

    @property
    def trainable_variables(self):
        return self._adapted_variables

    @property
    def trainable_weights(self):
        return self._adapted_variables

    def make_updates(self, data):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return super().make_updates((x,))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if training or y is None or self.loss is None:
            return self.objective(x, y_pred, training)
        return super().compute_loss(x, y, y_pred, sample_weight, training)


def batch_size_of(x):
    """Returns the number of examples in a batch of inputs."""
    return ops.shape(keras.tree.flatten(x)[0])[0]
