"""Tasks weighed by how uncertain each is, which is learned along."""

import keras
from keras import ops

from tf_transfer.multi_task.balanced_model import BalancedModel


@keras.saving.register_keras_serializable(package="tf_transfer")
class UncertaintyWeighting(BalancedModel):
    """Weighs each task by its uncertainty, a variance that is learned with the network.

    Objective: sum_k c_k exp(-s_k) L_k + s_k / 2, with s_k the logarithm of task k's variance, and c_k = 1/2 for squared
    errors, where exp(-s) L / 2 + s / 2 is the likelihood of a normal distribution, and 1 for other losses. At its
    minimum exp(s_k) = 2 c_k L_k: a task that can't be learned well counts less. The s_k start at 0 and learn by the
    compiled optimizer. The objective may become negative; `val_loss` is the plain sum of the losses.

    Labels, metrics and the rest are those of the network; see `BalancedModel` for the history.

    Args:
        model: Built functional `keras.Model` with two outputs or more, trained in place.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> x = keras.Input((2,))
    >>> network = keras.Model(x, {"a": keras.layers.Dense(1, name="a")(x), "b": keras.layers.Dense(1, name="b")(x)})
    >>> model = tft.UncertaintyWeighting(network)
    >>> model.compile("adam", {"a": "mse", "b": "mae"})
    >>> labels = {"a": np.ones((8, 1)), "b": np.ones((8, 1))}
    >>> history = model.fit(np.zeros((8, 2)), labels, verbose=0).history
    >>> {name: round(float(value[0]), 4) for name, value in sorted(history.items())}
    {'a_loss': 1.0, 'a_weight': 0.5, 'b_loss': 1.0, 'b_weight': 1.0, 'loss': 1.5}
    >>> model.deployable() is network
    True

    Reference:
        Kendall et al., 2018, https://arxiv.org/abs/1705.07115
    """

    def __init__(self, model, **kwargs):
        super().__init__(model, **kwargs)
        self.log_variances = self.add_weights_of_tasks("log_variances", "zeros", trainable=True)

    def balance(self, losses):
        log_variances = ops.unstack(ops.convert_to_tensor(self.log_variances), num=len(self.tasks))
        weights, total = {}, 0.0
        for task, log_variance in zip(self.tasks, log_variances, strict=True):
            weights[task] = self._factor(task) * ops.exp(-log_variance)
            total = total + weights[task] * losses[task] + self.share(log_variance / 2)
        return total, weights

    def _factor(self, task):
        loss = self._losses_of_tasks.losses[task]
        # One that passes over missing labels says itself what it is the mean of.
        loss = getattr(loss, "loss", loss)
        name = getattr(loss, "name", None) or getattr(loss, "__name__", "")
        return 0.5 if isinstance(loss, keras.losses.MeanSquaredError) or name in ("mean_squared_error", "mse") else 1.0
