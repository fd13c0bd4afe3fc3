"""A tokenizer of another library as a part of a model that can be saved and opened again."""

import json
import tempfile
import weakref
from pathlib import Path

import keras
import tensorflow as tf

from tf_transfer.layers import archives

# What a configuration of today's process stands for, by its fingerprint: it does not hold vocabularies.
_ALIVE = weakref.WeakValueDictionary()


@keras.saving.register_keras_serializable(package="tf_transfer")
class TextPreprocessor(keras.layers.Layer):
    """Runs a layer that turns strings into numbers, such as a preprocessor of KerasHub, in the graph of a model.

    Keras runs each layer once while it opens a file, before it reads vocabularies, which KerasHub's tokenizers refuse.
    This layer remembers the shapes of what comes out and says them instead. The vocabulary is in the `.keras` file, and
    in what is exported. A copy of the layer (`keras.models.clone_model`, `tft.LoRA.merge`) shares the preprocessor,
    whose configuration alone would have no vocabulary.

    Args:
        preprocessor: `keras.layers.Layer` from strings of shape `(batch,)` to a tensor of numbers, or a dict of them.
        outputs: Dict `{"shape": ..., "dtype": ...}` without the batch, or a dict of those by name, what comes out.
            Defaults to None: the preprocessor is asked.

    Call arguments:
        inputs: Tensor of strings, shape `(batch,)`.

    Returns:
        What the preprocessor gives.

    Example:

    >>> words = keras.layers.TextVectorization(vocabulary=["good", "bad"], output_sequence_length=3)
    >>> tft.layers.TextPreprocessor(words)(tf.constant(["a bad film"])).numpy().tolist()
    [[1, 3, 1]]
    """

    def __init__(self, preprocessor, outputs=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(preprocessor, keras.layers.Layer):
            raise ValueError(f"`preprocessor` must be a `keras.layers.Layer`. Received: {preprocessor!r}.")
        self.preprocessor = preprocessor
        self.outputs = _specs(preprocessor(tf.constant(["a"]))) if outputs is None else outputs
        self.supports_jit = False
        self.built = True

    def call(self, inputs):
        return self.preprocessor(inputs)

    def compute_output_spec(self, inputs):
        batch = inputs.shape[0]
        if "shape" in self.outputs:
            return _symbol(batch, self.outputs)
        return {name: _symbol(batch, spec) for name, spec in self.outputs.items()}

    def get_config(self):
        config = {"preprocessor": keras.saving.serialize_keras_object(self.preprocessor), "outputs": self.outputs}
        fingerprint = _fingerprint(self.preprocessor, config["preprocessor"])
        _ALIVE[fingerprint] = self.preprocessor
        return {**super().get_config(), **config, "fingerprint": fingerprint}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        known = _ALIVE.get(config.pop("fingerprint", None))
        made = keras.saving.deserialize_keras_object(config["preprocessor"]) if known is None else known
        return cls(**{**config, "preprocessor": made})


def _fingerprint(preprocessor, config):
    """Returns what tells a preprocessor by its configuration and its files, such as vocabularies."""
    with tempfile.TemporaryDirectory() as folder:
        for number, part in enumerate(preprocessor._flatten_layers()):
            if hasattr(part, "save_assets"):
                place = Path(folder) / str(number)
                place.mkdir()
                part.save_assets(str(place))
        (Path(folder) / "config.json").write_text(json.dumps(config, sort_keys=True, default=str), encoding="utf-8")
        return archives.fingerprint(folder)


def _specs(found):
    if isinstance(found, dict):
        return {name: _specs(tensor) for name, tensor in found.items()}
    return {"shape": list(found.shape[1:]), "dtype": keras.backend.standardize_dtype(found.dtype)}


def _symbol(batch, spec):
    return keras.KerasTensor((batch, *spec["shape"]), dtype=spec["dtype"])
