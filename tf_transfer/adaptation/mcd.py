"""Maximum classifier discrepancy: the encoder leaves no target example on which two classifiers can disagree."""

import keras
import numpy as np
from keras import ops

from tf_transfer import _checks
from tf_transfer.adaptation.encoder_classifier import EncoderClassifier, check_pair
from tf_transfer.backbones import reinitialize
from tf_transfer.losses import ClassifierDiscrepancy
from tf_transfer.training import AlternatingModel, keep_statistics, with_logits


@keras.saving.register_keras_serializable(package="tf_transfer")
class MCD(AlternatingModel, EncoderClassifier):
    """Maximum classifier discrepancy: two classifiers look for target examples that the source does not explain.

    With d the `tft.losses.ClassifierDiscrepancy` of both classifiers' probabilities on the target, each step makes
    three kinds of updates:

    - A: encoder and classifiers, by the compiled optimizer, down the sum of both classifiers' compiled losses on the
      source, and regularization;
    - B: the classifiers ("adversary"), down the same sum - `adaptation_weight` * d;
    - C: the encoder ("generator"), `generator_steps` times, down `adaptation_weight` * d.

    The model predicts the mean of both classifiers' outputs; so do `evaluate` and `deployable()`. Batch normalization
    sees one domain at a time; the moving statistics become the target's, and move once a step.

    History: `classification_loss` (the sum over both classifiers, before A), `discrepancy_loss` (d after B, before
    C), `adaptation_weight`, and `loss`, the objective of the encoder: classification_loss + adaptation_weight *
    discrepancy_loss + regularization. `compile` takes `adversary_optimizer` for B; see `tft.training.AlternatingModel`.

    Args:
        encoder: Functional or sequential `keras.Model`, from inputs to features.
        classifier: Functional or sequential `keras.Model`, from features to predictions; see `with_logits`.
        second_classifier: `keras.Model` like the classifier. Defaults to a copy of it with new weights.
        adaptation_weight: Float of at least 0 or a schedule. Defaults to 1.
        generator_steps: Integer of at least 1, updates C in a step. Defaults to 4.
        adaptation_rate: Float above 0, the learning rate of C as a multiple of that of the compiled optimizer: so many
            updates that know no labels ruin an encoder at a rate that suits its classification. Defaults to 0.03.
        seed: Integer or None, of the copy's weights. Defaults to None.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, activation="relu")])
    >>> classifier = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, activation="softmax")])
    >>> model = tft.MCD(encoder, classifier, generator_steps=2, seed=0)
    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> x_source, x_target = np.random.default_rng(0).normal(size=(2, 64, 2))
    >>> pairs = tft.data.pair_domains((x_source, np.arange(64) % 3), x_target, batch_size=16, seed=0)
    >>> sorted(model.fit(pairs, verbose=0).history)
    ['accuracy', 'adaptation_weight', 'classification_loss', 'discrepancy_loss', 'loss']
    >>> int(model.optimizer.iterations), int(model.generator_optimizer.iterations)
    (4, 8)

    Reference:
        Saito et al., 2018, https://arxiv.org/abs/1712.02560
    """

    generator_optimizer = None

    def __init__(
        self,
        encoder,
        classifier,
        second_classifier=None,
        adaptation_weight=1.0,
        *,
        generator_steps=4,
        adaptation_rate=0.03,
        seed=None,
        **kwargs,
    ):
        super().__init__(encoder, classifier, **kwargs)
        self.generator_steps = _checks.integer(generator_steps, "generator_steps", minimum=1)
        self.adaptation_rate = _checks.positive(adaptation_rate, "adaptation_rate")
        self.seed = seed
        second = rival(classifier, seed) if second_classifier is None else second_classifier
        self.second_classifier = _like(second, classifier)
        # In functions, for Keras would track the twins' layers a second time.
        self._score = [_scorer(model) for model in (self.classifier, self.second_classifier)]
        self._given_weight = adaptation_weight
        self.adaptation_weight = self.add_scheduled("adaptation_weight", adaptation_weight)
        for name in ("classification_loss", "discrepancy_loss", "adaptation_weight"):
            self.add_part(name)

    @property
    def opponents(self):
        classifiers = [*self.classifier.variables, *self.second_classifier.variables]
        return {"adversary": classifiers, "generator": self.encoder.variables}

    @property
    def class_scorer(self):
        return self.classifier

    @property
    def rate_scales(self):
        return {"generator": self.adaptation_rate}

    @property
    def _set_aside(self):
        return []

    def classify(self, features, training=None):
        return keras.layers.average([model(features, training=training) for model in self._classifiers])

    def _deployed_outputs(self):
        return self.classify(self.encoder.outputs[0])

    def make_updates(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        check_pair(x, self)
        size = ops.shape(keras.tree.flatten(x["source"])[0])[0]
        labelled = (x["source"], y, sample_weight)
        total, supervised, outputs = self.descend(
            self.optimizer, self.trainable_variables, lambda: self._on_source(*labelled)
        )
        self.update("adversary", lambda: self._disagree(labelled, x["target"]))
        found = [self.update("generator", lambda: self._agree(x["target"])) for _ in range(self._generator_updates)]
        weighted, discrepancy = found[0]
        self.log_part("classification_loss", self.unshare(supervised), num_examples=size)
        self.log_part("discrepancy_loss", self.unshare(discrepancy), num_examples=size)
        self.log_part("adaptation_weight", self.adaptation_weight, num_examples=size)
        self.log_loss(total + weighted, size)
        return self.compute_metrics(x, y, outputs, sample_weight=sample_weight)

    def _on_source(self, x, y, sample_weight):
        with keep_statistics(self.encoder, *self._classifiers):
            outputs = self._both(self.encoder(x, training=True))[0]
        supervised = sum(self.compiled_loss(y, each, sample_weight) for each in outputs)
        return supervised + self.regularization(self), supervised, 0.5 * (outputs[0] + outputs[1])

    def _disagree(self, labelled, target):
        _, discrepancy = self._discrepancy(ops.stop_gradient(self.encoder(target, training=True)))
        x, y, sample_weight = labelled
        with keep_statistics(self.encoder, *self._classifiers):
            outputs = self._both(ops.stop_gradient(self.encoder(x, training=True)))[0]
        supervised = sum(self.compiled_loss(y, each, sample_weight) for each in outputs)
        return supervised + self.regularization(*self._classifiers) - self.adaptation_weight * discrepancy, discrepancy

    def _agree(self, target):
        with keep_statistics(self.encoder, *self._classifiers):
            _, discrepancy = self._discrepancy(self.encoder(target, training=True))
        return self.adaptation_weight * discrepancy, discrepancy

    def _discrepancy(self, features):
        outputs, logits = self._both(features)
        return outputs, ClassifierDiscrepancy(dtype="float32")(*(ops.softmax(each) for each in logits))

    def _both(self, features):
        scored = [score(features) for score in self._score]
        return [outputs for outputs, _ in scored], [logits for _, logits in scored]

    @property
    def _generator_updates(self):
        # A frozen encoder stays as it is; one look at the discrepancy is enough for the logs.
        return self.generator_steps if self.encoder.trainable_variables else 1

    @property
    def _classifiers(self):
        return self.classifier, self.second_classifier

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "second_classifier": serialize(self.second_classifier),
            "adaptation_weight": serialize(self._given_weight),
            "generator_steps": self.generator_steps,
            "adaptation_rate": self.adaptation_rate,
            "seed": self.seed,
        }


