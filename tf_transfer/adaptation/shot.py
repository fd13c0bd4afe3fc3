"""Source hypothesis transfer: the source's classifier stays, and the encoder learns from the target alone."""

import threading

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer.adaptation.encoder_classifier import EncoderClassifier
from tf_transfer.adaptation.unlabelled import Unlabelled, batch_size_of
from tf_transfer.ops import entropy
from tf_transfer.training import with_logits
from tf_transfer.training.transfer_model import with_callback


@keras.saving.register_keras_serializable(package="tf_transfer")
class SHOT(Unlabelled, EncoderClassifier):
    """Source hypothesis transfer: without any source data, target features move to where the classifier expects them.

    Encoder and classifier come trained on the source; the classifier is frozen, its dropout off. With p the
    predictions on a batch, the encoder goes down the information maximization mean H(p_i) - H(mean p_i) +
    `pseudo_label_weight` * the mean cross-entropy against pseudo labels, and its regularization.

    Pseudo labels come from class centroids of the whole target: at the start of each epoch features in inference mode,
    with a constant appended and scaled to length 1, are averaged by predicted probability; each example then goes to
    the centroid next to it in cosine distance, among classes that are predicted at all, and the centroids are averaged
    once more over these groups. The centroids are kept in variables for the epoch, and each step gives its examples
    the label of the nearest: unlike in the paper, by the features as they are in that step, so that the order of the
    data does not matter. Features of the whole target are held in memory at the start of an epoch.

    `fit` takes arrays or a finite `tf.data.Dataset` of target inputs; labels that come along are ignored. `compile`
    needs no loss. Under a strategy the mean prediction is that of each replica's share of the batch.

    History: `entropy_loss` (mean H(p_i)), `diversity_loss` (-H(mean p_i)), `pseudo_label_loss`,
    `pseudo_label_agreement` (part of the examples whose prediction is their pseudo label), `pseudo_label_weight`, and
    `loss`, the objective.

    Args:
        encoder: Functional or sequential `keras.Model`, from inputs to features of a known shape.
        classifier: Functional or sequential `keras.Model`, from features to predictions; see
            `tft.training.with_logits`.
        pseudo_label_weight: Float of at least 0 or a schedule. Defaults to 0.3.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, activation="relu")])
    >>> classifier = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, activation="softmax")])
    >>> model = tft.SHOT(encoder, classifier)
    >>> model.compile(keras.optimizers.Adam(1e-3))
    >>> x_target = np.random.default_rng(0).normal(size=(64, 2))
    >>> history = model.fit(x_target, epochs=2, verbose=0).history
    >>> sorted(history)[:3], len(model.trainable_variables)
    (['diversity_loss', 'entropy_loss', 'loss'], 2)

    Reference:
        Liang et al., 2020, https://arxiv.org/abs/2002.08546
    """

    def __init__(self, encoder, classifier, pseudo_label_weight=0.3, **kwargs):
        super().__init__(encoder, classifier, **kwargs)
        twin = with_logits(classifier)
        # In a function, for Keras would track the twin's layers a second time.
        self._twin = lambda: twin
        self.num_classes = twin.outputs[1].shape[-1]
        self._centroids = self._variable("centroids", (self.num_classes, _dim(encoder) + 1))
        self._is_used = self._variable("is_used", (self.num_classes,))
        self._given_weight = pseudo_label_weight
        self.pseudo_label_weight = self.add_scheduled("pseudo_label_weight", pseudo_label_weight)
        # Replicas of a strategy are threads.
        self._local = threading.local()
        for name in _PARTS:
            self.add_part(name)

    def _variable(self, name, shape):
        return self.add_weight(shape=shape, dtype="float32", trainable=False, initializer="zeros", name=name)

    @property
    def class_scorer(self):
        return self.classifier

    @property
    def _adapted_variables(self):
        return self.encoder.trainable_variables

    def call(self, inputs, training=False):
        if training:
            settled = self.encoder(inputs, training=False)
            self._local.labels = self._pseudo_labels(ops.stop_gradient(settled))
        outputs, self._local.logits = self._twin()(self.encoder(inputs, training=training), training=False)
        return outputs

    def objective(self, x, y_pred, training):
        logits = self._local.logits
        certainty, diversity = _information(logits)
        if not training:
            return self.share(certainty + diversity)
        labels, weight = self._local.labels, self.pseudo_label_weight
        wrong = ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))
        agreed = ops.mean(ops.cast(ops.equal(ops.argmax(logits, axis=-1), labels), "float32"))
        for name, value in zip(_PARTS, (certainty, diversity, wrong, agreed, weight), strict=True):
            self.log_part(name, value, num_examples=batch_size_of(x))
        return self.share(certainty + diversity + weight * wrong) + self.regularization(self)

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs):
        sweep = _Sweep(self, _batches(x, batch_size))
        return super().fit(x, y, batch_size, epochs, verbose, with_callback(callbacks, sweep), **kwargs)

    def _pseudo_labels(self, features):
        """Returns the class of the nearest centroid that is used, as integers `(batch,)`."""
        similarity = ops.matmul(_directions(features), ops.transpose(_scaled(self._centroids)))
        return ops.argmax(ops.where(self._is_used > 0, similarity, -2.0), axis=-1)

    def _settle(self, parts):
        """Sets the centroids, from the directions of features and the predictions of all batches."""
        directions, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
        self._set_centroids(directions, scores, np.bincount(scores.argmax(-1), minlength=self.num_classes) > 0)
        nearest = ops.convert_to_numpy(ops.matmul(directions, ops.transpose(_scaled(self._centroids))))
        nearest[:, ops.convert_to_numpy(self._is_used) == 0] = -2.0
        groups = np.eye(self.num_classes, dtype="float32")[nearest.argmax(-1)]
        self._set_centroids(directions, groups, groups.any(0))

    def _set_centroids(self, directions, weights, is_used):
        self._centroids.assign(weights.T @ directions / (1e-8 + weights.sum(0)[:, None]))
        self._is_used.assign(is_used.astype("float32"))

    def _look(self, x):
        features = self.encoder(x, training=False)
        return _directions(features), ops.softmax(self._twin()(features, training=False)[1])

    def get_config(self):
        weight = keras.saving.serialize_keras_object(self._given_weight)
        return {**super().get_config(), "pseudo_label_weight": weight}


