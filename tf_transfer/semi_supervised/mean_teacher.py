"""Mean Teacher: a student that agrees with the average of its own past."""

import keras
import tensorflow as tf
from keras import ops

from tf_transfer import _checks, schedules
from tf_transfer.semi_supervised.semi_supervised_model import SemiSupervisedModel
from tf_transfer.training import batch_norm_layers, with_logits


@keras.saving.register_keras_serializable(package="tf_transfer")
class MeanTeacher(SemiSupervisedModel):
    """Mean Teacher: the student learns the labels, and to say of unlabelled examples what its average over time says.

    Objective: compiled loss + consistency_weight * mean over unlabelled examples and classes of (q - p)^2 +
    regularization, where q are the student's class probabilities, p the teacher's; no gradient flows through p. After
    each step teacher = m * teacher + (1 - m) * student, with m = `momentum`, and less at first: 1 - 1 / (step + 1), so
    that the beginning is forgotten.

    Both should see an example differently. With `tft.data.pair_labelled(..., weak=..., strong=...)` the teacher sees
    the weak view and the student the strong one; the same recipe for both makes two draws of it, as in the paper. With
    one view the noise of dropout is what differs. In the paper labelled examples are among the unlabelled ones, too.

    `model` is the student. `deployable()`, `predict` and `evaluate` are the teacher's; metrics in training are of the
    student. The teacher begins as a copy.

    History: `loss`, `classification_loss`, `consistency_loss` (before its weight), `consistency_weight`, and the
    compiled metrics.

    Args:
        model, batch_statistics: See `tft.semi_supervised.SemiSupervisedModel`; the policy is the student's.
        consistency_weight: Float of at least 0 or a schedule. Defaults to None: `tft.schedules.gaussian(50.0,
            finish=0.4)`.
        momentum: Float from 0 to 1 or a schedule, how slowly the teacher follows. Defaults to 0.999.
        teacher_statistics: Where the teacher's batch normalization has its moving statistics from. "own": it runs in
            training mode, dropout included, and gathers them from its own passes over the unlabelled examples, as in
            the paper's code. "average": it runs as it is deployed, and they are the average of the student's. Defaults
            to "own".
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> student = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.1), keras.layers.Dense(3)])
    >>> model = tft.semi_supervised.MeanTeacher(student, consistency_weight=1.0, momentum=0.9)
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> labelled, unlabelled = np.random.default_rng(0).normal(size=(2, 48, 2))
    >>> batches = tft.data.pair_labelled((labelled[:6], np.arange(6) % 3), unlabelled, batch_size=6, ratio=2)
    >>> sorted(model.fit(batches, verbose=0).history)
    ['classification_loss', 'consistency_loss', 'consistency_weight', 'loss']
    >>> model.deployable() is model.teacher
    True

    Reference:
        Tarvainen and Valpola, 2017, https://arxiv.org/abs/1703.01780
    """

    loss_name = "consistency_loss"
    weight_name = "consistency_weight"

    def __init__(
        self,
        model,
        consistency_weight=None,
        momentum=0.999,
        batch_statistics="joint",
        teacher_statistics="own",
        **kwargs,
    ):
        if consistency_weight is None:
            consistency_weight = schedules.gaussian(50.0, finish=0.4)
        super().__init__(model, consistency_weight, batch_statistics, **kwargs)
        self.teacher_statistics = _checks.one_of(teacher_statistics, "teacher_statistics", ["own", "average"])
        if not isinstance(momentum, schedules.Schedule):
            _checks.number(momentum, "momentum", 0.0, 1.0)
        self._given_momentum = momentum
        self.momentum = self.add_scheduled("momentum", momentum)
        self._num_averaged = self._counter("num_averaged")
        self.teacher = _copy(model)
        twin = with_logits(self.teacher)
        self._teacher_twin = lambda: twin

    def answer(self, inputs, training):
        return self.teacher(inputs, training=training)

    def shown(self, views):
        # The student sees one view of the unlabelled examples, the teacher the other.
        self._local.teachers_view = views["unlabelled"]
        name = "strong" if "strong" in views else "unlabelled"
        return {"labelled": views["labelled"], name: views[name]}

    def objective(self, logits, x):
        student = logits.get("strong", logits.get("unlabelled"))
        _, taught = self._teacher_twin()(self._local.teachers_view, training=self.teacher_statistics == "own")
        gap = tf.nn.softmax(student) - tf.stop_gradient(tf.nn.softmax(taught))
        return tf.reduce_mean(tf.square(gap)), {}

    def make_updates(self, data):
        logs = super().make_updates(data)
        self._num_averaged.assign_add(1)
        seen = ops.cast(self._num_averaged, "float32")
        momentum = ops.minimum(ops.convert_to_tensor(self.momentum), 1.0 - 1.0 / (seen + 1.0))
        for own, students in self._averaged():
            own.assign(momentum * own + (1.0 - momentum) * ops.convert_to_tensor(students))
        return logs

    def _averaged(self):
        """Returns pairs of a weight of the teacher and that of the student which it is an average of."""
        aside = set()
        if self.teacher_statistics == "own":
            layers = batch_norm_layers(self.teacher)
            aside = {id(variable) for layer in layers for variable in layer.non_trainable_variables}
        pairs = zip(self.teacher.weights, self.model.weights, strict=True)
        return [(own, students) for own, students in pairs if "float" in own.dtype and id(own) not in aside]

    @property
    def trainable_variables(self):
        return self._of_student(super().trainable_variables)

    @property
    def trainable_weights(self):
        return self._of_student(super().trainable_weights)

    def _of_student(self, variables):
        if not hasattr(self, "teacher"):
            return variables
        aside = {id(variable) for variable in self.teacher.variables}
        return [variable for variable in variables if id(variable) not in aside]

    def deployable(self):
        """Returns the teacher, a plain Keras model with its weights as they are now, compiled."""
        if self.compiled and not self.teacher.compiled:
            self.teacher.compile_from_config(keras.Model.get_compile_config(self))
        return self.teacher

    def get_config(self):
        momentum = keras.saving.serialize_keras_object(self._given_momentum)
        own = {"momentum": momentum, "teacher_statistics": self.teacher_statistics}
        return {**super().get_config(), **own}


def _copy(model):
    with model.distribute_strategy.scope():
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    # Of a layer with a seed of its own, the copy would draw the same noise.
    for state in (each for each in copy.non_trainable_variables if each.name == "seed_generator_state"):
        state.assign(state + 1)
    if hasattr(model, "builder"):
        copy.builder = model.builder
    return copy
