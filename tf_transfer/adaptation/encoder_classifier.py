"""What methods that train an encoder and a classifier share: the deployed model, and its way in and out of files."""

import keras

from tf_transfer.adaptation.terms import deserialized
from tf_transfer.data.domain_streams import is_pair
from tf_transfer.training import TransferModel
from tf_transfer.training.graphs import graph_of


class EncoderClassifier(TransferModel):
    """An encoder and a classifier as one model, of which the plain, deployable one can be had.

    Args:
        encoder: Functional or sequential `keras.Model`, from inputs to features of shape `(batch, ...)`.
        classifier: Functional or sequential `keras.Model`, from features to predictions.
        **kwargs: `name` of a `keras.Model`.
    """

    def __init__(self, encoder, classifier, **kwargs):
        super().__init__(**kwargs)
        _check_fit(encoder, classifier)
        self.encoder = encoder
        self.classifier = classifier
        self.built = True

    def call(self, inputs, training=False):
        inputs = inputs["source"] if is_pair(inputs) else inputs
        return self.classify(self.encoder(inputs, training=training), training)

    def classify(self, features, training=None):
        """Returns the deployed model's predictions for features."""
        return self.classifier(features, training=training)

    def deployable(self):
        """Returns the plain Keras model that was trained: encoder and classifier, sharing their weights, compiled.

        Example:

        >>> encoder = keras.Sequential([keras.Input((2,), name="point"), keras.layers.Dense(8)])
        >>> classifier = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, activation="softmax")])
        >>> tft.DomainAdapter(encoder, classifier, [tft.losses.CORAL()]).deployable().output_shape
        (None, 3)
        """
        plain = keras.Model(graph_of(self.encoder).input, self._deployed_outputs(), name=f"{self.name}_deployable")
        if self.compiled:
            # Keras' own entries: a method may have further ones, which mean nothing to a plain model.
            plain.compile_from_config(keras.Model.get_compile_config(self))
        if hasattr(self, "builder"):
            plain.builder = self.builder
        return plain

    def _deployed_outputs(self):
        features = self.encoder.outputs[0]
        names = [each.name for model in (self.encoder, self.classifier) for each in _operations(model)]
        # Called by `call`, a model's layers become part of the graph one by one, with their names.
        return self.classifier.call(features) if len(set(names)) == len(names) else self.classify(features)

    def export(self, filepath, **kwargs):
        """Exports `deployable()`, as `keras.Model.export` does."""
        return self.deployable().export(filepath, **kwargs)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {"name": self.name, "encoder": serialize(self.encoder), "classifier": serialize(self.classifier)}

    @classmethod
    def from_config(cls, config):
        return cls(**deserialized(config))


def check_pair(inputs, model):
    """Raises a `ValueError` for a training batch that is no pair of domains."""
    if not is_pair(inputs):
        raise ValueError(
            f"`{type(model).__name__}.fit` takes pairs of domains, batches ({{'source': x_s, 'target': x_t}}, y_s). "
            "Received other inputs. Make pairs with `tft.data.pair_domains(source, target, batch_size=64)`."
        )


def _operations(model):
    return graph_of(model).operations


def _check_fit(encoder, classifier):
    for model, name in ((encoder, "encoder"), (classifier, "classifier")):
        if not isinstance(model, keras.Model) or not getattr(model, "outputs", None) or len(model.outputs) != 1:
            raise ValueError(
                f"`{name}` must be a functional or built sequential keras.Model with one output. Received: {model!r}. "
                "A sequential model is built when it starts with `keras.Input(shape)`."
            )
    if len(classifier.inputs) != 1 or not _compatible(encoder.outputs[0].shape, classifier.inputs[0].shape):
        raise ValueError(
            "`classifier` must take what `encoder` gives, as its only input. Received: features of shape "
            f"{tuple(encoder.outputs[0].shape)} for inputs of shape {[tuple(x.shape) for x in classifier.inputs]}."
        )
    if is_pair(graph_of(encoder).input):
        raise ValueError(
            "The inputs of `encoder` can't be named 'source' and 'target': these name the two domains in a batch."
        )


def _compatible(one, other):
    return len(one) == len(other) and all(a == b or None in (a, b) for a, b in zip(one, other))
