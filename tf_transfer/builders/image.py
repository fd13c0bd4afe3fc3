"""Builders of image models: raw images in 0..255 in, scores or values out."""

import dataclasses

import keras

from tf_transfer import _checks
from tf_transfer.backbones import load_backbone, reinitialize
from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.targets import ClassifierFields, RegressorFields
from tf_transfer.data import augment, mixes_labels, recipe_names


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageBuilder(BackboneBuilder):
    """The fields that image builders share: the backbone, what trains in it, and the head.

    Args:
        backbone: String for `tft.load_backbone`, or a `keras.Model` from raw images to features.
        weights: "imagenet", None for random ones (from `seed`, when there is one), or the path of a weight file.
        input_shape: Tuple `(height, width, channels)` in pixels. Defaults to what the backbone was trained at.
        pooling: "avg", "max", or None (feature maps are flattened). Defaults to "avg".
        backbone_options: Dict, further arguments of the backbone, such as `{"alpha": 0.35}`.
        augmentation: Name of a recipe in `tft.data.recipe_names()`, or None. It acts in the data pipeline, never in
            the model: `tft.fine_tune` and the command line apply it; for plain `fit` call `builder.augment`.
        seed: Integer or None, of the head's hidden kernels, the dropout, the augmentation, and of the backbone with
            `weights=None`. Defaults to None.
        **fields: Those of `BackboneBuilder`: trainable, batch_norm, hidden_units, dropout, l2, regularizer,
            learning_rate.
    """

    backbone: str | keras.Model = "mobilenet_v2"
    weights: str | None = "imagenet"
    input_shape: tuple | None = None
    pooling: str | None = "avg"
    backbone_options: dict = dataclasses.field(default_factory=dict)
    augmentation: str | None = "standard"

    def __post_init__(self):
        super().__post_init__()
        if self.input_shape is not None:
            self._set(input_shape=_checks.image_shape(self.input_shape))
        if self.augmentation is not None:
            _checks.one_of(self.augmentation, "augmentation", recipe_names())

    @property
    def mixes_labels(self):
        """Whether the augmentation mixes the labels of examples, which are one-hot then."""
        return mixes_labels(self.augmentation)

    def augment(self, dataset):
        """Returns the dataset of batches with the builder's augmentation applied, a new draw each epoch."""
        return augment(dataset, self.augmentation, seed=self.seed, num_classes=getattr(self, "num_classes", None))

    def _features(self):
        backbone = self.backbone
        if not isinstance(backbone, keras.Model):
            backbone = load_backbone(backbone, self.weights, self.input_shape, self.pooling, **self.backbone_options)
            if self.weights is None and self.seed is not None:
                reinitialize(backbone, self.seed)
        image = keras.Input(backbone.input_shape[1:], name="image")
        return image, backbone(image)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageClassifier(ClassifierFields, ImageBuilder):
    """Builds an image classifier on a pretrained backbone.

    `build()` returns a compiled `keras.Model`: input "image" of shape `(batch, height, width, channels)` with raw
    values in 0..255, a layer "logits", and the output "scores" of shape `(batch, num_classes)` in float32. On a
    backbone of `keras.applications` it is made of Keras' own layers only. Labels are integers, or one-hot when
    `one_hot_labels` is True; `tft.fine_tune` takes both and converts.

    Args:
        num_classes: Integer, at least 2 (at least 1 with `multi_label`).
        class_names: Sequence of `num_classes` strings, kept for exports and reports. Defaults to none.
        multi_label: Boolean, whether an image may carry several classes; labels are then `(batch, num_classes)` of
            0 and 1, and the scores independent probabilities. Defaults to False.
        label_smoothing: Float in [0, 1), as in `keras.losses.CategoricalCrossentropy`. Defaults to 0.
        **fields: Those of `ImageBuilder`: backbone, weights, input_shape, pooling, backbone_options, augmentation,
            and of `BackboneBuilder`: trainable, batch_norm, hidden_units, dropout, l2, regularizer, learning_rate,
            seed. The first four stand in `ClassifierFields`, which classifiers of other inputs share.

    Raises:
        ValueError: For a field that can't be, before anything is built.

    Example:

    >>> builder = tft.ImageClassifier(num_classes=5, weights=None, input_shape=(32, 32, 3),
    ...                               backbone_options={"alpha": 0.35})
    >>> model = builder.build()
    >>> model.input.name, model.output_names, model.output_shape
    ('image', ['scores'], (None, 5))
    >>> tft.ImageClassifier.from_yaml(builder.to_yaml()) == builder
    True
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageRegressor(RegressorFields, ImageBuilder):
    """Builds an image regressor on a pretrained backbone.

    `build()` returns a compiled `keras.Model`: input "image" as in `ImageClassifier`, output "predictions" of shape
    `(batch, num_outputs)` in float32 and in the unit of the target. Loss: mean squared error.

    Args:
        num_outputs: Integer, number of values to predict. Defaults to 1.
        target_mean: Float, mean of the training targets, in their unit. With `target_std` it puts the scale of the
            target into the graph, so that the head learns a standardized one. Defaults to 0.
        target_std: Float above 0, standard deviation of the training targets, in their unit. Defaults to 1.
        **fields: Those of `ImageBuilder`, as in `ImageClassifier`. The first three stand in `RegressorFields`.

    Example:

    >>> builder = tft.ImageRegressor(weights=None, input_shape=(32, 32, 1), backbone_options={"alpha": 0.35},
    ...                              target_mean=40.0, target_std=12.0)
    >>> builder.build().output_names
    ['predictions']
    """
