"""Model-agnostic meta-learning: weights from which a few steps of gradient descent lead far."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.few_shot.episodic_model import EpisodicModel, check_batch, check_model, default_loss
from tf_transfer.few_shot.inner_loop import InnerLoop
from tf_transfer.training import as_multi_worker, with_logits
from tf_transfer.training.logits import last_activation
from tf_transfer.training.optimizers import apply_gradients


@keras.saving.register_keras_serializable(package="tf_transfer")
class MAML(EpisodicModel):
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
        super().__init__(**kwargs)
        check_model(model, "model")
        self.inner_learning_rate = _checks.positive(inner_learning_rate, "inner_learning_rate")
        self.inner_steps = _checks.integer(inner_steps, "inner_steps", 1)
        self.evaluation_steps = _checks.integer(
            inner_steps if evaluation_steps is None else evaluation_steps, "evaluation_steps", 0
        )
        for name, value in (
            ("first_order", first_order), ("learned_rates", learned_rates), ("transductive", transductive)
        ):  # fmt: skip
            setattr(self, name, _checks.one_of(value, name, [False, True]))
        self.adapts = adapts if isinstance(adapts, str) else list(adapts)
        self.model = _without_softmax(model)
        self._positions = _positions(self.model, adapts)
        self.rates = [self._rate(at) for at in self._positions] if learned_rates else []
        self.add_part("support_loss")
        self.built = True

    def _rate(self, position):
        variable = self.model.trainable_variables[position]
        initial = keras.initializers.Constant(self.inner_learning_rate)
        name = f"rate_{position}"
        return self.add_weight(shape=variable.shape, dtype="float32", initializer=initial, autocast=False, name=name)

    def call(self, inputs, training=False):
        check_batch(inputs)
        return self._over_tasks(inputs, None, training)[1]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.compiled_loss(y, y_pred, sample_weight) + self._regularization()

    def make_updates(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        check_batch(x)
        weights = tf.ones(ops.shape(x["query"])[:1]) if sample_weight is None else ops.cast(sample_weight, "float32")
        losses, outputs, support_losses, gradients = self._over_tasks(x, (y, weights), True)
        # In the order of the gradients; Keras lists the rates first.
        variables = [*self.model.trainable_variables, *self.rates]
        with tf.GradientTape() as tape:
            regularization = self._regularization()
            scaled = self.optimizer.scale_loss(regularization)
        own = tape.gradient(scaled, [each.value for each in variables], unconnected_gradients="zero")
        gradients = [self.share(ops.mean(each, axis=0)) + extra for each, extra in zip(gradients, own, strict=True)]
        apply_gradients(self.optimizer, gradients, variables)
        size = ops.shape(losses)[0]
        self._loss_tracker.update_state(ops.mean(losses) + self.unshare(regularization), sample_weight=size)
        self.log_part("support_loss", ops.mean(support_losses), num_examples=size)
        self._advance_seeds()
        return self.compute_metrics(x, y, outputs, sample_weight=sample_weight)

    def _over_tasks(self, inputs, targets, training):
        """Returns the loss of the queries, outputs, the loss of the support, and gradients of each task of a batch.

        Without targets, labels of the queries and weights of the tasks, only the outputs are computed.
        """
        loop, steps = self._loop(), self.inner_steps if training else self.evaluation_steps
        values, state = loop.weights()
        rates = [rate.value for rate in self.rates]
        size = ops.shape(inputs["query"])[0]
        parts = {"number": ops.arange(size, dtype="int32"), **inputs}
        if targets is not None:
            parts["targets"] = targets

        def learn(part):
            own = _own_seeds(state, loop.seeds, part["number"])
            with tf.GradientTape() as tape:
                tape.watch([*values, *rates])
                outputs, losses = self._query_outputs(loop, values, own, rates, part, steps, True)
                loss = part["targets"][1] * ops.mean(loop.loss(part["targets"][0], outputs))
                scaled = self.optimizer.scale_loss(loss)
            gradients = tape.gradient(scaled, [*values, *rates], unconnected_gradients="zero")
            return loss, outputs, losses[0], gradients

        def answer(part):
            own = _own_seeds(state, loop.seeds, part["number"])
            return self._query_outputs(loop, values, own, rates, part, steps, training)[0]

        if targets is None:
            return None, self._map(answer, parts, loop), None, None
        return self._map(learn, parts, loop)

    def _query_outputs(self, loop, values, state, rates, part, steps, training):
        """Returns the outputs for the queries of a task, and the losses of its support, one a step."""
        each = rates or [self.inner_learning_rate] * len(self._positions)
        weights, state, losses = loop.adapted(values, state, each, part["support"], part["support_labels"], steps)
        return ops.cast(loop.answers(weights, state, part["support"], part["query"], training)[0], "float32"), losses

    def _map(self, function, parts, loop):
        if loop.can_be_vectorized:
            return tf.vectorized_map(function, parts)
        one = tf.nest.map_structure(lambda part: tf.TensorSpec(part.shape[1:], part.dtype), parts)
        signature = tf.function(function, autograph=False).get_concrete_function(one).structured_outputs
        signature = tf.nest.map_structure(lambda each: tf.TensorSpec(each.shape, each.dtype), signature)
        return tf.map_fn(function, parts, fn_output_signature=signature)

    def _loop(self):
        loss = keras.losses.get(getattr(self, "loss", None)) or default_loss()
        each = loss.call if isinstance(loss, keras.losses.Loss) else loss
        return InnerLoop(self.model, each, self._positions, self.first_order, self.transductive)

    def _regularization(self):
        terms = [variable.regularizer(variable) for variable in self.model.trainable_variables if variable.regularizer]
        return self.share(ops.cast(sum(terms), "float32")) if terms else tf.zeros(())

    def _advance_seeds(self):
        for at in self._loop().seeds:
            state = self.model.non_trainable_variables[at]
            state.assign_add(ops.cast([0, 2 * self.inner_steps + 2], state.dtype))

    def adapt(self, x, y, steps=None):
        """Makes a plain model that is adapted to one task.

        Args:
            x: Array of examples, the support.
            y: Their labels.
            steps: Integer, how many steps of adaptation. Defaults to `evaluation_steps`.

        Returns:
            A compiled `keras.Model`, a copy of `model` with weights of its own. Batch normalization has in it the
            statistics of the support, so that each query is answered by itself, whatever `transductive` says.
        """
        steps = self.evaluation_steps if steps is None else _checks.integer(steps, "steps", 0)
        loop = self._loop()
        values, state = loop.weights()
        rates = [rate.value for rate in self.rates] or [self.inner_learning_rate] * len(self._positions)
        x, y = ops.convert_to_tensor(np.asarray(x)), ops.convert_to_tensor(np.asarray(y))
        weights, before, _ = tf.function(loop.adapted)(values, state, rates, x, y, steps)
        _, after = self.model.stateless_call(weights, before, x, training=True)
        with self.distribute_strategy.scope():
            model = as_multi_worker(keras.models.clone_model(self.model))
            values = [*weights, *loop.with_statistics(before, after)]
            variables = [*model.trainable_variables, *model.non_trainable_variables]
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            loss = getattr(self, "loss", None) or default_loss()
            model.compile(keras.optimizers.SGD(self.inner_learning_rate), loss)
        return model

    def deployable(self):
        """Returns the model with the weights that adaptation starts from, a plain Keras model."""
        return self.model

    def get_config(self):
        names = ("inner_learning_rate", "inner_steps", "evaluation_steps", "first_order", "learned_rates", "adapts")
        fields = {name: getattr(self, name) for name in (*names, "transductive", "name")}
        return {**fields, "model": keras.saving.serialize_keras_object(self.model)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "model": keras.saving.deserialize_keras_object(config["model"])})


def _without_softmax(model):
    if last_activation(model) != "softmax":
        return model
    plain = with_logits(model)
    return keras.Model(plain.inputs[0], plain.outputs[1], name=model.name)


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


def _own_seeds(state, seeds, number):
    """Returns the state with seeds of the task's own, so that tasks do not share the masks of dropout."""
    own = list(state)
    for at in seeds:
        own[at] = state[at] + ops.cast(ops.stack([number, ops.zeros_like(number)]), state[at].dtype)
    return own
