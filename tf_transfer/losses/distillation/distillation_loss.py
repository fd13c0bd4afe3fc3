"""What losses between a teacher and a student share: one precision, one value an example, a constant teacher."""

import keras
import tensorflow as tf

from tf_transfer import _checks, schedules


@keras.saving.register_keras_serializable(package="tf_transfer")
class DistillationLoss(keras.losses.Loss):
    """A loss between what a teacher and a student make of the same examples; a part of a `Distiller`'s objective.

    Called as `loss(teacher, student)` it gives the unweighted value. The teacher gets no gradient. To write your own,
    subclass it, define `call(teacher, student)` with one value an example, shape `(batch,)`, extend `get_config` by
    your arguments, and register the class. A loss that is not a mean over examples (a correlation over the batch, say)
    returns its value once for each example.

    Weights of examples are Keras': the sum of weight times value, divided by the number of examples, not by the sum of
    the weights. Losses that compare pairs of examples weigh the first of the pair; all examples are partners. Masks of
    sequences are not looked at.

    Class attributes to set in a subclass:

    - `on`: what a `Distiller` hands over for each side. "features" (the default): the outputs of two layers. "logits":
      the logits of both models, whether these end in a softmax or not. "labelled_logits": the tuple of the teacher's
      logits and one-hot labels, and the student's logits.
    - `needs_projector`: True when both sides must have one shape, so that a `Distiller` puts a learnt projector behind
      the student's layer where widths differ. False for losses to which the width is nothing.
    - `temperature`: None but for losses that have one, see `KnowledgeDistillation`.
    - `supports_jit`: False when the loss cannot run under XLA (`jit_compile=True`).

    Args:
        weight: Number of at least 0 or a schedule from `tft.schedules`, how much the loss counts among the losses of a
            `Distiller`. Defaults to 1.
        teacher_layer: String, the layer of the teacher whose output is looked at, nested ones by their path, such as
            "backbone/block_3/add". Defaults to None, which is the teacher's output. Losses on logits take none.
        student_layer: The same of the student. Defaults to None.
        reduction: String, how the values of the examples are combined, see `keras.losses.Loss`; None gives them one by
            one. Defaults to "sum_over_batch_size", their mean.
        name: String, the name of the loss in the history. Defaults to "distillation_loss".
        dtype: "float32" or "float64", the type the loss is computed in, whatever the type of its inputs (also under
            mixed precision). Defaults to None, which is "float32".

    Call arguments:
        teacher: What `on` says, of the teacher.
        student: The same of the student, for the same examples in the same order.
        sample_weight: Float tensor of shape `(batch,)` or `(batch, 1)`. Defaults to None.

    Returns:
        A scalar of type `dtype`.

    Example:

    >>> @keras.saving.register_keras_serializable(package="mine")
    ... class SignMismatch(tft.losses.DistillationLoss):
    ...     def call(self, teacher, student):
    ...         return tf.reduce_mean(tf.nn.relu(-teacher * student), axis=-1)
    >>> float(SignMismatch(weight=0.1, teacher_layer="block_3")(np.ones((4, 2)), -2.0 * np.ones((4, 2))))
    2.0
    """

    on = "features"
    needs_projector = False
    temperature = None
    supports_jit = True

    def __init__(
        self,
        *,
        weight=1.0,
        teacher_layer=None,
        student_layer=None,
        reduction="sum_over_batch_size",
        name="distillation_loss",
        dtype=None,
    ):
        dtype = _checks.one_of(dtype or "float32", "dtype", ["float32", "float64"])
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        schedule = schedules.get(weight, "weight", minimum=0.0)
        self.weight = weight if weight is schedule else float(weight)
        self.teacher_layer = self._checked_layer(teacher_layer, "teacher_layer")
        self.student_layer = self._checked_layer(student_layer, "student_layer")

    def __call__(self, teacher, student, sample_weight=None):
        self._check_present(teacher, student)
        teacher = keras.tree.map_structure(lambda x: tf.stop_gradient(self._as_tensor(x)), teacher)
        # A copy leaves the mask of a sequence behind, which Keras would multiply with values of whole examples.
        student = keras.tree.map_structure(lambda x: tf.identity(self._as_tensor(x)), student)
        return super().__call__(teacher, student, self._one_an_example(sample_weight))

    def _check_present(self, teacher, student):
        for name, batch in (("teacher", teacher), ("student", student)):
            if batch is None:
                raise ValueError(f"{type(self).__name__} compares two batches: `{name}` must be one. Received: None.")
        if any(part is None for part in keras.tree.flatten(teacher)):
            raise ValueError(
                f"{type(self).__name__} needs labels beside the teacher's logits. Received: None. Give labels, or "
                "choose a loss that needs none, such as "
                "tft.losses.DecoupledKnowledgeDistillation(target='teacher')."
            )

    def _as_tensor(self, batch):
        return keras.ops.convert_to_tensor(batch, dtype=self.dtype)

    def _one_an_example(self, sample_weight):
        if sample_weight is None:
            return None
        sample_weight = self._as_tensor(sample_weight)
        if sample_weight.shape.rank > 1 and tuple(sample_weight.shape[1:]) != (1,):
            raise ValueError(
                f"`sample_weight` must be one number an example, of shape (batch,). Received: "
                f"{tuple(sample_weight.shape)}. Give each example the mean of its weights."
            )
        return sample_weight

    def _checked_layer(self, layer, name):
        if layer is None:
            return None
        if self.on != "features":
            raise ValueError(
                f"{type(self).__name__} compares the logits of both models and takes no `{name}`. Leave it out, or "
                f"choose a loss on features, such as tft.losses.SimilarityPreserving. Received: {name}={layer!r}."
            )
        if not isinstance(layer, str) or not layer:
            raise ValueError(
                f"`{name}` must be the path of a layer, such as 'block_3' or 'backbone/block_3/add', or None for the "
                f"model's output. Received: {name}={layer!r}."
            )
        return layer

    def get_config(self):
        own = {name: getattr(self, name) for name in ("teacher_layer", "student_layer", "dtype")}
        return {**super().get_config(), "weight": keras.saving.serialize_keras_object(self.weight), **own}

    @classmethod
    def from_config(cls, config):
        restore = keras.saving.deserialize_keras_object
        return cls(**{name: restore(value) if isinstance(value, dict) else value for name, value in config.items()})
