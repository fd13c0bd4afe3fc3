# %% [markdown]
# # TF Hub modules in Keras 3
#
# TF Hub and Kaggle Models hold thousands of networks as *reusable SavedModels*: a graph that can be called, its
# variables, and its regularization losses. `tensorflow_hub` has a layer for them, `hub.KerasLayer`, written for
# Keras 2. This tutorial shows
#
# 1. what goes wrong with it in Keras 3,
# 2. the same module in a `tft.layers.HubLayer`: as a fixed feature extractor, then fine-tuned,
# 3. a `.keras` file that carries its module to another machine,
# 4. how your own fine-tuned network becomes a module that somebody else starts from.
#
# The module is the encoder that comes with this package, trained on MNIST. The task is another set of handwritten
# digits, scikit-learn's, 8x8 pixels, with ten labelled images a class.

# %%
import os
import shutil
import tempfile

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import tf_transfer as tft
from tf_transfer.backbones import export_reusable, shipped

workplace = tempfile.mkdtemp()
module_folder = shutil.copytree(shipped("mnist_encoder"), f"{workplace}/mnist_encoder/1")

digits = load_digits()
images = tf.image.resize(digits.images[..., None] / 16.0, (28, 28)).numpy()
order = np.random.default_rng(0).permutation(len(images))
labelled = np.concatenate([order[digits.target[order] == digit][:10] for digit in range(10)])
rest = np.setdiff1d(order, labelled)
train = images[labelled], digits.target[labelled]
test = images[rest], digits.target[rest]
print(f"{len(labelled)} labelled images to learn from, {len(rest)} to be judged on")

# %% [markdown]
# ## What goes wrong with `hub.KerasLayer`
#
# It is a layer of `tf_keras`, that is of Keras 2. A Keras 3 model refuses it:

# %%
import tensorflow_hub as hub

try:
    keras.Sequential([keras.Input((28, 28, 1)), hub.KerasLayer(module_folder, trainable=True)])
    refused = False
except ValueError as error:
    refused = True
    print(str(error).splitlines()[0])
assert refused

# %% [markdown]
# The usual way round is worse than the error. Inside a `Lambda` layer the module runs, and is never trained: Keras
# does not see its variables. Nothing says so.

# %%
keras_2_layer = hub.KerasLayer(module_folder, trainable=True)
wrapped = keras.Sequential(
    [keras.Input((28, 28, 1)), keras.layers.Lambda(keras_2_layer, output_shape=(96,)), keras.layers.Dense(10)]
)
print(f"the module has {len(keras_2_layer.trainable_variables)} trainable variables, the model sees "
      f"{len(wrapped.trainable_variables)}: those of the Dense layer")  # fmt: skip
assert len(keras_2_layer.trainable_variables) == 18 and len(wrapped.trainable_variables) == 2

# %% [markdown]
# ## The same module in a `HubLayer`
#
# `HubLayer` takes the module's own variables as its weights. It starts frozen, and then nothing in it moves, not even
# the moving statistics of its batch normalization.

# %%
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def classifier(layer):
    """A linear classifier on what the layer gives; always the same start."""
    head = keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    return keras.Sequential([keras.Input((28, 28, 1)), layer, head])


def fit(model, learning_rate, epochs):
    """Trains on the labelled images and returns the accuracy on the rest."""
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    steps = tf.data.Dataset.from_tensor_slices(train).shuffle(100, seed=0).batch(20)
    model.fit(steps, epochs=epochs, shuffle=False, verbose=0)
    return model.evaluate(*test, batch_size=256, verbose=0)[1]


encoder = tft.layers.HubLayer(module_folder)
model = classifier(encoder)
before = encoder.get_weights()
frozen_accuracy = fit(model, learning_rate=1e-2, epochs=20)
print(f"frozen: {frozen_accuracy:.3f}")
assert all(np.array_equal(old, new) for old, new in zip(before, encoder.get_weights()))

# %% [markdown]
# Set `trainable` and compile again (a compiled step does not notice otherwise), and all of the module learns, with a
# rate far below the head's. From now on its regularization losses are part of the loss. (Ten images a class and a
# source so near leave little to gain over the frozen features; the further the task, the more there is.)

# %%
assert model.losses == []
encoder.trainable = True
assert len(model.trainable_variables) == 20 and float(sum(model.losses)) > 0
tuned_accuracy = fit(model, learning_rate=3e-4, epochs=20)
print(f"fine-tuned: {tuned_accuracy:.3f}")
assert all(not np.array_equal(old, new) for old, new in zip(before, encoder.get_weights()))
assert min(frozen_accuracy, tuned_accuracy) > 0.95

# %% [markdown]
# What is the pretraining worth? `reinitialize` draws all weights of a module anew: the same architecture, knowing
# nothing. It gets as many epochs as the two phases above together, with a rate that suits it.

# %%
scratch = classifier(tft.layers.HubLayer(module_folder, trainable=True).reinitialize(seed=0))
scratch_accuracy = fit(scratch, learning_rate=1e-3, epochs=40)
print(f"from scratch: {scratch_accuracy:.3f}")
assert tuned_accuracy > scratch_accuracy + 0.02

# %% [markdown]
# ## To another machine
#
# A `.keras` file with a `HubLayer` carries the module. `tft.load_model` opens it where nobody has the module, and
# training goes on where it stopped: the optimizer's state is there as well. (Keras' own `load_model` opens the file
# too, as long as the module is still found under its handle.)

# %%
model.save(f"{workplace}/digits.keras")
expected = model.predict(test[0], verbose=0)

shutil.rmtree(module_folder)
os.environ["TF_TRANSFER_CACHE"] = f"{workplace}/cache_of_another_machine"
arrived = tft.load_model(f"{workplace}/digits.keras")

assert np.array_equal(arrived.predict(test[0], verbose=0), expected)
assert int(arrived.optimizer.iterations) == int(model.optimizer.iterations)
arrived.fit(*train, batch_size=20, epochs=1, verbose=0)
print(f"after one more epoch elsewhere: {arrived.evaluate(*test, batch_size=256, verbose=0)[1]:.3f}")

# %% [markdown]
# ## Pass it on
#
# `export_reusable` writes a Keras model as a reusable SavedModel, with training mode, penalties and all. It expects a
# model for raw images, 0 to 255, and writes a module for images in [0, 1], as TF Hub wants it; ours takes [0, 1]
# already, so its `input_scale` is 1.

# %%
image = keras.Input((28, 28, 1))
features = keras.Model(image, model.layers[0](image))
passed_on = export_reusable(features, f"{workplace}/digits_encoder/1", input_scale=1)

start_for_others = tft.layers.HubLayer(passed_on, trainable=True)
np.testing.assert_allclose(start_for_others(test[0][:100]), features(test[0][:100]), atol=1e-5)
assert len(start_for_others.trainable_variables) == 18 and len(start_for_others.losses) == 1
print(f"{start_for_others.count_params()} weights, ready for somebody else's task")

# %% [markdown]
# The same module is a backbone for the builders, too: `tft.load_backbone("hub:" + folder)`.

# %%
shutil.rmtree(workplace)
