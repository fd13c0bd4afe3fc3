"""Two encoders that learn one space from pairs."""

import copy

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer.distribution.sums import gather_over_replicas
from tf_transfer.losses import ContrastiveLoss, InfoNCE
from tf_transfer.training import as_multi_worker
from tf_transfer.training.graphs import graph_of
from tf_transfer.training.own_loss import OwnLossModel

# The scale of CLIP never goes above it: the cosines would saturate the softmax.
_LARGEST_SCALE = 100.0


@keras.saving.register_keras_serializable(package="tf_transfer")
class ContrastiveModel(OwnLossModel):
    """Trains two encoders on pairs, so that what belongs together lies together in one space.

    Objective: the contrastive loss between the embeddings of a batch, whose temperature (and bias) is learned, and
    regularization. `fit` takes batches whose x is a dict of both sides, such as {"image": images, "text": captions},
    without labels; or with integer labels, where examples of one label match each other, so that two images of a rose
    are not told apart by "a rose". Sample weights count for each pair. On replicas every example is compared with
    those of all. Batches should be large, for each has to hold what is to be told apart.

    It predicts the embeddings of both sides, of length 1, whose products are cosines.

    History: `loss`; `contrastive_loss`, without regularization; `ONE_to_OTHER_accuracy` for both directions, how often
    the nearest of the batch is a match; and `temperature`. `evaluate` says the loss in batches of its size; how good
    retrieval is over a whole data set, `tft.contrastive.retrieval_recall` says.

    Args:
        encoders: Dict from the names of two sides to functional `keras.Model`s from inputs to embeddings
            `(batch, dim)`, trained in place. `tft.DualEncoder` makes them of pretrained backbones.
        loss: `tft.losses.InfoNCE` or `tft.losses.SigmoidContrastive`, whose temperature training begins with. Defaults
            to `tft.losses.InfoNCE()`.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> sides = {name: keras.Sequential([keras.Input((size,)), keras.layers.Dense(4)])
    ...          for name, size in (("image", 8), ("text", 3))}
    >>> model = tft.ContrastiveModel(sides)
    >>> model.compile("adam")
    >>> pairs = {"image": np.ones((6, 8)), "text": np.ones((6, 3))}
    >>> sorted(model.fit(pairs, verbose=0).history)
    ['contrastive_loss', 'image_to_text_accuracy', 'loss', 'temperature', 'text_to_image_accuracy']
    >>> model.predict(pairs, verbose=0)["text"].shape, model.side("text").output_names
    ((6, 4), ['text_embedding'])

    Reference:
        Radford et al., 2021, https://arxiv.org/abs/2103.00020
    """

    def __init__(self, encoders, loss=None, **kwargs):
        super().__init__(**kwargs)
        _check_encoders(encoders)
        if loss is not None and not isinstance(loss, ContrastiveLoss):
            raise ValueError(
                f"`loss` must be a contrastive loss such as tft.losses.InfoNCE(). Received: loss={loss!r}."
            )
        self.sides = tuple(encoders)
        self.first, self.second = encoders.values()
        self.contrastive_loss = loss or InfoNCE()
        self.log_scale = self._learned("log_scale", -np.log(self.contrastive_loss.temperature), _at_most_largest)
        self.bias = self._learned("bias", self.contrastive_loss.bias) if self.contrastive_loss.bias else None
        one, other = self.sides
        self._accuracies = (f"{one}_to_{other}_accuracy", f"{other}_to_{one}_accuracy")
        for name in ("contrastive_loss", *self._accuracies, "temperature"):
            self.add_part(name)
        self.built = True

    def _learned(self, name, value, constraint=None):
        initial = keras.initializers.Constant(float(value))
        return self.add_weight(
            shape=(), dtype="float32", initializer=initial, autocast=False, name=name, constraint=constraint
        )

    @property
    def scale(self):
        """What cosines are multiplied with, one over the temperature; a scalar tensor."""
        return ops.exp(ops.convert_to_tensor(self.log_scale))

    def call(self, inputs, training=False):
        missing = [side for side in self.sides if not isinstance(inputs, dict) or side not in inputs]
        if missing:
            found = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
            raise ValueError(f"A batch must be a dict of {list(self.sides)}. Received: {found}.")
        encoders = (self.first, self.second)
        found = [encoder(inputs[side], training=training) for side, encoder in zip(self.sides, encoders, strict=True)]
        return {side: _unit(embedding) for side, embedding in zip(self.sides, found, strict=True)}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        first, second = (y_pred[side] for side in self.sides)
        bias = 0.0 if self.bias is None else ops.convert_to_tensor(self.bias)
        values = self.contrastive_loss.values(first, second, self.scale, _groups(y), bias)
        if sample_weight is not None:
            values = values * ops.reshape(ops.cast(sample_weight, values.dtype), (-1,))
        loss = ops.mean(values)
        if training:
            self._log(loss, first, second, _groups(y))
        return self.share(loss) + self.regularization(self.first, self.second)

    def _log(self, loss, first, second, groups):
        size = ops.shape(first)[0]
        self.log_part("contrastive_loss", loss, num_examples=size)
        self.log_part("temperature", 1.0 / self.scale)
        views = ((first, second), (second, first))
        for name, (asking, answering) in zip(self._accuracies, views, strict=True):
            self.log_part(name, _found(asking, answering, groups), num_examples=size)

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs):
        if y is None and kwargs.get("sample_weight") is not None:
            # Keras drops weights without labels; each pair is a group of its own.
            y = np.arange(len(kwargs["sample_weight"]))
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def side(self, name):
        """Returns the plain model of one side, from its inputs to embeddings of length 1; layers are shared.

        Args:
            name: String, one of `sides`.
        """
        if name not in self.sides:
            raise ValueError(f"`name` must be one of {list(self.sides)}. Received: name={name!r}.")
        encoder = (self.first, self.second)[self.sides.index(name)]
        with self.distribute_strategy.scope():
            inputs, embedding = graph_of(encoder).input, encoder.outputs[0]
            unit = keras.layers.UnitNormalization(name=f"{name}_embedding", dtype="float32")(embedding)
            return as_multi_worker(keras.Model(inputs, unit, name=f"{name}_encoder"))

    def deployable(self):
        """Returns a plain Keras model from a dict of both sides' inputs to a dict of their embeddings."""
        models = {side: self.side(side) for side in self.sides}
        with self.distribute_strategy.scope():
            inputs = {side: _named(graph_of(model).input, side) for side, model in models.items()}
            embeddings = {side: model(inputs[side]) for side, model in models.items()}
            return keras.Model(inputs, embeddings, name=f"{self.name}_deployable")

    def export(self, filepath):
        """Writes a SavedModel with a signature for each side, named as the side, whose output is `embedding`.

        `serving_default` is that of the first. `tft.export(model.side(name), path, task="embeddings")` makes a
        versioned folder of one side that is verified.

        Args:
            filepath: String, the folder.
        """
        archive = keras.export.ExportArchive()
        for number, side in enumerate(self.sides):
            model = self.side(side)
            archive.track(model)
            specs = keras.tree.map_structure(_spec, graph_of(model).input)
            for name in (side, *(["serving_default"] if number == 0 else [])):
                archive.add_endpoint(name, _answer(model), input_signature=[specs])
        archive.write_out(filepath, verbose=False)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        encoders = [[side, serialize(each)] for side, each in zip(self.sides, (self.first, self.second), strict=True)]
        return {"name": self.name, "encoders": encoders, "loss": serialize(self.contrastive_loss)}

    @classmethod
    def from_config(cls, config):
        # Keras changes what it makes a model of.
        config = copy.deepcopy(config)
        encoders = {side: keras.saving.deserialize_keras_object(each) for side, each in config["encoders"]}
        return cls(**{**config, "encoders": encoders, "loss": keras.saving.deserialize_keras_object(config["loss"])})


