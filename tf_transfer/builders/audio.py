"""Builders of audio models: waveforms in, scores out."""

import dataclasses

import keras

from tf_transfer import _checks
from tf_transfer.backbones import load_audio_backbone
from tf_transfer.backbones.audio import SMALL, on_waveforms
from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.targets import ClassifierFields
from tf_transfer.data import audio_recipe_names, augment_audio


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioBuilder(BackboneBuilder):
    """The fields that audio builders share: the waveform, its spectrogram, and the backbone.

    The input is "waveform", float32 of shape `(batch, num_samples)` in [-1, 1], as `tft.data.AudioFolder` reads it. The
    log-mel spectrogram is the first part of the backbone, in the graph that is served. SpecAugment acts on waveforms
    in the data pipeline (`tft.data.augment_audio`), so that it is in no model and no export, and reaches Hub modules,
    whose spectrograms nobody can get at, too.

    Args:
        backbone: String for `tft.backbones.load_audio_backbone`, or a `keras.Model` from waveforms, or from such
            spectrograms, to features. Defaults to "small_conv".
        weights: As in `tft.backbones.load_audio_backbone`. Defaults to None.
        sample_rate: Integer, samples a second. Defaults to 16000.
        seconds: Float, length of a waveform. Defaults to 1.
        num_mel_bins: Integer, bands of the spectrogram. Defaults to 64.
        frame_seconds: Float, window of one spectrum. Defaults to 0.025.
        step_seconds: Float, time from one spectrum to the next. Defaults to 0.01.
        min_frequency: Float, in hertz, where the lowest band begins. Defaults to 20.
        max_frequency: Float, in hertz, where the highest ends. Defaults to half the sample rate.
        normalization: "example", a pair (mean, deviation) in decibels, or None, as in `tft.backbones.log_mel`. Defaults
            to "example".
        pooling: "avg", "max", or None (feature maps are flattened). Defaults to "avg".
        backbone_options: Dict, further arguments of the backbone, such as `{"output_key": 1}`.
        trainable: As in `BackboneBuilder`. Defaults to True for a network that starts at random, else to False.
        augmentation: Name of a recipe in `tft.data.audio_recipe_names()`, or None. `tft.fine_tune` and the command line
            apply it; for plain `fit` call `builder.augment`. Defaults to "standard".
        **fields: Those of `BackboneBuilder`: batch_norm, hidden_units, dropout, l2, regularizer, learning_rate, seed.
    """

    backbone: str | keras.Model = SMALL
    weights: str | None = None
    sample_rate: int = 16000
    seconds: float = 1.0
    num_mel_bins: int = 64
    frame_seconds: float = 0.025
    step_seconds: float = 0.01
    min_frequency: float = 20.0
    max_frequency: float | None = None
    normalization: str | tuple | None = "example"
    pooling: str | None = "avg"
    backbone_options: dict = dataclasses.field(default_factory=dict)
    trainable: bool | int | float | str | tuple | dict | object | None = None
    augmentation: str | None = "standard"

    def __post_init__(self):
        if self.trainable is None:
            starts_at_random = isinstance(self.backbone, str) and not self.backbone.startswith(("hub:", "file:"))
            self._set(trainable=starts_at_random and self.weights is None)
        super().__post_init__()
        _checks.integer(self.sample_rate, "sample_rate", 1)
        for name in ("seconds", "frame_seconds", "step_seconds"):
            _checks.positive(getattr(self, name), name)
        _checks.integer(self.num_mel_bins, "num_mel_bins", 1)
        if isinstance(self.normalization, list):
            self._set(normalization=tuple(self.normalization))
        if self.augmentation is not None:
            _checks.one_of(self.augmentation, "augmentation", audio_recipe_names())

    @property
    def num_samples(self):
        """Samples of a waveform."""
        return round(self.seconds * self.sample_rate)

    def augment(self, dataset):
        """Returns the dataset of batches with the builder's augmentation applied, a new draw each epoch."""
        return augment_audio(dataset, self.augmentation, sample_rate=self.sample_rate, seed=self.seed)

    def _log_mel_options(self):
        names = ("num_mel_bins", "frame_seconds", "step_seconds", "min_frequency", "max_frequency", "normalization")
        return {name: getattr(self, name) for name in names}

    def _features(self):
        waveform, options = keras.Input((self.num_samples,), name="waveform"), self._log_mel_options()
        if isinstance(self.backbone, keras.Model):
            return waveform, on_waveforms(self.backbone, self.num_samples, self.sample_rate, options)(waveform)
        backbone = load_audio_backbone(
            self.backbone,
            self.weights,
            self.sample_rate,
            self.num_samples,
            self.pooling,
            log_mel_options=options,
            seed=self.seed,
            **self.backbone_options,
        )
        return waveform, backbone(waveform)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioClassifier(ClassifierFields, AudioBuilder):
    """Builds a classifier of sound.

    `build()` returns a compiled `keras.Model`: input "waveform" of shape `(batch, num_samples)`, float32 in [-1, 1], a
    layer "logits", and the output "scores" of shape `(batch, num_classes)` in float32. Unless the backbone is a Hub
    module it is made of Keras' own layers only. Labels are integers, or one-hot when `one_hot_labels` is True;
    `tft.fine_tune` takes both and converts.

    Args:
        num_classes: Integer, at least 2 (at least 1 with `multi_label`).
        class_names: Sequence of `num_classes` strings, kept for exports and reports. Defaults to none.
        multi_label: Boolean, whether a recording may carry several classes. Defaults to False.
        label_smoothing: Float in [0, 1), as in `keras.losses.CategoricalCrossentropy`. Defaults to 0.
        **fields: Those of `AudioBuilder`: backbone, weights, sample_rate, seconds, num_mel_bins, frame_seconds,
            step_seconds, min_frequency, max_frequency, normalization, pooling, backbone_options, trainable,
            augmentation, and of `BackboneBuilder`: batch_norm, hidden_units, dropout, l2, regularizer, learning_rate,
            seed.

    Raises:
        ValueError: For a field that can't be, before anything is built.

    Example:

    >>> builder = tft.AudioClassifier(num_classes=10, sample_rate=8000, num_mel_bins=40)
    >>> model = builder.build()
    >>> model.input.name, model.input_shape, model.output_names, model.output_shape
    ('waveform', (None, 8000), ['scores'], (None, 10))
    >>> tft.blocks(model)
    ['conv_1', 'conv_2', 'conv_3', 'conv_4']
    >>> tft.AudioClassifier.from_yaml(builder.to_yaml()) == builder
    True
    """
