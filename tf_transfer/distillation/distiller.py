"""Distillation as a Keras model: a student that learns from labels and from teachers."""

import threading

import keras

from tf_transfer.distillation.objective import DistillationObjective
from tf_transfer.distillation.signals import inputs_for
from tf_transfer.training import TransferModel


@keras.saving.register_keras_serializable(package="tf_transfer")
class Distiller(TransferModel):
    """Trains a student to do what a teacher does, and to give the right labels.

    Objective: (1 - `weight`) * compiled loss + `weight` * sum of the losses, each times its own weight, +
    regularization of the student. `fit` takes what it would for the student, labels and weights of examples and
    classes, which count in both parts; with `weight=1.0` labels may be missing. `evaluate`, `predict` and
    `validation_data` are those of the student alone.

    Student and teacher may take images of different sizes: give the larger ones, each model gets its own. Features of
    another width or shape are brought to the teacher's by a projector, which is printed, trains along, and is no part
    of `deployable()`. The teacher runs in inference mode and stays as it is, its `trainable` flags too.

    History: `loss` (the whole objective), `classification_loss` (the compiled loss), `NAME_loss` of each loss (before
    its weight), `distillation_weight`, `NAME_temperature` where there is one, and compiled metrics of the student.

    Args:
        student: Built `keras.Model`, trained in place.
        teacher: Built `keras.Model`, or a list of them, whose losses are averaged. For logits that is, up to a
            constant, the loss against the mean of their softened probabilities.
        losses: A loss of `tft.losses` between teacher and student, or a list of them. Defaults to None, which is
            `tft.losses.KnowledgeDistillation(temperature=4.0)`.
        weight: Float in [0, 1] or a schedule, the part of the objective that comes from the teacher. Defaults to 0.9.
        teacher_weights: List of floats of at least 0, how much each of several teachers counts. Defaults to None: the
            same.
        seed: Integer or None, of the projectors' weights. Defaults to None.
        verbose: Boolean, whether to print what projectors were added. Defaults to True.
        **kwargs: `name` of a `keras.Model`.

    Call arguments:
        inputs: As the student takes them, or images of another size.

    Returns:
        The predictions of the student.

    Raises:
        ValueError: When a layer is not found, shapes can't be brought together, or the weight is out of bounds.

    Example:

    >>> teacher, student = (keras.Sequential([keras.Input((2,)), keras.layers.Dense(units, activation="relu"),
    ...                                       keras.layers.Dense(3, activation="softmax")]) for units in (64, 4))
    >>> model = tft.Distiller(student, teacher, [tft.losses.KnowledgeDistillation(temperature=2.0)], weight=0.5)
    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> x = np.random.default_rng(0).normal(size=(32, 2))
    >>> sorted(model.fit(x, np.arange(32) % 3, verbose=0).history)[:3]
    ['accuracy', 'classification_loss', 'distillation_weight']
    >>> model.deployable() is student
    True

    Reference:
        Hinton et al., 2015, https://arxiv.org/abs/1503.02531
    """

    def __init__(
        self,
        student,
        teacher,
        losses=None,
        weight=0.9,
        *,
        teacher_weights=None,
        seed=None,
        verbose=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(student, keras.Model) or not student.built:
            raise ValueError(
                f"`student` must be a built keras.Model. Received: {student!r}. A sequential model is built when it "
                "starts with `keras.Input(shape)`."
            )
        objective = DistillationObjective(student, teacher, losses, weight, teacher_weights, seed, self.add_scheduled)
        self.student = student
        self.teachers = objective.teachers
        self.projectors = objective.projectors
        self._config = {"losses": losses, "weight": weight, "teacher_weights": teacher_weights, "seed": seed}
        # In a function, for Keras would track its models and variables a second time.
        self._objective = lambda: objective
        # Replicas of a strategy are threads; what `call` leaves for `compute_loss` is each one's own.
        self._local = threading.local()
        for name in objective.part_names:
            self.add_part(name)
        if verbose:
            for sentence in objective.describe(student):
                print(sentence)
        self.built = True

    @property
    def distillation_objective(self):
        """The objective, with the variables of its weight and temperatures, for callbacks to read or set."""
        return self._objective()

    def call(self, inputs, training=False):
        own = inputs_for(self.student, inputs["student"] if is_taught(inputs) else inputs)
        if not training:
            return self.student(own, training=False)
        outputs, self._local.shown = self._objective().student.run(self.student, own, training=True)
        return outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not training:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        objective, shown = self._objective(), self._local.shown
        taught = objective.check_cached(x["teacher"]) if is_taught(x) else objective.ask_teachers(x)
        compiled = None if y is None or self.loss is None else self.compiled_loss(y, y_pred, sample_weight)
        regularization = self.regularization(self.student, *self.projectors.values())
        total, parts = objective.total(compiled, regularization, taught, shown, y, sample_weight)
        size = keras.ops.shape(y_pred)[0]
        for name, value in parts.items():
            self.log_part(name, value, training, size)
        return total

    @property
    def trainable_variables(self):
        return self._without_teachers(super().trainable_variables)

    @property
    def trainable_weights(self):
        return self._without_teachers(super().trainable_weights)

    def _without_teachers(self, variables):
        if not hasattr(self, "teachers"):
            return variables
        aside = {id(variable) for teacher in self.teachers for variable in teacher.variables}
        return [variable for variable in variables if id(variable) not in aside]

    def deployable(self):
        """Returns the student, a plain Keras model; compiled as this model is, where it was not compiled yet."""
        if self.compiled and not self.student.compiled:
            self.student.compile_from_config(keras.Model.get_compile_config(self))
        return self.student

    def export(self, filepath, **kwargs):
        """Exports `deployable()`, as `keras.Model.export` does."""
        return self.deployable().export(filepath, **kwargs)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        given = dict(self._config)
        losses = given.pop("losses")
        if losses is not None:
            losses = [serialize(loss) for loss in (losses if isinstance(losses, list | tuple) else [losses])]
        given["weight"] = serialize(given["weight"])
        models = {"student": serialize(self.student), "teacher": [serialize(teacher) for teacher in self.teachers]}
        return {"name": self.name, **models, "losses": losses, **given}

    @classmethod
    def from_config(cls, config):
        # A schedule or a model is a dict, lists hold losses and models.
        restore = keras.saving.deserialize_keras_object
        nested = {name: config[name] for name in ("student", "teacher", "losses", "weight")}
        return cls(**{**config, **{name: restore(value) for name, value in nested.items()}, "verbose": False})


def is_taught(inputs):
    """Returns whether inputs hold what the teachers said about them, as `cache_teacher` makes it."""
    return isinstance(inputs, dict) and set(inputs) == {"student", "teacher"}
