"""Methods around one plain model, which is what is deployed."""

import copy

import keras

from tf_transfer.training.transfer_model import TransferModel


class WholeModel(TransferModel):
    """A `TransferModel` around a plain Keras model, whose weights it changes.

    Args:
        model: `keras.Model`, from inputs to predictions, built.
        **kwargs: `name` of a `keras.Model`.
    """

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(model, keras.Model) or not model.built:
            raise ValueError(
                "`model` must be a built keras.Model, from inputs to predictions. "
                f"Received: {model!r}. A sequential model is built when it starts with `keras.Input(shape)`."
            )
        self.model = model
        self.built = True

    def call(self, inputs, training=False):
        return self.model(inputs, training=training)

    def deployable(self):
        """Returns the model that was given, or made from a file, with its weights as they are now, compiled."""
        if self.compiled and not self.model.compiled:
            self.model.compile_from_config(keras.Model.get_compile_config(self))
        return self.model

    def export(self, filepath, **kwargs):
        """Exports `deployable()`, as `keras.Model.export` does."""
        return self.deployable().export(filepath, **kwargs)

    def get_config(self):
        return {"name": self.name, "model": keras.saving.serialize_keras_object(self.model)}

    @classmethod
    def from_config(cls, config):
        # Keras changes what it makes a model of.
        model = keras.saving.deserialize_keras_object(copy.deepcopy(config["model"]))
        return cls(**{**config, "model": model})
