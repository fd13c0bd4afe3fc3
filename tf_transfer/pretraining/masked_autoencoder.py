"""Masked images: an encoder learns without labels to paint what was hidden from it."""

import math

import keras
from keras import ops

from tf_transfer import _checks
from tf_transfer.pretraining.self_supervised import SelfSupervised
from tf_transfer.training.counted_seeds import draw_uniform

# A patch of one color has no deviation to divide by.
_SMALL = 1e-6


@keras.saving.register_keras_serializable(package="tf_transfer")
class MaskedAutoencoder(SelfSupervised):
    """Pretrains an encoder on images without labels: it sees some patches of each, and a decoder paints the others.

    Objective: the mean squared error of the pixels of hidden patches, and regularization. Hidden patches have the mean
    color of what is seen of their image, so that any encoder that keeps places will do: convolutional, or one that
    gives tokens. It gets all of the image, hidden patches included (as in SimMIM), so that nothing in it has to know
    about masks. Batches may be small, and it needs no augmentation. Its features show their worth in fine-tuning
    rather than under a linear classifier.

    The decoder, one 3x3 convolution and one 1x1 that gives the pixels below each place of the map, is thrown away:
    `deployable()` is the encoder, for `tft.ImageClassifier(num_classes=5, backbone=model.deployable())`.

    `fit` takes images: arrays, `tft.data.UnlabeledImages`, an `ImageFolder`, whose labels are not looked at, or a
    `tf.data.Dataset`. It predicts features; `reconstruct` shows what was seen and what was painted.

    History: `loss`, and `reconstruction_loss`, without regularization: with normalized patches, painting each in its
    mean color has an error of 1.

    Args:
        encoder: `keras.Model` from images in 0..255 to features, trained in place: maps `(batch, rows, columns,
            channels)`, tokens `(batch, rows * columns, channels)` of a square grid, or what is pooled of maps, in which
            case the last maps inside are decoded.
        mask_ratio: Float in (0, 1), part of the patches that is hidden, of every image as many. Defaults to 0.6.
        patch_size: Integer, pixels of a side of a patch. Small images have patches of 4 to 8, large ones of 32.
            Defaults to 8.
        normalize_patches: Boolean, whether the pixels of a patch are painted relative to its mean and deviation, and
            not as they are, in -1..1. Defaults to True.
        decoder_width: Integer, channels of the decoder. Defaults to 128.
        seed: Integer or None, of the decoder, the order of the images and what is hidden. Defaults to None.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> encoder = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255),
    ...                             keras.layers.Conv2D(4, 4, strides=4), keras.layers.GlobalAveragePooling2D()])
    >>> model = tft.pretraining.MaskedAutoencoder(encoder, patch_size=4, decoder_width=8, seed=0)
    >>> model.compile(keras.optimizers.Adam(1e-3))
    >>> images = np.random.default_rng(0).uniform(0, 255, (12, 16, 16, 3))
    >>> sorted(model.fit(images, batch_size=6, verbose=0).history)
    ['loss', 'reconstruction_loss']
    >>> seen, painted = model.reconstruct(images[:2])
    >>> seen.shape, painted.shape
    ((2, 16, 16, 3), (2, 16, 16, 3))

    Reference:
        He et al., 2021, https://arxiv.org/abs/2111.06377; hidden patches that the encoder sees: Xie et al., 2021,
        https://arxiv.org/abs/2111.09886
    """

    def __init__(
        self,
        encoder,
        mask_ratio=0.6,
        patch_size=8,
        normalize_patches=True,
        decoder_width=128,
        *,
        seed=None,
        **kwargs,
    ):
        super().__init__(encoder, seed, **kwargs)
        self.mask_ratio = _checks.number(mask_ratio, "mask_ratio", 0.0, 1.0)
        self.patch_size = _checks.integer(patch_size, "patch_size", 1)
        self.normalize_patches = _checks.one_of(normalize_patches, "normalize_patches", [False, True])
        self.decoder_width = _checks.integer(decoder_width, "decoder_width", 1)
        self._shape = encoder.input_shape[1:]
        self._grid = self._checked_grid()
        self.num_hidden = round(mask_ratio * math.prod(self._grid))
        if not 0 < self.num_hidden < math.prod(self._grid):
            raise ValueError(
                f"`mask_ratio` must hide some of the {math.prod(self._grid)} patches and not all. "
                f"Received: mask_ratio={mask_ratio}."
            )
        maps = _last_maps(encoder)
        self.maps = keras.Model(encoder.inputs[0], maps, name="maps")
        self.decoder = _decoder(maps, self._shape, self.decoder_width, seed)
        self.add_part("reconstruction_loss")
        self.built = True

    def _checked_grid(self):
        height, width, _ = self._shape
        if height % self.patch_size or width % self.patch_size:
            sizes = [size for size in range(2, min(height, width)) if height % size == 0 and width % size == 0]
            raise ValueError(
                f"`patch_size` must divide the sides of the images, {height} and {width}: one of {sizes}. "
                f"Received: patch_size={self.patch_size}."
            )
        return height // self.patch_size, width // self.patch_size

    def question(self, images, training):
        images = ops.cast(images, "float32")
        hidden = self._hidden(ops.shape(images)[0])
        painted = self.decoder(self.maps(self._masked(images, hidden), training=training), training=training)
        target = self._patches(images / 127.5 - 1.0)
        if self.normalize_patches:
            mean, variance = ops.moments(target, axes=-1, keepdims=True)
            target = (target - mean) / ops.sqrt(variance + _SMALL)
        return {"painted": self._patches(ops.cast(painted, "float32")), "target": target, "hidden": hidden}

    def objective(self, asked, training):
        errors = ops.mean(ops.square(asked["painted"] - asked["target"]), axis=-1)
        # Of every image as many are hidden.
        loss = ops.mean(ops.sum(errors * asked["hidden"], axis=-1)) / self.num_hidden
        if training:
            self.log_part("reconstruction_loss", loss, num_examples=ops.shape(errors)[0])
        return self.share(loss)

    def parts_that_learn(self):
        return self.encoder, self.decoder

    def _hidden(self, size):
        """Returns 1 for hidden patches and 0 for others, `(batch, num_patches)`, in rows from the top."""
        numbers = draw_uniform(self.draws, (size, math.prod(self._grid)))
        ranks = ops.argsort(ops.argsort(numbers, axis=-1), axis=-1)
        return ops.cast(ranks < self.num_hidden, "float32")

    def _masked(self, images, hidden):
        """Returns images whose hidden patches have the mean color of the others."""
        hidden = self._pixels(hidden[..., None])
        seen = 1.0 - hidden
        color = ops.sum(images * seen, axis=(1, 2), keepdims=True) / ops.sum(seen, axis=(1, 2), keepdims=True)
        return images * seen + color * hidden

    def _patches(self, images):
        """Returns the values of each patch, `(batch, num_patches, values)`."""
        (rows, columns), size, channels = self._grid, self.patch_size, self._shape[-1]
        parts = ops.reshape(images, (-1, rows, size, columns, size, channels))
        return ops.reshape(ops.transpose(parts, (0, 1, 3, 2, 4, 5)), (-1, rows * columns, size * size * channels))

    def _pixels(self, patches):
        """Returns `(batch, height, width, 1)` of one value a patch."""
        maps = ops.reshape(patches, (-1, *self._grid, 1))
        return ops.repeat(ops.repeat(maps, self.patch_size, axis=1), self.patch_size, axis=2)

    def reconstruct(self, images):
        """Returns what the encoder sees of images, and the same with the hidden patches painted; arrays in 0..255.

        Where patches are normalized, the mean and the deviation of the hidden ones are those that they had. The same
        patches are hidden at each call.

        Args:
            images: Array of shape `(batch, height, width, channels)` in 0..255.
        """
        images = ops.convert_to_tensor(images, "float32")
        with self.same_draws():
            asked = self.question(images, False)
        patches = asked["painted"]
        if self.normalize_patches:
            mean, variance = ops.moments(self._patches(images / 127.5 - 1.0), axes=-1, keepdims=True)
            patches = patches * ops.sqrt(variance + _SMALL) + mean
        (rows, columns), size, channels = self._grid, self.patch_size, self._shape[-1]
        parts = ops.transpose(ops.reshape(patches, (-1, rows, columns, size, size, channels)), (0, 1, 3, 2, 4, 5))
        painted = ops.clip(127.5 * (ops.reshape(parts, ops.shape(images)) + 1.0), 0.0, 255.0)
        hidden = self._pixels(asked["hidden"][..., None])
        seen = self._masked(images, asked["hidden"])
        return tuple(ops.convert_to_numpy(each) for each in (seen, images * (1.0 - hidden) + painted * hidden))

    def get_config(self):
        names = ("mask_ratio", "patch_size", "normalize_patches", "decoder_width")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _last_maps(encoder):
    """Returns the encoder's output as maps, or the last maps in its graph where it pools them."""
    found = encoder.outputs[0]
    if len(found.shape) == 3:
        side = math.isqrt(found.shape[1])
        if side * side == found.shape[1]:
            return keras.layers.Reshape((side, side, found.shape[2]))(found)
    if len(found.shape) == 4:
        return found
    outputs = [getattr(layer, "output", None) for layer in encoder.layers]
    maps = [each for each in outputs if isinstance(each, keras.KerasTensor) and len(each.shape) == 4]
    if len(maps) < 2:
        shapes = {layer.name: tuple(layer.output.shape) for layer in encoder.layers}
        raise ValueError(
            "`encoder` must give maps (batch, rows, columns, channels) or tokens of a square grid, or have maps inside "
            f"that it pools. Received: outputs {shapes}."
        )
    return maps[-1]


def _decoder(maps, shape, width, seed):
    """Returns a model from maps to images in -1..1."""
    (rows, columns, channels), (height, wide, colors) = maps.shape[1:], shape
    down, across = math.ceil(height / rows), math.ceil(wide / columns)
    draws = [keras.initializers.GlorotUniform(seed=None if seed is None else seed + number) for number in range(2)]
    values = keras.Input((rows, columns, channels))
    x = keras.layers.Conv2D(width, 3, padding="same", activation="relu", kernel_initializer=draws[0])(values)
    x = keras.layers.Conv2D(down * across * colors, 1, kernel_initializer=draws[1])(x)
    x = keras.layers.Reshape((rows, columns, down, across, colors))(x)
    x = keras.layers.Permute((1, 3, 2, 4, 5))(x)
    x = keras.layers.Reshape((rows * down, columns * across, colors))(x)
    if (rows * down, columns * across) != (height, wide):
        x = keras.layers.Resizing(height, wide)(x)
    return keras.Model(values, x, name="decoder")
