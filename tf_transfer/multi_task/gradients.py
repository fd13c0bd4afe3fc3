"""The gradients of single tasks with respect to what they share, over all replicas of a strategy."""

import keras
import tensorflow as tf
from keras import ops

from tf_transfer.distribution.sums import sum_over_replicas
from tf_transfer.multi_task.balanced_model import BalancedModel


class GradientBalancedModel(BalancedModel):
    """A `BalancedModel` whose step needs the gradients of single tasks. A subclass defines `make_gradients`."""

    def make_updates(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape(persistent=True) as tape:
            y_pred = self(x, training=True)
            losses = self.task_losses(y, y_pred, sample_weight)
            total, weights = self.balance(losses)
            regularization = self.regularization(self.model)
            scaled = _Scaled(
                total=self._scale(self.weigh_part(total)),
                regularization=self._scale(self.weigh_part(regularization)),
                tasks=[self._scale(self.weigh_part(losses[task])) for task in self.tasks],
            )
        size = ops.shape(keras.tree.flatten(x)[0])[0]
        self._loss_tracker.update_state(self.unshare(total + regularization), sample_weight=size)
        self.log_weights(weights)
        variables = self.trainable_variables
        gradients = self.make_gradients(tape, scaled, variables, losses)
        del tape
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def make_gradients(self, tape, scaled, variables, losses):
        """Returns the gradients that the optimizer is given.

        Args:
            tape: Persistent `tf.GradientTape` in which the losses were computed.
            scaled: What the optimizer's loss scale was put on: `total`, `regularization`, and `tasks`, a list.
            variables: List of the trainable `keras.Variable`s.
            losses: Dict from task to its loss, a replica's share.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `make_gradients`.")

    def _scale(self, loss):
        return self.optimizer.scale_loss(tf.convert_to_tensor(loss, tf.float32))

    def gradients_of_tasks(self, tape, scaled, variables):
        """Returns a list of gradients a task, dense, None where a variable has no part in it."""
        values = [variable.value for variable in variables]
        found = [tape.gradient(loss, values) for loss in scaled.tasks]
        return [[None if each is None else tf.convert_to_tensor(each) for each in gradients] for gradients in found]

    def shared(self, gradients):
        """Returns the positions of those variables that two tasks or more have gradients for."""
        columns = list(zip(*gradients, strict=True))
        positions = [at for at, each in enumerate(columns) if sum(one is not None for one in each) > 1]
        if not positions:
            raise ValueError(
                f"{type(self).__name__} balances the gradients of what tasks share, and nothing of that trains. Let "
                "the backbone train (`tft.set_trainable`, or `trainable=` of the trunk), or take "
                "`tft.UncertaintyWeighting` or `tft.DynamicWeightAveraging`, which need no gradients."
            )
        return positions


class _Scaled:
    def __init__(self, total, regularization, tasks):
        self.total = total
        self.regularization = regularization
        self.tasks = tasks


def as_rows(gradients, positions, variables):
    """Returns the gradients of all tasks as a matrix, a row a task, summed over the replicas.

    Args:
        gradients: List of gradients a task, as `gradients_of_tasks` gives it.
        positions: List of integers, the variables to take.
        variables: List of `keras.Variable`s.

    Returns:
        Float32 tensor of shape `(num_tasks, dim)`.
    """
    rows = []
    for each in gradients:
        parts = [tf.zeros(variables[at].shape) if each[at] is None else each[at] for at in positions]
        rows.append(tf.concat([tf.reshape(tf.cast(part, tf.float32), [-1]) for part in parts], 0))
    return sum_over_replicas(tf.stack(rows))
