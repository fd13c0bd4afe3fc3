"""Pixel-level adaptation: a generator redraws labelled images of the source as if they were of the target."""

import keras
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.adaptation.adversarial import check_discriminator, domain_logits, told_apart
from tf_transfer.adaptation.encoder_classifier import EncoderClassifier, check_pair
from tf_transfer.adaptation.pixel_networks import RAW, pixel_discriminator, pixel_generator
from tf_transfer.training import AlternatingModel, keep_statistics
from tf_transfer.training.counted_seeds import add_counted_seed, draw_uniform

_PARTS = ("classification_loss", "translated_loss", "domain_loss", "domain_accuracy", "adversarial_loss")


@keras.saving.register_keras_serializable(package="tf_transfer")
class PixelDA(AlternatingModel, EncoderClassifier):
    """Pixel-level domain adaptation: the classifier learns from source images redrawn in the style of the target.

    A generator G redraws a source image, with noise z; a discriminator D tells redrawn images from real ones of the
    target. The classifier T (encoder and classifier) learns from the source images and from the redrawn ones, which
    keep their labels. In each step D goes down half the mean cross-entropy of redrawn images as "source" plus half that
    of target images as "target"; then G, encoder and classifier go down the objective: compiled loss on the source +
    `task_weight` * compiled loss on redrawn images + `adaptation_weight` * mean cross-entropy of redrawn images as
    "target" + `content_weight` * how far they moved from their originals, and regularization. The second part is what
    keeps the meaning of an image: G is punished for a redrawn digit that T no longer knows, and T can't give in, for it
    has to know the originals too.

    Batch normalization of encoder and classifier sees a batch of originals and a batch of redrawn images, each by
    itself; the moving statistics are those of the redrawn ones, which are meant to look like the target.

    History: `loss` (the objective of G and T), `classification_loss` (on the source), `translated_loss`, `domain_loss`
    and `domain_accuracy` (of D before its update), `adversarial_loss` (of G against the improved D),
    `content_loss` with a `content_weight`, `adaptation_weight`. `compile` takes `adversary_optimizer` for D; see
    `tft.training.AlternatingModel`. `tft.adaptation.TranslationPictures` draws the images while it trains.

    Args:
        encoder: Functional or sequential `keras.Model`, from images to features.
        classifier: Functional or sequential `keras.Model`, from features to predictions.
        generator: Functional `keras.Model` from an image and noise of shape `(batch, n)`, or from an image alone, to an
            image of the same shape. Defaults to `tft.adaptation.pixel_generator`.
        discriminator: Functional or sequential `keras.Model` from images to one logit (or sigmoid), high for real ones
            of the target. Defaults to `tft.adaptation.pixel_discriminator`.
        adaptation_weight: Float of at least 0 or a schedule. Defaults to 1.
        task_weight: Float of at least 0. Defaults to 1.
        content_weight: Float of at least 0, the factor on the pairwise mean squared error between an image and its
            original, of pixels in [-1, 1]: only differences that are not the same for all pixels count. For domains
            in which things look alike but for their surroundings. Defaults to 0.
        value_range: Pair of floats, the least and the largest value in an image. Defaults to (0, 255).
        seed: Integer or None, of the default networks' weights and of the noise. Defaults to None.
        **kwargs: `name` of a `keras.Model`.

    Raises:
        ValueError: When the networks do not fit together: the encoder does not take one image, or the generator does
            not give one.

    Example:

    >>> encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(8)])
    >>> classifier = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, activation="softmax")])
    >>> model = tft.adaptation.PixelDA(encoder, classifier, seed=0)
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> x_source, x_target = np.random.default_rng(0).uniform(0, 255, size=(2, 32, 8, 8, 1))
    >>> pairs = tft.data.pair_domains((x_source, np.arange(32) % 2), x_target, batch_size=16, seed=0)
    >>> history = model.fit(pairs, epochs=1, verbose=0).history
    >>> model.translate(x_source[:3]).shape
    (3, 8, 8, 1)

    Reference:
        Bousmalis et al., 2017, https://arxiv.org/abs/1612.05424, equations 3 to 6
    """

    def __init__(
        self,
        encoder,
        classifier,
        generator=None,
        discriminator=None,
        adaptation_weight=1.0,
        *,
        task_weight=1.0,
        content_weight=0.0,
        value_range=RAW,
        seed=None,
        **kwargs,
    ):
        super().__init__(encoder, classifier, **kwargs)
        shape = _image_of(encoder)
        options = {"value_range": value_range, "seed": seed}
        self.generator = pixel_generator(shape, **options) if generator is None else generator
        self._num_noise = _check_generator(self.generator, shape)
        self.discriminator = pixel_discriminator(shape, **options) if discriminator is None else discriminator
        check_discriminator(self.discriminator, shape)
        self.task_weight = _checks.number(task_weight, "task_weight", minimum=0.0)
        self.content_weight = _checks.number(content_weight, "content_weight", minimum=0.0)
        self.value_range = tuple(float(each) for each in value_range)
        self.seed = seed
        self._given_weight = adaptation_weight
        self.adaptation_weight = self.add_scheduled("adaptation_weight", adaptation_weight)
        self._draws = add_counted_seed(self, seed)
        self._logged = [*_PARTS, *(["content_loss"] if self.content_weight else []), "adaptation_weight"]
        for name in self._logged:
            self.add_part(name)

    @property
    def opponents(self):
        return {"adversary": self.discriminator.variables}

    def translate(self, images, seed=0, batch_size=64):
        """Returns images redrawn in the style of the target.

        Args:
            images: Array of shape `(num, height, width, channels)`, of the source.
            seed: Integer, of the noise. Defaults to 0.
            batch_size: Integer. Defaults to 64.

        Returns:
            A float32 NumPy array of the same shape.
        """
        noise = tf.random.stateless_uniform(self._noise_shape(len(images)), [seed, 0], -1.0, 1.0)
        given = [images, noise.numpy()] if self._num_noise else images
        return self.generator.predict(given, batch_size=batch_size, verbose=0)

    def make_updates(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        check_pair(x, self)
        labels = (y, sample_weight)
        size = ops.shape(x["source"])[0]
        total, predictions, *parts = self.descend(
            self.optimizer, self.trainable_variables, lambda: self._objective(x["source"], x["target"], labels)
        )
        for name, value in zip(self._logged, [*parts, self.adaptation_weight], strict=True):
            self.log_part(name, value, num_examples=size)
        self.log_loss(total, size)
        return self.compute_metrics(x, y, predictions, sample_weight=sample_weight)

    def _objective(self, source, target, labels):
        translated = self._redraw(source)
        # The discriminator learns in between, so that one image of each serves both updates.
        fixed = ops.stop_gradient(translated)
        _, *found = self.update("adversary", lambda: self._tell_apart(fixed, ops.cast(target, "float32")))
        fooled = ops.mean(ops.softplus(-domain_logits(self.discriminator, translated, training=True)))
        with keep_statistics(self.encoder, self.classifier):
            predictions, supervised = self._supervised(source, labels)
        of_originals = self.regularization(self.encoder, self.classifier)
        _, redrawn = self._supervised(translated, labels)
        parts = [self.unshare(supervised), self.unshare(redrawn), *found, fooled]
        added = self.adaptation_weight * fooled
        if self.content_weight:
            parts.append(self._content(source, translated))
            added += self.content_weight * parts[-1]
        penalties = of_originals + self.regularization(self.generator)
        return supervised + self.task_weight * redrawn + self.share(added) + penalties, predictions, *parts

    def _redraw(self, images):
        if not self._num_noise:
            return self.generator(images, training=True)
        shape = self._noise_shape(ops.shape(images)[0])
        noise = draw_uniform(self._draws, shape, -1.0, 1.0)
        return self.generator([images, noise], training=True)

    def _noise_shape(self, num):
        return (num, self._num_noise)

    def _supervised(self, images, labels):
        predictions = self.classify(self.encoder(images, training=True), True)
        return predictions, self.compiled_loss(labels[0], predictions, labels[1])

    def _tell_apart(self, translated, target):
        # High for real ones of the target.
        loss, accuracy = told_apart(self.discriminator, target, translated)
        return self.share(loss) + self.regularization(self.discriminator), loss, accuracy

    def _content(self, source, translated):
        """Returns the mean over images of mean d^2 - (mean d)^2, d the differences of pixels (equation 6)."""
        low, high = self.value_range
        moved = (translated - ops.cast(source, "float32")) * (2.0 / (high - low))
        moved = ops.reshape(moved, (ops.shape(moved)[0], -1))
        return ops.mean(ops.var(moved, axis=-1))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "generator": serialize(self.generator),
            "discriminator": serialize(self.discriminator),
            "adaptation_weight": serialize(self._given_weight),
            "task_weight": self.task_weight,
            "content_weight": self.content_weight,
            "value_range": self.value_range,
            "seed": self.seed,
        }


def _image_of(encoder):
    shapes = [tuple(each.shape[1:]) for each in encoder.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 3 or None in shapes[0]:
        raise ValueError(
            "`encoder` must take images of one known shape (height, width, channels), for images are redrawn. "
            f"Received: inputs of shapes {shapes}. For other inputs take a method that aligns features, such as `DANN`."
        )
    return shapes[0]


def _check_generator(generator, shape):
    """Returns how many numbers of noise it takes, or raises when it does not redraw images of this shape."""
    inputs = [tuple(each.shape[1:]) for each in getattr(generator, "inputs", None) or []]
    outputs = [tuple(each.shape[1:]) for each in getattr(generator, "outputs", None) or []]
    takes_noise = len(inputs) == 2 and len(inputs[1]) == 1 and inputs[1][0] is not None
    if outputs != [shape] or inputs[:1] != [shape] or not (takes_noise or len(inputs) == 1):
        raise ValueError(
            f"`generator` must be a functional keras.Model from an image of shape {shape}, and noise of shape (n,) if "
            f"it likes, to an image of that shape. Received: {generator!r} with inputs {inputs} and outputs {outputs}."
        )
    return inputs[1][0] if takes_noise else 0