def _scorer(classifier):
    twin = with_logits(classifier)
    return lambda features: twin(features, training=True)


def _like(second, classifier):
    """Returns the second classifier under a name of its own, or raises when it does not fit the first."""
    outputs = getattr(second, "outputs", None) or []
    shapes = [tuple(each.outputs[0].shape) for each in (classifier, second) if getattr(each, "outputs", None)]
    if not isinstance(second, keras.Model) or len(outputs) != 1 or shapes[0] != shapes[1]:
        raise ValueError(
            "`second_classifier` must be a functional or built sequential keras.Model with an output like that of "
            f"`classifier`, of shape {shapes[0]}. Received: {second!r} with outputs {outputs}."
        )
    if second.name != classifier.name:
        return second
    return keras.Model(second.inputs[0], second.outputs[0], name=f"second_{classifier.name}")


def rival(classifier, seed=None):
    """Returns a copy of a classifier with new weights, different ones also where an initializer has a fixed seed."""
    copy = reinitialize(keras.models.clone_model(classifier), seed)
    seeds = np.random.default_rng(seed)
    for layer in copy._flatten_layers():
        kernel = getattr(layer, "kernel", None)
        # Kernels that start at zero, as in the heads of the builders, would give it nothing to disagree with.
        if isinstance(kernel, keras.Variable) and not keras.ops.convert_to_numpy(kernel).any():
            kernel.assign(keras.initializers.GlorotUniform(seed=int(seeds.integers(2**31)))(kernel.shape))
    return copy
