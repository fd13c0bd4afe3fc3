"""What rows of several rooms share: images, a folder, a hub module, a backbone, a fitted classifier."""

import functools
import tempfile

import keras
import numpy as np
import tensorflow as tf

import tf_transfer as tft


@functools.cache
def images():
    return np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype("float32")


@functools.cache
def folder():
    """Returns a folder that lives as long as the process."""
    made = tempfile.TemporaryDirectory(prefix="contracts_")
    folder.keep = made
    return made.name


@functools.cache
def hub_module():
    """Returns the path of a reusable SavedModel with a kernel, a frozen mean and a regularization loss."""
    kernel = tf.Variable(np.random.default_rng(1).normal(size=(4, 3)), dtype="float32", name="kernel")
    mean = tf.Variable(tf.zeros(4), trainable=False, name="mean")
    module = tf.train.Checkpoint(variables=[kernel, mean], trainable_variables=[kernel])
    module.__call__ = tf.function(
        lambda inputs: tf.nn.relu((inputs - mean) @ kernel), input_signature=[tf.TensorSpec((None, 4))]
    )
    module.regularization_losses = [tf.function(lambda: 0.01 * tf.reduce_sum(kernel**2), input_signature=[])]
    tf.saved_model.save(module, f"{folder()}/encoder")
    return f"{folder()}/encoder"


@functools.cache
def audio_module():
    """Returns the path of a module that takes one waveform, and gives a scalar and a row a frame, as YAMNet does."""
    kernel = tf.Variable(np.random.default_rng(1).normal(size=(16, 3)), dtype="float32", name="kernel")
    module = tf.train.Checkpoint(variables=[kernel], trainable_variables=[kernel])

    def call(waveform):
        return tf.reduce_max(waveform), tf.nn.relu(tf.signal.frame(waveform, 16, 8) @ kernel)

    module.__call__ = tf.function(call, input_signature=[tf.TensorSpec((None,))])
    tf.saved_model.save(module, f"{folder()}/sound")
    return f"{folder()}/sound"


@functools.cache
def backbone_file():
    """Returns the path of a saved backbone with a convolution, batch norm and dropout, quick to build and load."""
    inputs = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3, strides=2, name="convolution")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dropout(0.1)(keras.layers.BatchNormalization()(x))
    keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="small").save(f"{folder()}/small.keras")
    return f"file:{folder()}/small.keras"


@functools.cache
def classifier():
    model = tft.ImageClassifier(num_classes=3, backbone=backbone_file(), weights=None).build()
    model.fit(images(), np.arange(8) % 3, epochs=1, verbose=0)
    return model
