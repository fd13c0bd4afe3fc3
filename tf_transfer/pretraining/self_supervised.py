"""What methods share that pretrain an encoder of images on images without labels."""

import contextlib
import copy

import keras
import tensorflow as tf

from tf_transfer.data.unlabelled_batches import unlabelled_batches
from tf_transfer.training.counted_seeds import add_counted_seed
from tf_transfer.training.own_loss import OwnLossModel
from tf_transfer.training.run_state import forward_stream

# Where evaluation counts from: far from any training.
_IN_EVALUATION = -(2**30)


class SelfSupervised(OwnLossModel):
    """A `TransferModel` that trains an encoder on images without labels, which are also what it is made for.

    A subclass says what a training step computes in `question`, and what is minimized in `objective`. It predicts the
    encoder's features.

    Args:
        encoder: `keras.Model` from images in 0..255 to features, trained in place.
        seed: Integer or None, of the order of the images and of what a subclass draws.
        **kwargs: `name` of a `keras.Model`.
    """

    def __init__(self, encoder, seed=None, **kwargs):
        super().__init__(**kwargs)
        _check_encoder(encoder)
        self.encoder, self.seed = encoder, seed
        self.draws = add_counted_seed(self, seed)

    @property
    def counters(self):
        """The weights that count draws."""
        return [self.draws]

    def question(self, images, training):
        """Returns what the objective is about, a nest of tensors, with new random numbers."""
        raise NotImplementedError(f"{type(self).__name__} must define `question`.")

    def objective(self, asked, training):
        """Returns the value to minimize, without regularization; under a strategy, a replica's share of it."""
        raise NotImplementedError(f"{type(self).__name__} must define `objective`.")

    def call(self, inputs, training=False):
        # What predicts is the encoder alone; the graph of an evaluation leaves it out again.
        return self.question(inputs, True) if training else self.encoder(inputs, training=False)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        asked = y_pred if training else self.question(x, False)
        return self.objective(asked, training) + self.regularization(*self.parts_that_learn())

    def parts_that_learn(self):
        """Returns the models whose regularization counts."""
        return (self.encoder,)

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs):
        """Trains on images; labels of a folder or a stream are not looked at.

        Args:
            x: An array of images in 0..255, a `tft.data.UnlabeledImages` or `ImageFolder`, or a `tf.data.Dataset` of
                images or of tuples that begin with them, batched or not. Arrays and folders are shuffled each epoch.
            y: None: what has labels is trained by other methods.
            batch_size: Integer. Defaults to `default_batch_size`, or the batches of a `tf.data.Dataset`.
            epochs: As in `keras.Model.fit`, like all further arguments; `validation_data` is what x can be.
        """
        given = [name for name in ("sample_weight", "class_weight") if kwargs.get(name) is not None]
        if y is not None or given:
            raise ValueError(
                f"{type(self).__name__} learns from images alone. Received: {given or ['y']}. Leave it out."
            )
        if not self.encoder.trainable_variables:
            raise ValueError(
                f"The encoder {self.encoder.name!r} is frozen, so that nothing of it would be pretrained. Set "
                "`encoder.trainable = True` before `compile`."
            )
        x = self._batches(x, batch_size, kwargs.get("initial_epoch", 0), kwargs.pop("shuffle", True))
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self._batches(kwargs["validation_data"], batch_size)
        return super().fit(x, None, None, epochs, verbose, callbacks, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", **kwargs):
        """Returns the loss on images as in `fit`: the same questions each time, in batches of this size."""
        # `fit` asks after each epoch, and has them already.
        if not kwargs.get("_use_cached_eval_dataset"):
            x = self._batches(x, batch_size)
        with self.same_draws():
            return super().evaluate(x, None, None, verbose, **kwargs)

    @property
    def default_batch_size(self):
        """How many images a step has, where nobody says it."""
        return 256

    def _batches(self, data, batch_size, epochs_done=0, shuffle=False):
        if not isinstance(data, tf.data.Dataset):
            batch_size = batch_size or self.default_batch_size
        seed = int(keras.ops.convert_to_numpy(self.draws)[0])
        batches = unlabelled_batches(data, batch_size, self.encoder.input_shape[1:], shuffle=shuffle, seed=seed)
        # Also where no epoch is left out, so that the orders are those that a later `fit` goes on with.
        return forward_stream(batches, epochs_done) if shuffle else batches

    @contextlib.contextmanager
    def same_draws(self):
        """While it lasts, what is drawn is the same each time; training goes on behind it as if it had not been."""
        before = [keras.ops.convert_to_numpy(each) for each in self.counters]
        for counter, (seed, _) in zip(self.counters, before, strict=True):
            counter.assign([seed, _IN_EVALUATION])
        try:
            yield
        finally:
            for counter, state in zip(self.counters, before, strict=True):
                counter.assign(state)

    def deployable(self):
        """Returns the encoder, a plain Keras model from images to features, which any builder takes as `backbone`."""
        return self.encoder

    def export(self, filepath, **kwargs):
        """Exports `deployable()`, as `keras.Model.export` does."""
        return self.encoder.export(filepath, **kwargs)

    def get_config(self):
        encoder = keras.saving.serialize_keras_object(self.encoder)
        return {"name": self.name, "encoder": encoder, "seed": self.seed}

    @classmethod
    def from_config(cls, config):
        # Keras changes what it makes a model of.
        config = copy.deepcopy(config)
        return cls(**{**config, "encoder": keras.saving.deserialize_keras_object(config["encoder"])})


def _check_encoder(encoder):
    ends = [getattr(encoder, end, None) or () for end in ("inputs", "outputs")]
    if isinstance(encoder, keras.Model) and [len(each) for each in ends] == [1, 1]:
        shape = ends[0][0].shape
        if len(shape) == 4 and None not in shape[1:]:
            return
        received = f"one that takes {tuple(shape)}"
    else:
        received = repr(encoder)
    raise ValueError(
        "`encoder` must be a functional or sequential keras.Model from images (batch, height, width, channels) of one "
        f"size to features, such as tft.load_backbone gives it. Received: {received}."
    )
