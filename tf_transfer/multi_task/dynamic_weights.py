"""Tasks weighed by how slowly each gets better, from epoch to epoch."""

import keras
import numpy as np
from keras import ops

from tf_transfer import _checks
from tf_transfer.multi_task.balanced_model import BalancedModel
from tf_transfer.training.multi_worker import with_callback


@keras.saving.register_keras_serializable(package="tf_transfer")
class DynamicWeightAveraging(BalancedModel):
    """Dynamic weight averaging: in each epoch those tasks count more whose loss fell less between the last two.

    Objective of epoch t: sum_k w_k(t) L_k with w_k(t) = K exp(r_k / temperature) / sum_i exp(r_i / temperature) and
    r_k = L_k(t - 1) / L_k(t - 2), for K tasks and their mean losses in these epochs, which must be above 0. In the
    first two epochs all weights are 1, so a `fit` of less than three is one with equal weights. `initial_epoch` goes
    on where a training was stopped, also after loading; another `fit` from epoch 0 begins anew.

    Args:
        model: Built functional `keras.Model` with two outputs or more, trained in place.
        temperature: Float above 0, the larger the more even. Defaults to 2.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> x = keras.Input((2,))
    >>> network = keras.Model(x, {"a": keras.layers.Dense(1, name="a")(x), "b": keras.layers.Dense(1, name="b")(x)})
    >>> model = tft.DynamicWeightAveraging(network)
    >>> model.compile("adam", {"a": "mse", "b": "mse"})
    >>> labels = {"a": np.ones((8, 1)), "b": np.ones((8, 1))}
    >>> history = model.fit(np.ones((8, 2)), labels, epochs=3, verbose=0).history
    >>> history["a_weight"][:2], round(history["a_weight"][2] + history["b_weight"][2], 4)
    ([1.0, 1.0], 2.0)

    Reference:
        Liu et al., 2019, https://arxiv.org/abs/1803.10704
    """

    def __init__(self, model, temperature=2.0, **kwargs):
        super().__init__(model, **kwargs)
        self.temperature = _checks.positive(temperature, "temperature")
        self.loss_weights = self.add_weights_of_tasks("loss_weights", "ones")
        # Of the last epoch and of the one before it; 0 where there was none. Saved, so that training can go on.
        shape = (2, len(self.tasks))
        self._past = self.add_weight(
            shape=shape, dtype="float32", initializer="zeros", trainable=False, autocast=False, name="past_losses"
        )

    def balance(self, losses):
        weights = dict(zip(self.tasks, ops.unstack(ops.convert_to_tensor(self.loss_weights)), strict=True))
        return sum(weights[task] * losses[task] for task in self.tasks), weights

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs):
        callbacks = with_callback(callbacks, _EachEpoch(self))
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def begin_epoch(self, epoch):
        """Sets the weights from the losses of the last two epochs; called at the begin of each."""
        if epoch == 0:
            self._past.assign(np.zeros((2, len(self.tasks))))
        self.loss_weights.assign(averaged_weights(*ops.convert_to_numpy(self._past), self.temperature))

    def end_epoch(self, losses):
        """Keeps the mean losses of an epoch, a list; called at its end."""
        self._past.assign(np.stack([losses, ops.convert_to_numpy(self._past)[0]]))

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


def averaged_weights(last, before, temperature=2.0):
    """Returns the weights of `DynamicWeightAveraging`, a float array whose sum is the number of tasks.

    Args:
        last: Array of shape `(num_tasks,)`, the losses of the last epoch.
        before: The same of the epoch before it; 0 where there was none.
        temperature: Float above 0. Defaults to 2.

    Example:

    >>> np.round(averaged_weights(np.array([1.0, 0.5]), np.array([1.0, 1.0]), temperature=1.0), 4).tolist()
    [1.2449, 0.7551]
    """
    if not (before > 0).all():
        return np.ones(len(last), "float32")
    scores = last / before / temperature
    exponentials = np.exp(scores - scores.max())
    return len(last) * exponentials / exponentials.sum()


class _EachEpoch(keras.callbacks.Callback):
    def __init__(self, method):
        super().__init__()
        self._method = method

    def on_epoch_begin(self, epoch, logs=None):
        self._method.begin_epoch(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self._method.end_epoch([logs[f"{task}_loss"] for task in self._method.tasks])
