"""A candidate with a frozen backbone, trained on features that were made once instead of on images."""

import dataclasses

import keras

from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.targets import ClassifierFields
from tf_transfer.choosing.methods import with_prototypes
from tf_transfer.data import as_dataset, match_labels
from tf_transfer.fine_tuning import warmup_cosine
from tf_transfer.fine_tuning.recompiling import optimizer_like
from tf_transfer.training import StopOnNaN

_HEAD = ("num_classes", "class_names", "label_smoothing", "hidden_units", "dropout", "l2", "learning_rate")
# Nothing can be stopped within an execution.
_MOST_AT_ONCE = 1000


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


def train_on_features(candidate, data, *, seed=0, batch_size=32):
    """Returns the head of a candidate with a frozen backbone, trained from the beginning on features.

    It learns what `tft.fine_tune` would have it learn: the same batches at the same rates. But all of its epochs are
    one to Keras, and hundreds of steps one execution, since between steps on so few numbers nearly all of the time goes
    into what surrounds them.

    Args:
        candidate: `Candidate` whose backbone is frozen.
        data: Pair of arrays, the features that its backbone gives, and the classes.
        seed: Integer. Defaults to 0.
        batch_size: Integer. Defaults to 32.
    """
    fields = {name: getattr(candidate.builder, name) for name in _HEAD}
    builder = FeatureClassifier(**fields, seed=seed, feature_shape=tuple(data[0].shape[1:]))
    model = builder.build()
    if candidate.method == "prototypes":
        return with_prototypes(model, data, batch_size)
    num_epochs, rate = candidate.phases["freeze_epochs"], candidate.phases["learning_rate"]
    batches = as_dataset(data, batch_size=batch_size, shuffle=True, seed=seed).repeat(num_epochs)
    num_steps = int(batches.cardinality())
    model.compile(
        optimizer_like(model, warmup_cosine(rate, num_steps), model.optimizer),
        model.loss,
        steps_per_execution=min(num_steps, _MOST_AT_ONCE),
        jit_compile=model.jit_compile,
    )
    batches = match_labels(batches, builder.num_classes, builder.one_hot_labels)
    model.fit(batches, shuffle=False, verbose=0, callbacks=[StopOnNaN()])
    return model
