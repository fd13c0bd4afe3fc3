"""Prototypical networks: a class is the mean of the embeddings of its examples."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.backbones import find_backbone, split_at_backbone
from tf_transfer.few_shot.episodic_model import EpisodicModel, check_batch, check_model
from tf_transfer.training import as_multi_worker

_COSINE_SCALE = 10.0


@keras.saving.register_keras_serializable(package="tf_transfer")
class PrototypicalNetwork(EpisodicModel):
    """Tells classes apart by the nearest prototype, the mean embedding of the examples of a class.

    Trained on episodes, it learns an embedding in which that works for classes it never saw. On a pretrained encoder it
    works without any training: `adapt(x, y)` gives a plain classifier in one pass over the examples.

    Objective: cross-entropy of softmax(-d(f(query), prototype)), with d the squared Euclidean distance, or minus the
    cosine times a learned scale. A batch holds one or more episodes, as `tft.data.episodes` draws them; predictions are
    logits `(num_episodes, num_queries, ways)`.

    Args:
        encoder: `keras.Model` from inputs, one or several, to features, of which those that are not flat are flattened;
            or a model of a builder, whose encoder is taken, without its head. Trained in place.
        distance: "euclidean" or "cosine". Defaults to "euclidean", which the paper found better.
        transductive: Boolean, what batch normalization knows of an episode that is asked about. False: its moving
            statistics, so that each query is answered by itself. True: the mean and variance of the whole episode,
            queries included, as many published figures have it. Defaults to False.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> x, y = np.random.default_rng(0).normal(size=(40, 6)) + np.arange(40)[:, None] // 4, np.arange(40) // 4
    >>> model = tft.few_shot.PrototypicalNetwork(keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)]))
    >>> model.compile("adam")
    >>> history = model.fit(tft.data.episodes(x, y, ways=3, shots=2, queries=2, num_episodes=8, seed=0), verbose=0)
    >>> sorted(history.history)
    ['accuracy', 'loss']
    >>> classifier = model.adapt(x[:8], y[:8], class_names=["red", "blue"])
    >>> classifier.output_names, classifier.predict(x[:3], verbose=0).shape
    (['scores'], (3, 2))

    Reference:
        Snell et al., 2017, https://arxiv.org/abs/1703.05175; cosine: Gidaris and Komodakis, 2018,
        https://arxiv.org/abs/1804.09458
    """

    def __init__(self, encoder, distance="euclidean", transductive=False, **kwargs):
        super().__init__(**kwargs)
        self.distance = _checks.one_of(distance, "distance", ["euclidean", "cosine"])
        self.transductive = _checks.one_of(transductive, "transductive", [False, True])
        self.encoder = _encoder(encoder)
        self.scale = None
        if distance == "cosine":
            initial = keras.initializers.Constant(_COSINE_SCALE)
            self.scale = self.add_weight(shape=(), dtype="float32", initializer=initial, autocast=False, name="scale")
        self.built = True

    def call(self, inputs, training=False):
        check_batch(inputs)
        support, query = inputs["support"], inputs["query"]
        if self.transductive and not training:
            # Each episode has statistics of its own.
            embedded = tf.map_fn(
                lambda parts: self._embed(*tf.nest.map_structure(lambda part: part[None], parts), True, keep=True)[0],
                (support, query),
                fn_output_signature="float32",
            )
        else:
            embedded = self._embed(support, query, training=training)
        num_support = ops.shape(inputs["support_labels"])[1]
        return self._logits(embedded[:, :num_support], inputs["support_labels"], embedded[:, num_support:])

    def _embed(self, support, query, training, keep=False):
        """Returns embeddings `(num_episodes, num_examples, dim)` of support and query, made in one pass."""
        examples = tf.nest.map_structure(lambda *parts: ops.concatenate(parts, axis=1), support, query)
        shape = ops.shape(tf.nest.flatten(examples)[0])[:2]
        flat = tf.nest.map_structure(lambda part: ops.reshape(part, (-1, *ops.shape(part)[2:])), examples)
        found = self._normalized_by_batch(flat) if keep else self.encoder(flat, training=training)
        found = ops.cast(ops.reshape(found, (shape[0], shape[1], int(np.prod(found.shape[1:])))), "float32")
        return ops.normalize(found, axis=-1) if self.distance == "cosine" else found

    def _normalized_by_batch(self, examples):
        """Returns the encoder's outputs with the statistics of these examples, and leaves its own as they are."""
        trainable = [variable.value for variable in self.encoder.trainable_variables]
        fixed = [variable.value for variable in self.encoder.non_trainable_variables]
        return self.encoder.stateless_call(trainable, fixed, examples, training=True)[0]

    def _logits(self, support, labels, query):
        ways = ops.max(labels) + 1
        members = tf.one_hot(ops.cast(labels, "int32"), ways, dtype="float32")
        sums = ops.einsum("esw,esd->ewd", members, support)
        prototypes = sums / ops.sum(members, axis=1)[..., None]
        if self.distance == "cosine":
            return self.scale * ops.einsum("eqd,ewd->eqw", query, ops.normalize(prototypes, axis=-1))
        # |q - p|^2 without the differences of all pairs, which would be the largest tensor of a step.
        products = ops.einsum("eqd,ewd->eqw", query, prototypes)
        lengths = ops.sum(ops.square(query), -1)[..., None] + ops.sum(ops.square(prototypes), -1)[:, None]
        return 2.0 * products - lengths

    def adapt(self, x, y, class_names=None, *, batch_size=32):
        """Makes a plain classifier of the classes of a few examples.

        It is the encoder and one dense layer "logits" whose kernel is made of the prototypes, so that its scores are
        those that this model gives: it can be exported, or fine-tuned from there with `fit` on integer labels. Batch
        normalization has its moving statistics in it.

        Args:
            x: Array of examples, or a dict of arrays where the encoder has several inputs.
            y: Integer array, classes 0, 1, ...; each has one example or more.
            class_names: Sequence of strings, kept for exports. Defaults to none.
            batch_size: Integer, examples that go through the encoder at once. Defaults to 32.

        Returns:
            A compiled `keras.Model` from the encoder's input to "scores" `(batch, num_classes)`; its layers are shared.

        Raises:
            ValueError: When a class has no example, or the names are not one a class.
        """
        prototypes = self._prototypes(x, y, batch_size)
        if class_names is not None and len(set(class_names)) != len(prototypes):
            raise ValueError(
                f"`class_names` must be {len(prototypes)} different names, one a class. Received: {list(class_names)}."
            )
        with self.distribute_strategy.scope():
            model = self._classifier(prototypes)
            metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
            model.compile("adam", keras.losses.SparseCategoricalCrossentropy(), metrics=metrics)
        if class_names is not None:
            model.class_names = [str(name) for name in class_names]
        return model

    def _prototypes(self, x, y, batch_size):
        y = np.asarray(y)
        sizes = {len(part) for part in tf.nest.flatten(x)}
        if y.ndim != 1 or y.dtype.kind not in "iu" or sizes != {len(y)} or not len(y):
            raise ValueError(f"`y` must be one integer an example. Received: {y.dtype} of shape {y.shape}.")
        counts = np.bincount(y) if y.min() >= 0 else np.zeros(1)
        if len(counts) < 2 or not counts.all():
            raise ValueError(f"Classes must be 0, 1, ..., each with an example. Received: {sorted(set(y.tolist()))}.")
        embedded = self.encoder.predict(x, batch_size=batch_size, verbose=0).reshape(len(y), -1).astype("float64")
        if self.distance == "cosine":
            embedded /= np.maximum(np.linalg.norm(embedded, axis=-1, keepdims=True), 1e-12)
        return np.stack([embedded[y == kind].mean(axis=0) for kind in range(len(counts))])

    def _classifier(self, prototypes):
        inputs, features = self.encoder.inputs, self.encoder.outputs[0]
        if len(inputs) == 1:
            inputs = inputs[0]
        if len(features.shape) > 2:
            features = keras.layers.Flatten(name="flatten")(features)
        if self.distance == "cosine":
            features = keras.layers.UnitNormalization(name="unit", dtype="float32")(features)
            prototypes = prototypes / np.linalg.norm(prototypes, axis=-1, keepdims=True)
            kernel, bias = ops.convert_to_numpy(self.scale) * prototypes.T, np.zeros(len(prototypes))
        else:
            # -|f - p|^2 = 2 p.f - |p|^2 - |f|^2, and the last is the same for all classes.
            kernel, bias = 2.0 * prototypes.T, -np.square(prototypes).sum(axis=-1)
        logits = keras.layers.Dense(len(prototypes), name="logits", dtype="float32")
        scores = keras.layers.Activation("softmax", name="scores", dtype="float32")(logits(features))
        logits.set_weights([kernel.astype("float32"), bias.astype("float32")])
        return as_multi_worker(keras.Model(inputs, scores, name=f"{self.name}_classifier"))

    def deployable(self):
        """Returns the encoder, a plain Keras model from inputs to embeddings; `adapt` puts classes on it."""
        return self.encoder

    def get_config(self):
        encoder = keras.saving.serialize_keras_object(self.encoder)
        return {"name": self.name, "encoder": encoder, "distance": self.distance, "transductive": self.transductive}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "encoder": keras.saving.deserialize_keras_object(config["encoder"])})


def _encoder(encoder):
    check_model(encoder, "encoder", several_inputs=True)
    has_head = hasattr(encoder, "builder") and find_backbone(encoder) is not encoder
    return split_at_backbone(encoder)[0] if has_head else encoder
