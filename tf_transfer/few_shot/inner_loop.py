"""A Keras model as a function of its weights, so that gradients flow through the steps of its adaptation."""

import keras
import tensorflow as tf
from keras import ops

_BATCHED = (
    keras.layers.InputLayer,
    keras.layers.Dense,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.Rescaling,
)


class InnerLoop:
    """Adapts a model to the support of one task, and answers its queries, without a change of the model's variables.

    Args:
        model: `keras.Model` with one input and one output.
        loss: Function of labels and outputs that gives one value an example, or their mean.
        positions: List of integers, which of the trainable variables adapt.
        first_order: Boolean, whether the gradients of the steps count as constants in those of the objective. Defaults
            to False.
        transductive: Boolean, whether batch normalization answers queries by their own statistics, or by those of the
            support. Defaults to True.
        regularized: Boolean, whether the steps go down the loss with the weights' regularizers. Defaults to False.
    """

    def __init__(self, model, loss, positions, first_order=False, transductive=True, *, regularized=False):
        self.model, self.loss, self.positions = model, loss, positions
        self.first_order, self.transductive, self.regularized = first_order, transductive, regularized
        self._norms = _norms(model)
        paths = [variable.path for variable in model.non_trainable_variables]
        self.seeds = [at for at, path in enumerate(paths) if path.endswith("seed_generator_state")]

    def weights(self):
        """Returns the values of the trainable variables, and of the others: where each task starts."""
        return [[variable.value for variable in part] for part in (
            self.model.trainable_variables, self.model.non_trainable_variables
        )]  # fmt: skip

    def adapted(self, weights, state, rates, x, y, num_steps):
        """Returns weights after `num_steps` steps down the gradient of a support's loss, the state, and the losses.

        Args:
            weights: List of tensors, the trainable weights.
            state: List of tensors, the other weights; random layers draw anew in each step.
            rates: List of tensors, the learning rate of each of `positions`, a scalar or one a weight.
            x: Support `(num_examples, ...)`.
            y: Its labels.
            num_steps: Integer.
        """
        losses = []
        for _ in range(num_steps):
            moving = [weights[at] for at in self.positions]
            gradients, state, loss = self.gradients(weights, state, x, y)
            if self.first_order:
                gradients = [tf.stop_gradient(gradient) for gradient in gradients]
            moved = [weight - rate * g for weight, rate, g in zip(moving, rates, gradients, strict=True)]
            weights = self._with(weights, moved)
            losses.append(loss)
        return weights, state, losses

    def gradients(self, weights, state, x, y):
        """Returns the gradients of the loss of examples with respect to `positions`, the state, and the loss."""
        # As tensors, since Keras also calls a model outside of its replicas, where no variable can be watched.
        moving = [tf.convert_to_tensor(weights[at]) for at in self.positions]
        with tf.GradientTape() as tape:
            tape.watch(moving)
            outputs, state = self.model.stateless_call(self._with(weights, moving), state, x, training=True)
            loss = ops.mean(self.loss(y, ops.cast(outputs, "float32")))
            if self.regularized:
                loss += self._regularization(moving)
        return tape.gradient(loss, moving, unconnected_gradients="zero"), state, loss

    def answers(self, weights, state, support, query, training):
        """Returns the outputs for queries, and the state."""
        if not self._norms or (self.transductive and training):
            return self.model.stateless_call(weights, state, query, training=training)
        _, after = self.model.stateless_call(weights, state, query if self.transductive else support, training=True)
        known = self.with_statistics(state, after)
        return self.model.stateless_call(weights, known, query, training=False)[0], after

    def with_statistics(self, before, after):
        """Returns a state in which batch normalization has as moving statistics those of the batch seen last."""
        known = list(after)
        for at, momentum in self._norms:
            known[at] = (after[at] - momentum * before[at]) / (1.0 - momentum)
        return known

    @property
    def can_be_vectorized(self):
        """Whether all tasks of a batch go through the layers at once; convolutions with kernels of each task can't."""
        return all(isinstance(layer, _BATCHED) for layer in self.model._flatten_layers(include_self=False))

    def _regularization(self, moving):
        variables = [self.model.trainable_variables[at] for at in self.positions]
        pairs = zip(variables, moving, strict=True)
        return sum(
            ops.cast(variable.regularizer(value), "float32") for variable, value in pairs if variable.regularizer
        )

    def _with(self, weights, moving):
        weights = list(weights)
        for at, weight in zip(self.positions, moving, strict=True):
            weights[at] = weight
        return weights


def _norms(model):
    """Returns pairs of the position of a moving statistic among the untrained variables, and its momentum."""
    places = {id(variable): at for at, variable in enumerate(model.non_trainable_variables)}
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    frozen = [layer.name for layer in norms if not layer.trainable]
    if frozen:
        raise ValueError(
            f"The batch normalization {frozen} is frozen, so that it has no statistics of a task. Let it train, or "
            "take a model without."
        )
    return [
        (places[id(variable)], layer.momentum)
        for layer in norms
        for variable in (layer.moving_mean, layer.moving_variance)
    ]
