"""Reptile: the start of adaptation moves towards where adaptation ends."""

import keras
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.few_shot.episodic_model import check_batch
from tf_transfer.few_shot.gradient_adaptation import GradientAdaptation, own_seeds
from tf_transfer.training.counted_seeds import add_counted_seed, draw_uniform
from tf_transfer.training.optimizers import apply_gradients

_DECAY, _EPSILON = 0.999, 1e-8


@keras.saving.register_keras_serializable(package="tf_transfer")
class Reptile(GradientAdaptation):
    """Learns initial weights from which a model adapts to a new task, by moving towards the weights of adapted tasks.

    Update: theta + step_size * mean(theta' - theta), theta' the weights after `inner_steps` steps on a task, each on
    some examples of its support. There is no gradient through the steps, and queries are only asked for the history:
    take many shots and few queries, such as `tft.data.episodes(x, y, ways=5, shots=10, queries=1)`. A batch of one
    episode is the serial version, a larger one the batched version.

    History: `loss`, that of the queries after adaptation; `support_loss`, that of the first step's examples before it;
    the metrics of the queries.

    Args:
        model: `keras.Model` with one input and one output, classes as logits (a softmax at its end is left out), or
            values. Trained in place; weights that do not train do not adapt. Regularizers are part of the steps.
        inner_learning_rate: Float above 0, of the steps of adaptation. Defaults to 0.001.
        inner_steps: Integer, how many there are in training. Defaults to 5.
        evaluation_steps: Integer, how many there are in `predict`, `evaluate` and `adapt`. Defaults to 50.
        inner_optimizer: "adam", without a mean of gradients (beta_1=0), whose mean squares go on from task to task, as
            in the authors' code; or "sgd". Defaults to "adam".
        inner_batch_size: Integer, examples of the support in each step, drawn without replacement until all were, or
            None for all of them. Defaults to 10.
        step_size: Float above 0 or `tft.schedules.Schedule`, part of the way that the weights go; with
            `tft.schedules.linear(1.0, 0.0)` as the paper's. Defaults to 1.
        transductive: Boolean, what batch normalization knows when queries are answered. True: the mean and variance of
            all queries of the task. False: those of the support, so that each query is answered by itself. Defaults to
            True.
        seed: Integer or None, of the draws of examples. Defaults to None.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> x, y = np.random.default_rng(0).normal(size=(40, 6)) + np.arange(40)[:, None] // 4, np.arange(40) // 4
    >>> network = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)])
    >>> model = tft.few_shot.Reptile(network, inner_steps=3, evaluation_steps=5, inner_batch_size=4, seed=0)
    >>> model.compile()
    >>> stream = tft.data.episodes(x, y, ways=3, shots=3, queries=1, num_episodes=8, batch_size=4, seed=0)
    >>> sorted(model.fit(stream, verbose=0).history)
    ['accuracy', 'loss', 'support_loss']
    >>> model.adapt(x[:12], y[:12]).predict(x[:2], verbose=0).shape
    (2, 3)

    Reference:
        Nichol et al., 2018, https://arxiv.org/abs/1803.02999
    """

    _SCHEDULED = ("step_size",)

    def __init__(
        self,
        model,
        inner_learning_rate=0.001,
        inner_steps=5,
        *,
        evaluation_steps=50,
        inner_optimizer="adam",
        inner_batch_size=10,
        step_size=1.0,
        transductive=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(model, inner_learning_rate, inner_steps, evaluation_steps, transductive, **kwargs)
        self.inner_optimizer = _checks.one_of(inner_optimizer, "inner_optimizer", ["adam", "sgd"])
        if inner_batch_size is not None:
            _checks.integer(inner_batch_size, "inner_batch_size", 1)
        if not self.model.trainable_variables:
            raise ValueError(f"The model {model.name!r} has no trainable weights, so that nothing can adapt.")
        self.inner_batch_size, self.step_size, self.seed = inner_batch_size, step_size, seed
        self._step_size = self.add_scheduled("step_size", step_size)
        self._draws = add_counted_seed(self, seed)
        self.mean_squares, self._num_squares = [], None
        if inner_optimizer == "adam":
            self.mean_squares = [self._mean_square(at) for at in range(len(self.model.trainable_variables))]
            self._num_squares = self._counter("num_squares")
        self.built = True

    def _mean_square(self, position):
        shape, options = self.model.trainable_variables[position].shape, {"trainable": False, "autocast": False}
        name = f"mean_square_{position}"
        return self.add_weight(shape, "zeros", "float32", aggregation="mean", name=name, **options)

    def compile(self, optimizer=None, loss=None, metrics=None, **kwargs):
        """Configures the model for training.

        Args:
            optimizer: Name or `keras.optimizers.Optimizer`, whose gradient is `step_size` times theta minus the mean of
                the adapted weights. Defaults to `SGD(1.0)`, the plain update of the paper.
            loss: Loss of the support and of the queries. Defaults to cross-entropy of logits and integer labels.
            metrics: As in `keras.Model.compile`. Defaults to the accuracy on the queries, and to none for another loss.
            **kwargs: Further arguments of `keras.Model.compile`.

        Raises:
            ValueError: When a `step_size` is given and the optimizer's steps do not follow the size of gradients.
        """
        optimizer = keras.optimizers.get(keras.optimizers.SGD(1.0) if optimizer is None else optimizer)
        plain = getattr(optimizer, "inner_optimizer", optimizer)
        if not isinstance(plain, keras.optimizers.SGD) and self.step_size != 1.0:
            raise ValueError(
                f"The steps of {type(plain).__name__} do not follow `step_size`. Give its `learning_rate` a schedule "
                f"of Keras and leave `step_size` at 1. Received: step_size={self.step_size!r}."
            )
        super().compile(optimizer, loss, metrics, **kwargs)

    def loop(self):
        return self.inner_loop(list(range(len(self.model.trainable_variables))), regularized=True)

    def task_parts(self, num_tasks, num_support, num_steps, training):
        taken = num_support if self.inner_batch_size is None else ops.minimum(self.inner_batch_size, num_support)
        num_rounds = -(-num_steps * taken // num_support)
        shape = (num_tasks, num_rounds, num_support)
        drawn = draw_uniform(self._draws, shape) if training else tf.random.stateless_uniform(shape, (0, 0))
        orders = tf.reshape(tf.argsort(drawn), (num_tasks, -1))[:, : num_steps * taken]
        parts = super().task_parts(num_tasks, num_support, num_steps, training)
        return {**parts, "orders": tf.reshape(orders, (num_tasks, num_steps, taken))}

    def adapted(self, loop, values, state, part, num_steps):
        weights, state, loss, _ = self._descend(loop, values, state, part, num_steps)
        return weights, state, loss

    def _descend(self, loop, values, state, part, num_steps):
        """Returns weights, state, the loss of the first step's examples, and the mean squares after the steps."""
        squares = [each.value for each in self.mean_squares]
        before = ops.cast(0 if self._num_squares is None else self._num_squares, "float32")

        def step(number, weights, state, squares, first):
            chosen = tf.gather(part["orders"], number)
            x, y = tf.gather(part["support"], chosen), tf.gather(part["support_labels"], chosen)
            gradients, state, loss = loop.gradients(weights, state, x, y)
            weights, squares = self._moved(weights, gradients, squares, before + ops.cast(number + 1, "float32"))
            return number + 1, weights, state, squares, tf.where(number == 0, loss, first)

        start = (tf.constant(0), list(values), list(state), squares, tf.zeros(()))
        _, weights, state, squares, loss = tf.while_loop(lambda number, *_: number < num_steps, step, start)
        return weights, state, loss, squares

    def _moved(self, weights, gradients, squares, count):
        if not squares:
            pairs = zip(weights, gradients, strict=True)
            return [weight - self.inner_learning_rate * gradient for weight, gradient in pairs], []
        squares = [_DECAY * old + (1 - _DECAY) * ops.square(g) for old, g in zip(squares, gradients, strict=True)]
        rate = self.inner_learning_rate * ops.sqrt(1.0 - _DECAY**count)
        triples = zip(weights, gradients, squares, strict=True)
        return [weight - rate * g / (ops.sqrt(square) + _EPSILON) for weight, g, square in triples], squares

    def make_updates(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        check_batch(x)
        loop = self.loop()
        values, state = loop.weights()

        def learn(part):
            own = own_seeds(state, loop.seeds, part["number"])
            weights, after, first, squares = self._descend(loop, values, own, part, self.inner_steps)
            return self.query_outputs(loop, weights, after, part, True), first, weights, squares

        outputs, firsts, adapted, squares = self.over_tasks(learn, self.parts(x, self.inner_steps, True), loop)
        size = ops.shape(firsts)[0]
        weights = tf.ones((size,)) if sample_weight is None else ops.cast(sample_weight, "float32")
        self._move(values, adapted, weights)
        for variable, after in zip(self.mean_squares, squares, strict=True):
            variable.assign(ops.mean(after, axis=0))
        if self._num_squares is not None:
            self._num_squares.assign_add(self.inner_steps)
        self._loss_tracker.update_state(self.unshare(self.compiled_loss(y, outputs, sample_weight)), sample_weight=size)
        self.log_part("support_loss", ops.mean(firsts), num_examples=size)
        self.advance_seeds(loop)
        return self.compute_metrics(x, y, outputs, sample_weight=sample_weight)

    def _move(self, values, adapted, weights):
        """Takes the step towards the adapted weights, of each task by its weight."""
        gradients = []
        for value, ends in zip(values, adapted, strict=True):
            ways = tf.reshape(weights, (-1, *[1] * len(value.shape))) * (value - ends)
            mean = self.share(self._step_size * ops.mean(ways, axis=0))
            gradients.append(self.optimizer.scale_loss(mean))
        apply_gradients(self.optimizer, gradients, self.model.trainable_variables)

    def get_config(self):
        fields = {name: getattr(self, name) for name in ("inner_optimizer", "inner_batch_size", "seed")}
        return {**super().get_config(), **fields, "step_size": keras.saving.serialize_keras_object(self.step_size)}