_PARTS = ("entropy_loss", "diversity_loss", "pseudo_label_loss", "pseudo_label_agreement", "pseudo_label_weight")


class _Sweep(keras.callbacks.Callback):
    """Finds the centroids anew at the start of each epoch."""

    def __init__(self, model, batches):
        super().__init__()
        self._method = model
        self._look = tf.function(model._look, reduce_retracing=True)
        self._batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        inputs = (keras.utils.unpack_x_y_sample_weight(batch)[0] for batch in self._batches)
        self._method._settle([[ops.convert_to_numpy(part) for part in self._look(x)] for x in inputs])


def _information(logits):
    """Returns the mean entropy of predictions, and minus the entropy of their mean."""
    logs = ops.log_softmax(logits)
    # The sum over the batch is the mean up to a constant, which the softmax inside `entropy` takes out.
    return ops.mean(entropy(logs)), -entropy(ops.logsumexp(logs, axis=0))


def _directions(features):
    """Returns flattened features with a constant 1 appended, scaled to length 1."""
    flat = ops.reshape(ops.cast(features, "float32"), (ops.shape(features)[0], -1))
    return _scaled(ops.concatenate([flat, ops.ones_like(flat[:, :1])], axis=-1))


def _scaled(vectors):
    return vectors / ops.sqrt(ops.maximum(ops.sum(ops.square(vectors), axis=-1, keepdims=True), 1e-12))


def _dim(encoder):
    shape = encoder.outputs[0].shape[1:]
    if None in shape:
        raise ValueError(
            "SHOT keeps centroids of features, whose shape must be known beforehand. "
            f"Received: an encoder with features of shape {tuple(encoder.outputs[0].shape)}."
        )
    return int(np.prod(shape))


def _batches(x, batch_size):
    """Returns a finite dataset of batches of inputs."""
    if isinstance(x, tf.data.Dataset):
        if x.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "SHOT looks at the whole target at the start of each epoch, and this dataset is endless. "
                "Leave out `repeat()`, or say what the whole is: dataset.take(num_batches)."
            )
        return x
    if x is None or not all(hasattr(each, "shape") for each in keras.tree.flatten(x)):
        raise TypeError(
            "SHOT looks at the whole target at the start of each epoch: give arrays of inputs or a finite "
            f"tf.data.Dataset. Received: {type(x).__name__}."
        )
    return tf.data.Dataset.from_tensor_slices(x).batch(batch_size or 32)
