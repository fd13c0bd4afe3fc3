"""Model-agnostic meta-learning: weights from which a few steps of gradient descent lead far."""

import keras
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.few_shot.episodic_model import check_batch
from tf_transfer.few_shot.gradient_adaptation import GradientAdaptation, own_seeds
from tf_transfer.training.optimizers import apply_gradients


@keras.saving.register_keras_serializable(package="tf_transfer")
class MAML(GradientAdaptation):
    """Learns initial weights from which a model adapts to a new task in a few gradient steps on a few examples.

    Objective: the mean over tasks of the loss of the queries, by weights that were adapted on the support, theta' =
    theta - rate * gradient, and regularization of theta. Its gradient is that with respect to theta, through the steps.
    Each episode of a batch is a task. Convolutional networks go through the tasks one by one, dense ones all at once.

    History: `loss`, the objective; `support_loss`, that of the support before adaptation; the metrics of the queries.

    Args:
        model: `keras.Model` with one input and one output, classes as logits (a softmax at its end is left out), or
            values. Trained in place; weights that do not train do not adapt.
        inner_learning_rate: Float above 0, of the steps of adaptation. Defaults to 0.01.
        inner_steps: Integer, how many there are in training. Defaults to 1.
        evaluation_steps: Integer, how many there are in `predict`, `evaluate` and `adapt`. Defaults to `inner_steps`.
        first_order: Boolean, whether the gradients of the steps count as constants, which is cheaper and often as good
            (FOMAML). Defaults to False.
        learned_rates: Boolean, whether each weight has a rate of its own that is learned too, from
            `inner_learning_rate` on (Meta-SGD). Defaults to False.
        adapts: "all", "head" for the last layer with weights (ANIL), or a list of names of layers that adapt to a task;
            the others keep theta. Defaults to "all".
        transductive: Boolean, what batch normalization knows when queries are answered. True: the mean and variance of
            all queries of the task, as in the paper's code. False: those of the support, so that each query is
            answered by itself. Defaults to True.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> x, y = np.random.default_rng(0).normal(size=(40, 6)) + np.arange(40)[:, None] // 4, np.arange(40) // 4
    >>> network = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)])
    >>> model = tft.few_shot.MAML(network, inner_learning_rate=0.1, inner_steps=2)
    >>> model.compile("adam")
    >>> stream = tft.data.episodes(x, y, ways=3, shots=2, queries=2, num_episodes=8, batch_size=4, seed=0)
    >>> sorted(model.fit(stream, verbose=0).history)
    ['accuracy', 'loss', 'support_loss']
    >>> model.adapt(x[:12], y[:12]).predict(x[:2], verbose=0).shape
    (2, 3)

    Reference:
        Finn et al., 2017, https://arxiv.org/abs/1703.03400; Meta-SGD: Li et al., 2017,
        https://arxiv.org/abs/1707.09835; ANIL: Raghu et al., 2020, https://arxiv.org/abs/1909.09157
    """

    def __init__(
        self,
        model,
        inner_learning_rate=0.01,
        inner_steps=1,
        *,
        evaluation_steps=None,
        first_order=False,
        learned_rates=False,
        adapts="all",
        transductive=True,
        **kwargs,
    ):
        super().__init__(model, inner_learning_rate, inner_steps, evaluation_steps, transductive, **kwargs)
        self.first_order = _checks.one_of(first_order, "first_order", [False, True])
        self.learned_rates = _checks.one_of(learned_rates, "learned_rates", [False, True])
        self.adapts = adapts if isinstance(adapts, str) else list(adapts)
        self._positions = _positions(self.model, adapts)
        self.rates = [self._rate(at) for at in self._positions] if learned_rates else []
        self.built = True

    def _rate(self, position):
        variable = self.model.trainable_variables[position]
        initial = keras.initializers.Constant(self.inner_learning_rate)
        name = f"rate_{position}"
        return self.add_weight(shape=variable.shape, dtype="float32", initializer=initial, autocast=False, name=name)

    def loop(self):
        return self.inner_loop(self._positions, first_order=self.first_order)

    def adapted(self, loop, values, state, part, num_steps):
        rates = [rate.value for rate in self.rates] or [self.inner_learning_rate] * len(self._positions)
        return loop.adapted(values, state, rates, part["support"], part["support_labels"], num_steps)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.compiled_loss(y, y_pred, sample_weight) + self._regularization()

    def make_updates(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        check_batch(x)
        weights = tf.ones(ops.shape(x["query"])[:1]) if sample_weight is None else ops.cast(sample_weight, "float32")
        loop = self.loop()
        parts = {**self.parts(x, self.inner_steps, True), "targets": (y, weights)}
        losses, outputs, support_losses, gradients = self.over_tasks(self._learner(loop), parts, loop)
        # In the order in which a file has the optimizer's slots.
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            regularization = self._regularization()
            scaled = self.optimizer.scale_loss(regularization)
        own = tape.gradient(scaled, [each.value for each in variables], unconnected_gradients="zero")
        gradients = [self.share(ops.mean(each, axis=0)) + extra for each, extra in zip(gradients, own, strict=True)]
        apply_gradients(self.optimizer, gradients, variables)
        size = ops.shape(losses)[0]
        self._loss_tracker.update_state(ops.mean(losses) + self.unshare(regularization), sample_weight=size)
        self.log_part("support_loss", ops.mean(support_losses), num_examples=size)
        self.advance_seeds(loop)
        return self.compute_metrics(x, y, outputs, sample_weight=sample_weight)

    def _learner(self, loop):
        """Returns a function from a task to the loss of its queries, outputs, the loss of its support, gradients."""
        values, state = loop.weights()
        sources = [variable.value for variable in self.trainable_variables]

        def learn(part):
            own = own_seeds(state, loop.seeds, part["number"])
            labels, weight = part["targets"]
            # Inside of what is mapped, since no gradient flows through a map over tasks with convolutions.
            with tf.GradientTape() as tape:
                tape.watch(sources)
                adapted, after, losses = self.adapted(loop, values, own, part, self.inner_steps)
                outputs = self.query_outputs(loop, adapted, after, part, True)
                loss = weight * ops.mean(loop.loss(labels, outputs))
                scaled = self.optimizer.scale_loss(loss)
            return loss, outputs, losses[0], tape.gradient(scaled, sources, unconnected_gradients="zero")

        return learn

    def _regularization(self):
        terms = [variable.regularizer(variable) for variable in self.model.trainable_variables if variable.regularizer]
        return self.share(ops.cast(sum(terms), "float32")) if terms else tf.zeros(())

    def get_config(self):
        names = ("first_order", "learned_rates", "adapts")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _positions(model, adapts):
    """Returns which of the trainable variables adapt to a task."""
    layers = [layer for layer in model._flatten_layers(include_self=False) if layer.trainable_variables]
    leaves = [layer for layer in layers if not getattr(layer, "layers", None)]
    if not leaves:
        raise ValueError(f"The model {model.name!r} has no trainable weights, so that nothing can adapt.")
    names = [layer.name for layer in leaves]
    if adapts == "all":
        chosen = leaves
    elif adapts == "head":
        chosen = leaves[-1:]
    elif isinstance(adapts, str):
        raise ValueError(f"`adapts` must be 'all', 'head' or a list of names of layers. Received: adapts={adapts!r}.")
    else:
        chosen = [leaves[names.index(_checks.one_of(name, "adapts", names))] for name in adapts]
    wanted = {id(variable) for layer in chosen for variable in layer.trainable_variables}
    return [at for at, variable in enumerate(model.trainable_variables) if id(variable) in wanted]
