"""What losses on two domains share: a weight, one precision, one scalar."""

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _checks, schedules


@keras.saving.register_keras_serializable(package="tf_transfer")
class DomainLoss(keras.losses.Loss):
    """A loss on a source batch and a target batch; a term of a `DomainAdapter`.

    Called as `loss(source, target)` it gives the unweighted value, one scalar. To write your own, subclass it, define
    `call(source, target)`, extend `get_config` by your arguments, and register the class. Batches of the two domains
    may differ in size.

    Class attributes to set in a subclass:

    - `on`: what a `DomainAdapter` hands over for each domain. "features" (the default): the encoder's outputs, shape
      `(batch, ...)`. "logits": the classifier's logits, shape `(batch, num_classes)`; losses on logits look at the
      target only, and `source` may be None. "features_and_probabilities": the tuple of both. "labelled": source
      features and one-hot labels, target features and logits.
    - `supports_jit`: False when the loss cannot run under XLA (`jit_compile=True`).

    Args:
        weight: Number of at least 0 or a schedule from `tft.schedules`, how much the loss counts in the objective of a
            `DomainAdapter`. Defaults to 1.
        name: String, the name of the loss in the history. Defaults to "domain_loss".
        dtype: "float32" or "float64", the type the loss is computed in, whatever the type of its inputs (also under
            mixed precision). Defaults to None, which is "float32".

    Call arguments:
        source: What `on` says, of the source batch.
        target: The same of the target batch.

    Returns:
        A scalar of type `dtype`.

    Example:

    >>> @keras.saving.register_keras_serializable(package="mine")
    ... class MeanGap(tft.losses.DomainLoss):
    ...     def call(self, source, target):
    ...         return tf.reduce_sum((tf.reduce_mean(source, 0) - tf.reduce_mean(target, 0)) ** 2)
    >>> float(MeanGap(weight=0.1)(np.zeros((4, 2)), np.ones((8, 2))))
    2.0
    """

    on = "features"
    supports_jit = True

    def __init__(self, weight=1.0, *, name="domain_loss", dtype=None):
        dtype = _checks.one_of(dtype or "float32", "dtype", ["float32", "float64"])
        super().__init__(name=name, reduction=None, dtype=dtype)
        schedule = schedules.get(weight, "weight", minimum=0.0)
        self.weight = weight if weight is schedule else float(weight)

    def __call__(self, source, target, sample_weight=None):
        if sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__} compares two batches as wholes and takes no `sample_weight`. "
                "Leave it out; weights of examples belong to the classification loss."
            )
        if source is None and self.on != "logits":
            raise ValueError(f"{type(self).__name__} compares two domains: `source` must be a batch. Received: None.")
        with keras.name_scope(self.name):
            return self.call(self._as_tensors(source), self._as_tensors(target))

    def _as_tensors(self, batch):
        convert = keras.ops.convert_to_tensor
        return keras.tree.map_structure(lambda x: x if x is None else convert(x, dtype=self.dtype), batch)

    def get_config(self):
        return {"weight": keras.saving.serialize_keras_object(self.weight), "name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        weight = config.get("weight")
        if isinstance(weight, dict):
            config = {**config, "weight": keras.saving.deserialize_keras_object(weight)}
        return cls(**config)


def flat_pair(source, target):
    """Returns the features of both domains as `(batch, dim)`, with equal `dim`."""
    source, target = flat(source, "source"), flat(target, "target")
    if None not in (source.shape[1], target.shape[1]) and source.shape[1] != target.shape[1]:
        raise ValueError(
            "Features of both domains must have the same width. "
            f"Received: source of shape {tuple(source.shape)}, target of shape {tuple(target.shape)}."
        )
    return source, target


def flat(features, name):
    """Returns features of shape `(batch, ...)` as `(batch, dim)`."""
    if not hasattr(features, "shape") or features.shape.rank == 0:
        raise ValueError(f"`{name}` must be one tensor of shape (batch, ...). Received: {name}={features!r}.")
    if features.shape.rank == 2:
        return features
    inner = features.shape[1:]
    width = int(np.prod(inner)) if inner.is_fully_defined() else -1
    return tf.reshape(features, (tf.shape(features)[0], width))


def two_parts(batch, name, what):
    """Returns the two tensors of a `(features, ...)` tuple."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ValueError(f"`{name}` must be a tuple of {what}. Received: {name}={batch!r}.")
    return batch


def class_logits(logits, name="target"):
    """Returns logits of shape `(batch, num_classes)`; one column would make every score of a softmax 1."""
    if not hasattr(logits, "shape") or logits.shape.rank != 2 or logits.shape[1] == 1:
        raise ValueError(
            f"`{name}` must be logits of shape (batch, num_classes) with at least two classes. "
            f"Received: {name}={logits!r}."
        )
    return logits
