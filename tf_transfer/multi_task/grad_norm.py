"""Tasks whose weights learn to give all of them gradients of a like size."""

import keras
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.distribution.sums import sum_over_replicas
from tf_transfer.multi_task.gradients import GradientBalancedModel, as_rows

# A weight of 0 would never come back: what learns it is its own gradient.
_LEAST = 1e-3


@keras.saving.register_keras_serializable(package="tf_transfer")
class GradNorm(GradientBalancedModel):
    """Gradient normalization: weights by which tasks that learn slowly get larger gradients.

    Objective: sum_k w_k L_k. After the gradients of a step are known, the weights take a step too. With G_k the norm of
    the gradient of w_k L_k with respect to the kernel of the last shared layer, G their mean, and r_k = (L_k / L_k(0))
    by its mean over tasks, they go down sum_k |G_k - G r_k^`alpha`|, in which G r_k^`alpha` counts as a constant, by
    plain gradient descent. Then they are scaled so that their sum is the number of tasks. L_k(0) is the loss in the
    first batch in which it is not 0.

    Each batch should have labels of every task. A step has a short backward pass for each task besides its own.
    Works under loss scaling, gradient accumulation, and on replicas, which all see the gradients of the whole batch.

    Args:
        model: Built functional `keras.Model` with two outputs or more, trained in place.
        alpha: Float of at least 0, how strongly slow tasks are favoured; 0 makes all gradients the same size. Defaults
            to 1.5.
        learning_rate: Float above 0, of the weights. Defaults to 0.025.
        shared_layer: Name of the layer whose trainable variables the norms are of, at any depth of the network.
            Defaults to None: the kernel of the last layer that all tasks share.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> x = keras.Input((2,))
    >>> shared = keras.layers.Dense(4, name="shared")(x)
    >>> heads = {name: keras.layers.Dense(1, name=name)(shared) for name in ("a", "b")}
    >>> model = tft.GradNorm(keras.Model(x, heads), alpha=0.0)
    >>> model.compile("sgd", {"a": "mse", "b": "mse"})
    >>> labels = {"a": np.ones((8, 1)), "b": 100 * np.ones((8, 1))}
    >>> history = model.fit(np.ones((8, 2)), labels, batch_size=2, verbose=0).history
    >>> history["a_weight"][0] > history["b_weight"][0]
    True

    Reference:
        Chen et al., 2018, https://arxiv.org/abs/1711.02257
    """

    def __init__(self, model, alpha=1.5, learning_rate=0.025, *, shared_layer=None, **kwargs):
        super().__init__(model, **kwargs)
        self.alpha = _checks.number(alpha, "alpha", 0.0)
        self.learning_rate = _checks.positive(learning_rate, "learning_rate")
        self.shared_layer = shared_layer
        if shared_layer is not None:
            names = [layer.name for layer in model._flatten_layers() if layer.weights]
            _checks.one_of(shared_layer, "shared_layer", names)
        self.loss_weights = self.add_weights_of_tasks("loss_weights", "ones")
        self._first = self.add_weight(
            shape=(len(self.tasks),),
            dtype="float32",
            initializer="zeros",
            trainable=False,
            autocast=False,
            name="first_losses",
        )

    def balance(self, losses):
        weights = dict(zip(self.tasks, ops.unstack(ops.convert_to_tensor(self.loss_weights)), strict=True))
        return sum(weights[task] * losses[task] for task in self.tasks), weights

    def make_gradients(self, tape, scaled, variables, losses):
        self._update_weights(tape, scaled, losses)
        values = [variable.value for variable in variables]
        return tape.gradient([scaled.total, scaled.regularization], values)

    def _update_weights(self, tape, scaled, losses):
        variables = self._variables_of_norms(tape, scaled)
        rows = as_rows(self.gradients_of_tasks(tape, scaled, variables), range(len(variables)), variables)
        norms = tf.norm(rows / self._scale(1.0), axis=-1)
        values = sum_over_replicas(tf.stack([losses[task] for task in self.tasks]))
        first = tf.where(self._first.value > 0, self._first.value, values)
        moved = normalized_weights(self.loss_weights.value, norms, values, first, self.alpha, self.learning_rate)
        # Without loss scaling a gradient that overflows would make all later weights NaN; with it the step is skipped.
        is_sound = tf.reduce_all(tf.math.is_finite(moved))
        self._first.assign(tf.where(is_sound, first, self._first.value))
        self.loss_weights.assign(tf.where(is_sound, moved, self.loss_weights.value))

    def _variables_of_norms(self, tape, scaled):
        if self.shared_layer is not None:
            layers = [layer for layer in self.model._flatten_layers() if layer.name == self.shared_layer]
            variables = layers[0].trainable_variables
            if not variables:
                raise ValueError(f"Nothing trains in shared_layer={self.shared_layer!r}. Choose one that does.")
            return variables
        variables = self.model.trainable_variables
        gradients = self.gradients_of_tasks(tape, scaled, variables)
        self.shared(gradients)
        of_all = [
            variable
            for variable, each in zip(variables, zip(*gradients, strict=True), strict=True)
            if all(one is not None for one in each) and len(variable.shape) > 1
        ]
        if not of_all:
            raise ValueError(
                "No kernel is shared by all tasks, so the last one can't be told. Give `shared_layer`, the name of the "
                "layer whose gradients are to be balanced."
            )
        return of_all[-1:]

    def get_config(self):
        own = {"alpha": self.alpha, "learning_rate": self.learning_rate, "shared_layer": self.shared_layer}
        return {**super().get_config(), **own}


def normalized_weights(weights, norms, losses, first, alpha=1.5, learning_rate=0.025):
    """Returns the weights of `GradNorm` after a step.

    Args:
        weights: Float tensor of shape `(num_tasks,)`.
        norms: Norms of the gradients of the losses, without their weights, of the same shape.
        losses: Losses, of the same shape.
        first: Losses at the begin of training, of the same shape.
        alpha: Float of at least 0. Defaults to 1.5.
        learning_rate: Float above 0. Defaults to 0.025.

    Example:

    >>> even = tf.constant([1.0, 1.0])
    >>> normalized_weights(even, tf.constant([1.0, 3.0]), even, even, alpha=0.0, learning_rate=0.1).numpy().round(4)
    array([1.2222, 0.7778], dtype=float32)
    """
    weighted = weights * norms
    ratios = tf.math.divide_no_nan(losses, first)
    rates = tf.math.divide_no_nan(ratios, tf.reduce_mean(ratios))
    targets = tf.reduce_mean(weighted) * rates**alpha
    moved = weights - learning_rate * tf.sign(weighted - targets) * norms
    # Norms have the unit of the losses; one step may be larger than a weight.
    moved = tf.maximum(moved, _LEAST)
    return moved * weights.shape[0] / tf.reduce_sum(moved)
