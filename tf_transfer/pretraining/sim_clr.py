"""SimCLR: an encoder learns without labels that two random views of an image are the same image."""

import copy

import keras
from keras import ops

from tf_transfer import _checks, schedules
from tf_transfer.distribution.sums import sum_over_replicas
from tf_transfer.losses import NTXent
from tf_transfer.losses.contrastive import view_cosines
from tf_transfer.pretraining.random_views import RandomViews
from tf_transfer.pretraining.self_supervised import SelfSupervised

_POOLING = {3: keras.layers.GlobalAveragePooling1D, 4: keras.layers.GlobalAveragePooling2D}


@keras.saving.register_keras_serializable(package="tf_transfer")
class SimCLR(SelfSupervised):
    """Pretrains an encoder on images without labels: of each it makes two random views, and finds the pairs again.

    Objective: `tft.losses.NTXent` between the projections of both views, and regularization. All other images of a
    batch are what a view is told from, those of other devices too, so batches should be large (256 and more), and
    trainings long: hundreds of epochs on thousands of images. The projection is thrown away: `deployable()` is the
    encoder, `tft.ImageClassifier(num_classes=5, backbone=model.deployable())` puts classes on it, and
    `tft.analysis.linear_probe` says how good its features are.

    `fit` takes images: arrays, `tft.data.UnlabeledImages`, an `ImageFolder`, whose labels are not looked at, or a
    `tf.data.Dataset`. Warmup and decay are schedules of the optimizer: `keras.optimizers.schedules.CosineDecay`. What
    decides what the features know is the augmentation: what it changes, they forget. It predicts features.

    History: `loss`; `contrastive_loss`, without regularization; `contrastive_accuracy`, how often the other view is
    nearer than all else; `alignment`, the mean squared distance of the two views, and `uniformity`, the logarithm of
    the mean of exp(-2 d^2) between images: both fall when all goes well, and uniformity stays at 0 where all
    embeddings are one.

    Args:
        encoder: `keras.Model` from images in 0..255 to features, flat or maps, which are averaged here. Trained in
            place. Its batch normalization should have a momentum of 0.9 where there are few steps.
        augmentation: What makes views: a `tft.pretraining.RandomViews`, or any Keras layer from images to random views.
            Defaults to None: `RandomViews()` for color images, and for one channel those of digits, without mirrors, of
            half of the image and more, turned by up to 15 degrees.
        projection: Integer, the dimensions of the projection, whose hidden layer is as wide as the features; or a tuple
            of integers, the units of all its layers. Defaults to 128.
        temperature: Float above 0, or a schedule of `tft.schedules`. Defaults to 0.1.
        seed: Integer or None, of the projection, the order of the images and the default views. Defaults to None.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> encoder = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255),
    ...                             keras.layers.Conv2D(4, 3, strides=2), keras.layers.GlobalAveragePooling2D()])
    >>> model = tft.pretraining.SimCLR(encoder, projection=8, seed=0)
    >>> model.compile(keras.optimizers.Adam(1e-3))
    >>> images = np.random.default_rng(0).uniform(0, 255, (12, 16, 16, 3))
    >>> sorted(model.fit(images, batch_size=6, verbose=0).history)
    ['alignment', 'contrastive_accuracy', 'contrastive_loss', 'loss', 'uniformity']
    >>> model.deployable() is encoder, model.predict(images, verbose=0).shape
    (True, (12, 4))

    Reference:
        Chen et al., 2020, https://arxiv.org/abs/2002.05709; alignment and uniformity: Wang and Isola, 2020,
        https://arxiv.org/abs/2005.10242
    """

    def __init__(self, encoder, augmentation=None, projection=128, temperature=0.1, *, seed=None, **kwargs):
        super().__init__(encoder, seed, **kwargs)
        if not isinstance(temperature, schedules.Schedule):
            _checks.positive(temperature, "temperature")
        self.projection, self._temperature = _units(projection), temperature
        self.augmentation = _default_views(encoder.input_shape[-1], seed) if augmentation is None else augmentation
        if not isinstance(self.augmentation, keras.layers.Layer):
            raise ValueError(
                "`augmentation` must be a Keras layer from images to random views, such as "
                f"tft.pretraining.RandomViews(). Received: augmentation={augmentation!r}."
            )
        self.temperature = self.add_scheduled("temperature", temperature)
        self.projector = _projector(encoder.outputs[0], self.projection, seed)
        self.contrastive_loss = NTXent()
        for name in ("contrastive_loss", "contrastive_accuracy", "alignment", "uniformity"):
            self.add_part(name)
        self.built = True

    @property
    def counters(self):
        own = getattr(self.augmentation, "draws", None)
        return [self.draws, *([] if own is None else [own])]

    def question(self, images, training):
        views = [self.augmentation(images, training=True) for _ in range(2)]
        # In one pass, so that batch normalization does not tell the views apart.
        features = self.encoder(ops.concatenate(views), training=training)
        return ops.split(ops.cast(self.projector(features, training=training), "float32"), 2)

    def objective(self, asked, training):
        scale = 1.0 / ops.convert_to_tensor(self.temperature)
        loss = ops.mean(self.contrastive_loss.values(*asked, scale))
        if training:
            self._log(loss, *asked)
        return self.share(loss)

    def _log(self, loss, first, second):
        size = ops.shape(first)[0]
        across, within = view_cosines(first, second)
        own = ops.sum(ops.normalize(first) * ops.normalize(second), axis=-1)
        nearer = ops.sum(ops.cast(ops.concatenate([across, within], axis=1) > own[:, None] + 1e-6, "int32"), axis=1)
        number = sum_over_replicas(ops.cast(size, "float32"))
        # The squared distance of unit vectors is 2 - 2 cos.
        pairs = sum_over_replicas(ops.sum(ops.exp(4.0 * within - 4.0))) / (number * ops.maximum(number - 1.0, 1.0))
        self.log_part("contrastive_loss", loss, num_examples=size)
        self.log_part("contrastive_accuracy", ops.mean(ops.cast(nearer == 0, "float32")), num_examples=size)
        self.log_part("alignment", ops.mean(2.0 - 2.0 * own), num_examples=size)
        self.log_part("uniformity", ops.log(pairs + keras.config.epsilon()), num_examples=size)

    def parts_that_learn(self):
        return self.encoder, self.projector

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        given = {"augmentation": serialize(self.augmentation), "temperature": serialize(self._temperature)}
        return {**super().get_config(), **given, "projection": self.projection}

    @classmethod
    def from_config(cls, config):
        restore = keras.saving.deserialize_keras_object
        objects = {name: restore(copy.deepcopy(config[name])) for name in ("augmentation", "temperature")}
        return super().from_config({**config, **objects})


def _default_views(channels, seed):
    if channels == 1:
        return RandomViews(crop=(0.5, 1.0), flip=False, rotation=15.0, seed=seed)
    return RandomViews(seed=seed)


def _units(projection):
    """Returns the argument when it says the units of layers: one integer, or one for each."""
    if isinstance(projection, list | tuple):
        return [_checks.integer(units, "projection", 1) for units in projection]
    return _checks.integer(projection, "projection", 1)


def _projector(features, projection, seed):
    """Returns a model from an encoder's features to what is compared, which is no part of what is deployed."""
    units = projection if isinstance(projection, list) else [features.shape[-1], projection]
    layers = [_POOLING[len(features.shape)]()] if len(features.shape) in _POOLING else []
    for number, width in enumerate(units):
        is_last = number == len(units) - 1
        draw = keras.initializers.GlorotUniform(seed=None if seed is None else seed + number)
        activation = None if is_last else "relu"
        layers.append(keras.layers.Dense(width, activation, use_bias=not is_last, kernel_initializer=draw))
    return keras.Sequential([keras.Input(features.shape[1:]), *layers], name="projector")
