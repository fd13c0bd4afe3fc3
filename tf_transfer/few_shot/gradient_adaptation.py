"""What methods share that adapt a model to a task by steps of gradient descent on its support."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.few_shot.episodic_model import EpisodicModel, check_batch, check_model, default_loss
from tf_transfer.few_shot.inner_loop import InnerLoop
from tf_transfer.training import as_multi_worker, with_logits
from tf_transfer.training.logits import last_activation


class GradientAdaptation(EpisodicModel):
    """An `EpisodicModel` around one model, whose weights take some steps on the support before it answers queries.

    Each episode of a batch is a task. A subclass says with `adapted` what the steps are.

    Args:
        model: `keras.Model` with one input and one output, classes as logits (a softmax at its end is left out), or
            values.
        inner_learning_rate: Float above 0, of the steps.
        inner_steps: Integer, how many there are in training.
        evaluation_steps: Integer, how many there are in `predict`, `evaluate` and `adapt`, or None for `inner_steps`.
        transductive: Boolean, what batch normalization knows when queries are answered. True: the mean and variance of
            all queries of the task. False: those of the support.
        **kwargs: As in `EpisodicModel`.
    """

    _SCHEDULED = ()

    def __init__(self, model, inner_learning_rate, inner_steps, evaluation_steps, transductive, **kwargs):
        super().__init__(**kwargs)
        check_model(model, "model")
        self.inner_learning_rate = _checks.positive(inner_learning_rate, "inner_learning_rate")
        self.inner_steps = _checks.integer(inner_steps, "inner_steps", 1)
        self.evaluation_steps = _checks.integer(
            inner_steps if evaluation_steps is None else evaluation_steps, "evaluation_steps", 0
        )
        self.transductive = _checks.one_of(transductive, "transductive", [False, True])
        self.model = _without_softmax(model)
        self.add_part("support_loss")

    def adapted(self, loop, values, state, part, num_steps):
        """Returns the weights after the steps on the support of one task, the state, and the losses before them.

        Args:
            loop: `InnerLoop`.
            values: List of tensors, the trainable weights.
            state: List of tensors, the others.
            part: Dict with "support" and "support_labels" of the task, and what `task_parts` made for it.
            num_steps: Integer.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `adapted(loop, values, state, part, num_steps)`.")

    def task_parts(self, num_tasks, num_support, num_steps, training):
        """Returns a dict of tensors, with a leading axis of tasks, that the steps take besides the episodes."""
        return {"number": ops.arange(num_tasks, dtype="int32")}

    def inner_loop(self, positions, **options):
        """Returns the `InnerLoop` for the loss that this model is compiled with."""
        loss = keras.losses.get(getattr(self, "loss", None)) or default_loss()
        each = loss.call if isinstance(loss, keras.losses.Loss) else loss
        return InnerLoop(self.model, each, positions, transductive=self.transductive, **options)

    def call(self, inputs, training=False):
        check_batch(inputs)
        loop, steps = self.loop(), self.inner_steps if training else self.evaluation_steps
        values, state = loop.weights()

        def answer(part):
            weights, after, _ = self.adapted(loop, values, own_seeds(state, loop.seeds, part["number"]), part, steps)
            return self.query_outputs(loop, weights, after, part, training)

        return self.over_tasks(answer, self.parts(inputs, steps, training), loop)

    def query_outputs(self, loop, weights, state, part, training):
        return ops.cast(loop.answers(weights, state, part["support"], part["query"], training)[0], "float32")

    def parts(self, inputs, steps, training):
        num_support = ops.shape(inputs["support"])[1]
        return {**inputs, **self.task_parts(ops.shape(inputs["query"])[0], num_support, steps, training)}

    def over_tasks(self, function, parts, loop):
        """Returns what a function gives for each task: of all tasks at once, or one by one where there are kernels."""
        if loop.can_be_vectorized:
            return tf.vectorized_map(function, parts)
        one = tf.nest.map_structure(lambda part: tf.TensorSpec(part.shape[1:], part.dtype), parts)
        signature = tf.function(function, autograph=False).get_concrete_function(one).structured_outputs
        signature = tf.nest.map_structure(lambda each: tf.TensorSpec(each.shape, each.dtype), signature)
        return tf.map_fn(function, parts, fn_output_signature=signature)

    def advance_seeds(self, loop):
        """Lets random layers draw anew in the next training step."""
        for at in loop.seeds:
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
        loop = self.loop()
        values, state = loop.weights()
        x, y = ops.convert_to_tensor(np.asarray(x)), ops.convert_to_tensor(np.asarray(y))
        task = {name: part[0] for name, part in self.task_parts(1, len(x), steps, False).items()}
        part = {"support": x, "support_labels": y, **task}
        learn = tf.function(lambda: self.adapted(loop, values, state, part, steps)[:2], autograph=False)
        weights, before = learn()
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
        names = ("inner_learning_rate", "inner_steps", "evaluation_steps", "transductive", "name")
        return {
            **{name: getattr(self, name) for name in names},
            "model": keras.saving.serialize_keras_object(self.model),
        }

    @classmethod
    def from_config(cls, config):
        nested = {name: value for name, value in config.items() if isinstance(value, dict)}
        return cls(
            **{**config, **{name: keras.saving.deserialize_keras_object(value) for name, value in nested.items()}}
        )


def own_seeds(state, seeds, number):
    """Returns the state with seeds of the task's own, so that tasks do not share the masks of dropout."""
    own = list(state)
    for at in seeds:
        own[at] = state[at] + ops.cast(ops.stack([number, ops.zeros_like(number)]), state[at].dtype)
    return own


def _without_softmax(model):
    if last_activation(model) != "softmax":
        return model
    plain = with_logits(model)
    return keras.Model(plain.inputs[0], plain.outputs[1], name=model.name)
