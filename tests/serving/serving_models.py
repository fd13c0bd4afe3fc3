"""Small trained models and images for the tests of serving."""

import io

import keras
import numpy as np
import PIL.Image

CLASS_NAMES = ["red", "green", "blue"]


def toy_images(num, size=24, channels=3, seed=0):
    """Smooth images of whole numbers, and the index of the channel that is brightest."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, channels, num)
    coarse = rng.uniform(0, 160, (num, 4, 4, channels))
    coarse[np.arange(num), :, :, labels] += 80
    zoom = np.ones((1, size // 4, size // 4, 1))
    return np.rint(np.kron(coarse, zoom)).astype("float32"), labels


def conv_net(num_outputs, activation, channels=3, size=24):
    """A small net of the parts of a MobileNet, on raw images."""
    image = keras.Input((size, size, channels), name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1)(image)
    for filters, strides in ((8, 2), (16, 2)):
        x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False, depthwise_initializer=_init(1))(x)
        x = keras.layers.Conv2D(filters, 1, strides=strides, use_bias=False, kernel_initializer=_init(2))(x)
        x = keras.layers.BatchNormalization(momentum=0.8)(x)
        x = keras.layers.ReLU(6)(x)
    x = keras.layers.Dropout(0.2, seed=3)(keras.layers.GlobalAveragePooling2D()(x))
    logits = keras.layers.Dense(num_outputs, kernel_initializer=_init(4), name="logits")(x)
    scores = keras.layers.Activation(activation, dtype="float32", name="scores")(logits)
    return keras.Model(image, scores)


def _init(seed):
    return keras.initializers.GlorotUniform(seed=seed)


def train(model, x, y, loss, epochs=8):
    model.compile(keras.optimizers.Adam(0.02), loss)
    model.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0)
    return model


def encode(image, image_format, **options):
    """The bytes of a uint8 image array as a file in `image_format`."""
    file = io.BytesIO()
    PIL.Image.fromarray(np.asarray(image, "uint8").squeeze()).save(file, image_format, **options)
    return file.getvalue()
