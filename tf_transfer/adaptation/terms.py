"""Terms of a domain-adaptation objective: what a method adds to the loss on the labelled source."""

from typing import Any, NamedTuple

import keras
from keras import ops

from tf_transfer import schedules
from tf_transfer.losses import DomainLoss


class DomainOutputs(NamedTuple):
    """What the encoder and the classifier say of one domain's batch.

    Attributes:
        features: Tensor `(batch, ...)`, from the encoder.
        predictions: Tensor `(batch, ...)`, from the classifier; None for a target that no term asked about.
        logits: Float32 tensor `(batch, num_classes)`, or None as above, or when no term wants logits.
    """

    features: Any
    predictions: Any = None
    logits: Any = None


class DomainBatch(NamedTuple):
    """A batch of pairs as terms see it.

    Attributes:
        source: `DomainOutputs` of the source.
        target: `DomainOutputs` of the target.
        labels: Labels of the source as given to `fit`: integers or one-hot.

    Example:

    >>> batch = tft.adaptation.DomainBatch(tft.adaptation.DomainOutputs(np.zeros((2, 3))),
    ...                                    tft.adaptation.DomainOutputs(np.ones((2, 3))))
    >>> batch.target.features.shape, batch.target.logits is None
    ((2, 3), True)
    """

    source: DomainOutputs
    target: DomainOutputs
    labels: Any = None


class DomainTerm(keras.layers.Layer):
    """A part of a `DomainAdapter`'s objective that has weights of its own, such as a discriminator.

    Subclass it for a new one: `connect` makes the weights, `objective` gives the value.

    Args:
        weight: Float of at least 0 or a schedule, how much the term moves the encoder. Defaults to 1.
        **kwargs: `name` and `dtype` of a `keras.layers.Layer`. The name is that of its entry in the history.

    Attributes:
        weight: The variable that holds the current weight, once the term is part of a model. A callback may set it
            when it was given as a number; a schedule sets it at each step.
        reads: "features", "predictions" (features and predictions) or "logits" (and logits), of both domains.
        moves_classifier: Boolean, whether its gradient reaches the classifier, too. Defaults to False.

    Example:

    >>> term = tft.adaptation.DomainAdversary(weight=tft.schedules.dann())
    >>> model = tft.DomainAdapter(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]),
    ...                           keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), terms=[term])
    >>> float(term.weight)
    0.0
    """

    reads = "features"
    moves_classifier = False

    def __init__(self, weight=1.0, **kwargs):
        super().__init__(**kwargs)
        self.schedule = schedules.get(weight, "weight", minimum=0.0)
        self._given_weight = weight
        self.weight = None

    def connect(self, encoder, classifier):
        """Makes the weights of the term for the models it will work with; sets `weight`."""
        self.weight = self._make_weight()
        self.built = True

    def objective(self, batch):
        """Returns what the term adds to the objective, and a dict of further values for the logs.

        Args:
            batch: `DomainBatch`.

        Returns:
            A float32 scalar, and a dict of float32 scalars by name (see `part_names`).
        """
        raise NotImplementedError(f"{type(self).__name__} must define `objective`.")

    @property
    def part_names(self):
        """The entries of the logs: `NAME_loss` first."""
        return [f"{self.name}_loss"]

    def follow(self, progress):
        """Sets the weight for this step, where a schedule says what it is."""
        if isinstance(self._given_weight, schedules.Schedule):
            self.weight.assign(self.schedule(progress))

    def _make_weight(self):
        initial = keras.initializers.Constant(float(self.schedule(0.0)))
        return self.add_weight(
            shape=(), dtype="float32", initializer=initial, trainable=False, autocast=False, name="weight"
        )

    def get_config(self):
        return {**super().get_config(), "weight": keras.saving.serialize_keras_object(self._given_weight)}

    @classmethod
    def from_config(cls, config):
        return cls(**deserialized(config))


@keras.saving.register_keras_serializable(package="tf_transfer")
class DiscrepancyTerm(DomainTerm):
    """A `DomainLoss` as a term: weight times the loss between source and target.

    A `DomainAdapter` makes it of the losses that it is given.

    Args:
        loss: A `tft.losses.DomainLoss`; its weight and name are the term's.
        **kwargs: `dtype` of a `keras.layers.Layer`.

    Example:

    >>> tft.adaptation.DiscrepancyTerm(tft.losses.CORAL(0.5)).part_names
    ['coral_loss']
    """

    def __init__(self, loss, **kwargs):
        super().__init__(loss.weight, **{"name": loss.name, **kwargs})
        self.loss = loss
        self.supports_jit = loss.supports_jit
        self.moves_classifier = loss.on != "features"
        self.reads = {"features": "features", "features_and_probabilities": "logits"}.get(loss.on, "logits")

    def objective(self, batch):
        source, target = batch.source, batch.target
        if self.loss.on == "features":
            value = self.loss(source.features, target.features)
        elif self.loss.on == "logits":
            value = self.loss(source.logits, target.logits)
        elif self.loss.on == "labelled":
            labels = one_hot(batch.labels, source.logits.shape[-1])
            value = self.loss((source.features, labels), (target.features, target.logits))
        else:
            value = self.loss(*((each.features, ops.softmax(each.logits)) for each in batch[:2]))
        return self.weight * value, {self.part_names[0]: value}

    def get_config(self):
        base = keras.layers.Layer.get_config(self)
        return {**base, "loss": keras.saving.serialize_keras_object(self.loss)}


def as_term(term):
    """Returns a `DomainTerm` for a term or a loss, or raises."""
    if isinstance(term, DomainTerm):
        return term
    if isinstance(term, DomainLoss):
        return DiscrepancyTerm(term)
    raise TypeError(
        "A term must be a loss between domains from `tft.losses`, such as tft.losses.MMD(1.0), or a "
        f"`tft.adaptation.DomainTerm`. Received: {term!r}."
    )


def one_hot(labels, num_classes):
    """Returns float32 labels `(batch, num_classes)` for integers `(batch,)` or `(batch, 1)`, or one-hot ones."""
    if len(labels.shape) == 2 and labels.shape[-1] == num_classes and num_classes > 1:
        return ops.cast(labels, "float32")
    return ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), num_classes)


def deserialized(config):
    """Returns a configuration with the Keras objects in it made: models, losses, schedules, lists of them."""
    return {name: _object(value) for name, value in config.items()}


def _object(value):
    if isinstance(value, list):
        return [_object(item) for item in value]
    if isinstance(value, dict) and "class_name" in value and "config" in value:
        return keras.saving.deserialize_keras_object(value)
    return value