def _at_most_largest(log_scale):
    return ops.minimum(log_scale, np.float32(np.log(_LARGEST_SCALE)))


def _unit(embedding):
    return ops.normalize(ops.cast(embedding, "float32"), axis=-1)


def _groups(y):
    return None if y is None else ops.reshape(ops.cast(y, "int64"), (-1,))


def _found(asking, answering, groups):
    """Returns how often the nearest answer, of those of all replicas, is a match."""
    everything, size = gather_over_replicas(answering), ops.shape(asking)[0]
    scores = ops.matmul(asking, ops.transpose(everything))
    own = ops.sum(asking * answering, axis=-1)
    if groups is None:
        others = ops.sum(ops.cast(scores > own[:, None] + 1e-6, "float32"), axis=-1)
        return ops.mean(ops.cast(others == 0, "float32"))
    nearest = tf.gather(gather_over_replicas(groups), tf.argmax(scores, axis=-1))
    return ops.sum(ops.cast(nearest == groups, "float32")) / ops.cast(size, "float32")


def _answer(model):
    return lambda inputs: {"embedding": model(inputs, training=False)}


def _spec(tensor):
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=tensor.name)


def _named(inputs, side):
    """Returns new inputs like those of a model; one alone is named as its side."""
    if isinstance(inputs, dict | list | tuple):
        return keras.tree.map_structure(lambda each: _named(each, each.name), inputs)
    return keras.Input(inputs.shape[1:], dtype=inputs.dtype, name=side)


def _check_encoders(encoders):
    received = type(encoders).__name__
    if isinstance(encoders, dict):
        received = {name: getattr(each, "output_shape", each) for name, each in encoders.items()}
        models = list(encoders.values())
        known = all(isinstance(each, keras.Model) and len(getattr(each, "outputs", None) or []) == 1 for each in models)
        shapes = {tuple(each.outputs[0].shape) for each in models} if known else set()
        if len(models) == 2 and len(shapes) == 1 and all(len(shape) == 2 for shape in shapes):
            return
    raise ValueError(
        "`encoders` must be a dict of two names to functional keras.Models, each with one output of the same shape "
        f"(batch, dim). Received: {received}."
    )
