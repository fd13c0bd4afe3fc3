"""A backbone of a few thousand parameters, and images whose class is a colour: quick, and learnable."""

import keras
import numpy as np


def small_backbone(seed=0, name="small", size=16):
    """Returns three blocks of convolution and batch normalisation, raw images to 16 features."""
    image = keras.Input((size, size, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    for i, filters in enumerate((8, 16, 16)):
        initializer = keras.initializers.HeNormal(seed=seed + i)
        x = keras.layers.Conv2D(
            filters, 3, strides=2, padding="same", name=f"conv_{i}", kernel_initializer=initializer
        )(x)
        x = keras.layers.BatchNormalization(name=f"bn_{i}")(x)
        x = keras.layers.ReLU(name=f"relu_{i}")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name=name)


def colour_images(num, num_classes=3, seed=0, size=16):
    """Returns float32 images in 0..255 in which the channel of the class is brighter, and integer labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(num) % num_classes
    x = rng.uniform(0, 120, (num, size, size, 3)).astype("float32")
    x[np.arange(num), :, :, y] += 100
    return x, y
