"""A candidate with a frozen backbone, trained on features that were made once instead of on images."""

import dataclasses

import keras

from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.targets import ClassifierFields

_HEAD = ("num_classes", "class_names", "label_smoothing", "hidden_units", "dropout", "l2", "learning_rate")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureClassifier(ClassifierFields, BackboneBuilder):
    """Builds a head like that of another classifier, on features.

    Args:
        feature_shape: Tuple, the shape of the features of one example.
        **fields: Those of `BackboneBuilder` and `ClassifierFields`.
    """

    feature_shape: tuple

    def _features(self):
        features = keras.Input(self.feature_shape, name="features")
        # With its mean 0 and variance 1 it changes nothing; a backbone is told by its weights, of which this has some.
        passing = keras.Model(features, keras.layers.Normalization()(features), name="passing")
        return features, passing(features)


def on_features(candidate, features):
    """Returns a `Candidate` with a frozen backbone as one that takes the features that this backbone gives."""
    fields = {name: getattr(candidate.builder, name) for name in _HEAD}
    builder = FeatureClassifier(**fields, feature_shape=tuple(features.shape[1:]))
    return dataclasses.replace(candidate, builder=builder)
