"""Builders of text models: raw strings in, scores or values out."""

import dataclasses

import keras

from tf_transfer import _checks
from tf_transfer.backbones import load_text_backbone
from tf_transfer.backbones.text import SOURCES, takes_strings
from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.targets import ClassifierFields, RegressorFields
from tf_transfer.builders.text_encoder import ARCHITECTURES, TextEncoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextBuilder(BackboneBuilder):
    """The fields that text builders share.

    The input is "text", strings of shape `(batch,)`, and the vocabulary is in the graph, so that what is served takes
    what people write. The tokenizer is the first part of the backbone: the head never sees strings, features are cached
    by texts, and `tft.backbones.split_at_backbone`, regularizers and methods of adaptation find one backbone, as for
    images. Give `fit` and `predict` an object array, a tensor or a dataset of strings; Keras does not take lists, nor
    NumPy's arrays of a fixed number of letters.

    Args:
        backbone: "hub:HANDLE", "keras_hub:PRESET", "file:MODEL.keras", as in `tft.backbones.load_text_backbone`; a
            `keras.Model` from strings to features, as `tft.pretrain_text` returns; or the architecture of a
            `tft.TextEncoder`, "transformer", "cnn" or "mean", which starts at random. Defaults to "mean".
        backbone_options: Dict, further arguments of `load_text_backbone`, or fields of the `TextEncoder`, such as
            `{"word_vectors": "glove.6B.100d.txt"}`.
        **fields: Those of `BackboneBuilder`: trainable, batch_norm, hidden_units, dropout, l2, regularizer,
            learning_rate, seed. `trainable` defaults to True here for a `TextEncoder` that starts at random.
    """

    backbone: str | keras.Model = "mean"
    backbone_options: dict = dataclasses.field(default_factory=dict)
    trainable: bool | int | float | str | tuple | dict | object | None = None

    def __post_init__(self):
        if self.trainable is None:
            self._set(trainable=self.backbone in ARCHITECTURES)
        super().__post_init__()
        # A file has lists where a field has a tuple.
        options = {key: tuple(each) if isinstance(each, list) else each for key, each in self.backbone_options.items()}
        self._set(backbone_options=options)
        if isinstance(self.backbone, keras.Model):
            if not takes_strings(self.backbone):
                shapes = [(spec.dtype, tuple(spec.shape)) for spec in getattr(self.backbone, "inputs", None) or []]
                raise ValueError(f"`backbone` must take strings of shape (batch,). Received: a model of {shapes}.")
        elif self.backbone in ARCHITECTURES:
            self._encoder()
        elif not str(self.backbone).startswith(SOURCES):
            hint = _checks.did_you_mean(self.backbone, ARCHITECTURES)
            known = [*ARCHITECTURES, *(f"{source}..." for source in SOURCES)]
            raise ValueError(f"`backbone` must be a model or one of {known}. Received: {self.backbone!r}.{hint}")

    def adapt(self, texts, *, verbose=1):
        """Returns a builder that knows the vocabulary of texts; itself, when its backbone has one already.

        Args:
            texts: As in `tft.TextEncoder.adapt`.
            verbose: 0 or 1, whether to print how much of the texts the vocabulary covers. Defaults to 1.
        """
        if self.backbone not in ARCHITECTURES:
            return self
        encoder = self._encoder().adapt(texts, verbose=verbose)
        known = {"vocabulary": encoder.vocabulary, "sequence_length": encoder.sequence_length}
        return dataclasses.replace(self, backbone_options={**self.backbone_options, **known})

    def _encoder(self):
        options = {"seed": self.seed, **self.backbone_options, "architecture": self.backbone}
        return TextEncoder.from_dict(options)

    def _features(self):
        backbone = self.backbone
        if not isinstance(backbone, keras.Model):
            known = self.backbone in ARCHITECTURES
            backbone = self._encoder().build() if known else load_text_backbone(backbone, **self.backbone_options)
        text = keras.Input(tuple(backbone.inputs[0].shape[1:]), dtype="string", name="text")
        return text, backbone(text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextClassifier(ClassifierFields, TextBuilder):
    """Builds a text classifier on a pretrained encoder, or on one that starts at random.

    `build()` returns a compiled `keras.Model`: input "text", strings of shape `(batch,)`, a layer "logits", and the
    output "scores" of shape `(batch, num_classes)` in float32. With a `TextEncoder` it is made of Keras' own layers
    only. Labels are integers, or one-hot when `one_hot_labels` is True; `tft.fine_tune` takes both and converts.

    Args:
        num_classes: Integer, at least 2 (at least 1 with `multi_label`).
        class_names: Sequence of `num_classes` strings, kept for exports and reports. Defaults to none.
        multi_label: Boolean, whether a text may carry several classes; labels are then `(batch, num_classes)` of 0 and
            1, and the scores independent probabilities. Defaults to False.
        label_smoothing: Float in [0, 1), as in `keras.losses.CategoricalCrossentropy`. Defaults to 0.
        backbone: As in `TextBuilder`.
        backbone_options: As in `TextBuilder`.
        trainable: As in `TextBuilder`.
        **fields: Those of `BackboneBuilder`: batch_norm, hidden_units, dropout, l2, regularizer, learning_rate, seed.

    Raises:
        ValueError: For a field that can't be, before anything is built.

    Example:

    >>> texts, labels = np.array(["a good film", "a bad film"], object), np.array([1, 0])
    >>> builder = tft.TextClassifier(num_classes=2, backbone_options={"dim": 8}).adapt(texts, verbose=0)
    >>> model = builder.build()
    >>> model.input.name, model.output_names, model.output_shape
    ('text', ['scores'], (None, 2))
    >>> history = model.fit(texts, labels, epochs=60, verbose=0)
    >>> model.predict(tf.constant(["good", "bad"]), verbose=0).argmax(-1).tolist()
    [1, 0]
    >>> tft.TextClassifier.from_yaml(builder.to_yaml()) == builder
    True
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextRegressor(RegressorFields, TextBuilder):
    """Builds a text regressor on a pretrained encoder, or on one that starts at random.

    `build()` returns a compiled `keras.Model`: input "text" as in `TextClassifier`, output "predictions" of shape
    `(batch, num_outputs)` in float32 and in the unit of the target. Loss: mean squared error.

    Args:
        num_outputs: Integer, number of values to predict. Defaults to 1.
        target_mean: Float, mean of the training targets, in their unit. Defaults to 0.
        target_std: Float above 0, standard deviation of the training targets, in their unit. Defaults to 1.
        backbone: As in `TextBuilder`.
        backbone_options: As in `TextBuilder`.
        trainable: As in `TextBuilder`.
        **fields: Those of `BackboneBuilder`, as in `TextClassifier`.

    Example:

    >>> builder = tft.TextRegressor(backbone_options={"dim": 8}, target_mean=3.5).adapt(["a good film"], verbose=0)
    >>> builder.build().predict(tf.constant(["good"]), verbose=0).tolist()
    [[3.5]]
    """
