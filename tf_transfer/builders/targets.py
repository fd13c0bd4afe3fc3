"""What builders are asked to predict: classes or numbers, whatever comes in."""

import dataclasses

import keras

from tf_transfer import _checks
from tf_transfer.builders.base import Builder
from tf_transfer.builders.heads import classification_head, regression_head


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierFields(Builder):
    """The fields of classifiers, their head and their objective; comes in front of a builder with an input.

    Args:
        num_classes: Integer, at least 2 (at least 1 with `multi_label`).
        class_names: Sequence of `num_classes` strings, kept for exports and reports. Defaults to none.
        multi_label: Boolean, whether an example may carry several classes; labels are then `(batch, num_classes)` of
            0 and 1, and the scores independent probabilities. Defaults to False.
        label_smoothing: Float in [0, 1), as in `keras.losses.CategoricalCrossentropy`. Defaults to 0.
    """

    num_classes: int
    class_names: tuple | None = None
    multi_label: bool = False
    label_smoothing: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        _checks.integer(self.num_classes, "num_classes", 1 if self.multi_label else 2)
        _checks.number(self.label_smoothing, "label_smoothing", 0.0, 1.0 - 1e-6)
        if self.multi_label and self.mixes_labels:
            raise ValueError(
                f"augmentation={self.augmentation!r} mixes one-hot labels; it does not go with multi_label."
            )
        if self.class_names is not None:
            self._set(class_names=tuple(str(name) for name in self.class_names))
            if len(set(self.class_names)) != self.num_classes:
                raise ValueError(
                    f"`class_names` must be {self.num_classes} different names, one a class. "
                    f"Received: class_names={list(self.class_names)}."
                )

    @property
    def one_hot_labels(self):
        """Whether the compiled loss wants labels of shape `(batch, num_classes)` instead of integers."""
        return self.multi_label or self.label_smoothing > 0 or self.mixes_labels

    def _head(self, features):
        return classification_head(features, self.num_classes, multi_label=self.multi_label, **self._head_options())

    def _objective(self):
        if self.multi_label:
            loss = keras.losses.BinaryCrossentropy(label_smoothing=self.label_smoothing)
            return loss, [
                keras.metrics.BinaryAccuracy(name="accuracy"),
                keras.metrics.AUC(multi_label=True, name="auc"),
            ]
        if self.one_hot_labels:
            loss = keras.losses.CategoricalCrossentropy(label_smoothing=self.label_smoothing)
            return loss, [keras.metrics.CategoricalAccuracy(name="accuracy")]
        return keras.losses.SparseCategoricalCrossentropy(), [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegressorFields(Builder):
    """The fields of regressors, their head and their objective, mean squared error.

    Args:
        num_outputs: Integer, number of values to predict. Defaults to 1.
        target_mean: Float, mean of the training targets, in their unit. With `target_std` it puts the scale of the
            target into the graph, so that the head learns a standardized one. Defaults to 0.
        target_std: Float above 0, standard deviation of the training targets, in their unit. Defaults to 1.
    """

    num_outputs: int = 1
    target_mean: float = 0.0
    target_std: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        _checks.integer(self.num_outputs, "num_outputs", 1)
        _checks.number(self.target_mean, "target_mean")
        if _checks.number(self.target_std, "target_std", 0.0) == 0.0:
            raise ValueError("`target_std` must be above 0: a target that never varies needs no model. Received: 0.")
        if self.mixes_labels:
            raise ValueError(f"augmentation={self.augmentation!r} mixes class labels; a regressor has none.")

    def _head(self, features):
        return regression_head(
            features,
            self.num_outputs,
            target_mean=self.target_mean,
            target_std=self.target_std,
            **self._head_options(),
        )

    def _objective(self):
        return keras.losses.MeanSquaredError(), [keras.metrics.MeanAbsoluteError(name="mae")]
