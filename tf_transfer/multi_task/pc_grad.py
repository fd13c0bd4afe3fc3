"""Tasks whose gradients conflict give way to each other."""

import keras
import tensorflow as tf

from tf_transfer.multi_task.gradients import GradientBalancedModel, as_rows
from tf_transfer.training.counted_seeds import add_counted_seed, draw_uniform


@keras.saving.register_keras_serializable(package="tf_transfer")
class PCGrad(GradientBalancedModel):
    """Projecting conflicting gradients: what of a task's gradient goes against another task's is taken out.

    With g_k the gradient of w_k L_k with respect to the weights that tasks share, each task k goes through the others
    in random order: where its gradient, as it is by then, has a negative inner product with g_j, its projection on g_j
    is subtracted from it. The sum of what is left is the step. Weights of one task alone, and regularization, keep
    their own gradients. The weights w_k are fixed: `loss_weights`, or those of the network as it was compiled.

    A step has a backward pass for each task, so it takes up to as many times as long. Works under loss scaling,
    gradient accumulation, and on replicas, where the gradients of the whole batch are projected.

    History: `loss`, sum_k w_k L_k and regularization; `conflicts`, the part of pairs of tasks whose gradients had a
    negative inner product; and what `BalancedModel` says.

    Args:
        model: Built functional `keras.Model` with two outputs or more, trained in place.
        seed: Integer or None, of the orders. Defaults to None.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> x = keras.Input((2,))
    >>> shared = keras.layers.Dense(4, activation="relu")(x)
    >>> heads = {name: keras.layers.Dense(1, name=name)(shared) for name in ("a", "b")}
    >>> model = tft.PCGrad(keras.Model(x, heads), seed=0)
    >>> model.compile("sgd", {"a": "mse", "b": "mse"})
    >>> labels = {"a": np.ones((8, 1)), "b": -np.ones((8, 1))}
    >>> sorted(model.fit(np.ones((8, 2)), labels, verbose=0).history)
    ['a_loss', 'b_loss', 'conflicts', 'loss']

    Reference:
        Yu et al., 2020, https://arxiv.org/abs/2001.06782
    """

    takes_loss_weights = True

    def __init__(self, model, *, seed=None, **kwargs):
        super().__init__(model, **kwargs)
        self.seed = seed
        self._draws = add_counted_seed(self, seed)
        self.add_part("conflicts")

    def balance(self, losses):
        weights = self._losses_of_tasks.weights
        return sum(weights.get(task, 1.0) * losses[task] for task in self.tasks), {}

    def make_gradients(self, tape, scaled, variables, losses):
        weights = [self._losses_of_tasks.weights.get(task, 1.0) for task in self.tasks]
        by_task = [
            [None if each is None else weight * each for each in gradients]
            for weight, gradients in zip(weights, self.gradients_of_tasks(tape, scaled, variables), strict=True)
        ]
        positions = self.shared(by_task)
        rows = as_rows(by_task, positions, variables)
        products = tf.matmul(rows, rows, transpose_b=True)
        orders = tf.argsort(draw_uniform(self._draws, products.shape, alike=True), axis=-1)
        self.log_part("conflicts", _part_below_zero(products))
        # All replicas hold the gradient of the whole batch, and the optimizer adds up what they give it.
        together = self.share(tf.linalg.matvec(rows, tf.reduce_sum(projections(products, orders), 0), transpose_a=True))
        sizes = [variables[at].shape.num_elements() for at in positions]
        parts = dict(zip(positions, tf.split(together, sizes), strict=True))
        own = tape.gradient(scaled.regularization, [variable.value for variable in variables])
        return [
            _sum(
                [tf.reshape(parts[at], variable.shape)] if at in parts else [each[at] for each in by_task],
                own[at],
                variable,
            )
            for at, variable in enumerate(variables)
        ]

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def projections(products, orders):
    """Returns what of each task's gradient is in each task's projected one.

    All that projecting needs are the inner products, for a projected gradient is a sum of the given ones.

    Args:
        products: Float tensor of shape `(num_tasks, num_tasks)`, inner products of the tasks' gradients.
        orders: Integer tensor of that shape, in row k the order in which task k goes through all tasks.

    Returns:
        Float tensor C of that shape: task k's projected gradient is sum_j C[k, j] g_j.

    Example:

    >>> gradients = np.array([[1.0, 0.0], [-1.0, 1.0]])
    >>> coefficients = projections(tf.constant(gradients @ gradients.T), tf.constant([[0, 1], [0, 1]]))
    >>> (coefficients.numpy() @ gradients).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    num_tasks = products.shape[0]
    coefficients = tf.eye(num_tasks, dtype=products.dtype)
    squares = tf.linalg.diag_part(products)
    for position in range(num_tasks):
        others = orders[:, position]
        # Row k: the inner product of what task k has by now with the gradient of its next task.
        inner = tf.reduce_sum(coefficients * tf.gather(products, others), axis=-1)
        is_other = others != tf.range(num_tasks, dtype=others.dtype)
        conflict = tf.where(is_other & (inner < 0), tf.math.divide_no_nan(inner, tf.gather(squares, others)), 0.0)
        coefficients -= conflict[:, tf.newaxis] * tf.one_hot(others, num_tasks, dtype=products.dtype)
    return coefficients


def _part_below_zero(products):
    num_tasks = products.shape[0]
    return tf.reduce_sum(tf.cast(products < 0, tf.float32)) / (num_tasks * (num_tasks - 1))


def _sum(gradients, regularization, variable):
    parts = [tf.cast(each, variable.dtype) for each in (*gradients, regularization) if each is not None]
    return tf.add_n(parts) if parts else None
