# %% [markdown]
# # Fine-tune an image classifier on few labels
#
# You have a hundred labelled images and a network that somebody trained on many. This tutorial goes the whole way:
#
# 1. a *builder* makes a Keras model of a pretrained backbone and a new head,
# 2. `fine_tune` trains the head on cached features, then the backbone with care,
# 3. you look at what it learned, and at what it gets wrong,
# 4. the model leaves as a SavedModel, and is checked by a program that knows nothing of Keras.
#
# It needs no network: the backbone is the small MNIST encoder that comes with the package, the images are
# scikit-learn's handwritten digits, another data set of 8x8 pixels. With photos you would say
# `backbone="mobilenet_v2"` and give a folder per class; nothing else changes.

# %%
import tempfile

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import tf_transfer as tft

workplace = tempfile.mkdtemp()
digits = load_digits()
# Images go in as they come from a file: raw values in 0..255. Whatever the backbone wants is inside the model.
images = tf.image.resize(digits.images[..., None] * (255 / 16), (28, 28)).numpy()
labels = digits.target

order = np.random.default_rng(0).permutation(len(images))
labelled = np.concatenate([order[labels[order] == digit][:10] for digit in range(10)])
rest = np.setdiff1d(order, labelled)
train, test = (images[labelled], labels[labelled]), (images[rest], labels[rest])
print(f"{len(labelled)} labelled images, {len(rest)} to be judged on")

# %% [markdown]
# ## A builder is a set of choices
#
# Its fields are plain data: you can print them, vary them, write them to a file. `build()` returns a compiled Keras
# model like any other.

# %%
builder = tft.ImageClassifier(
    num_classes=10,
    backbone="mnist_encoder",
    class_names=[str(digit) for digit in range(10)],
    augmentation=None,
    dropout=0.0,
    seed=0,
)
print(builder.to_yaml())
model = builder.build()
model.summary()

# %% [markdown]
# `tft.blocks` names the parts that can be trained, and `tft.set_trainable` opens them. A module from a hub, like this
# encoder, opens whole or not at all; in a MobileNetV2 you would say `"block_13"` for "from here up".

# %%
print(tft.blocks(model))
count = tft.set_trainable(model, False)
assert count.trainable == 96 * 10 + 10

mobilenet = tft.load_backbone("mobilenet_v2", weights=None, input_shape=(96, 96, 3), alpha=0.35)
print(tft.blocks(mobilenet))
tft.set_trainable(mobilenet, "block_13")

# %% [markdown]
# ## A learning rate to start from
#
# `find_learning_rate` raises the rate step by step, watches the loss, and leaves the model as it was.

# %%
search = tft.find_learning_rate(model, train, num_steps=60)
figure = search.plot()
figure.savefig(f"{workplace}/learning_rate.png")
print(f"suggested: {search.suggestion:.1e}")
assert 1e-4 < search.suggestion < 1.0

# %% [markdown]
# ## Two phases
#
# First the head, on features that the frozen backbone computes once; they stay on disk for later runs. Then the
# backbone too, at a lower rate. A fifth of the labels is held out for a moment, to see how many epochs of the second
# phase help at all; then everything runs again on all of them.

# %%
history = tft.fine_tune(
    model,
    train,
    freeze_epochs=60,
    epochs=20,
    learning_rate=1e-2,
    fine_tuning_rate=1e-3,
    features_cache=f"{workplace}/features",
    batch_size=16,
    seed=0,
    verbose=0,
)
for phase in history.phases:
    print(f"{phase.name}: {phase.num_epochs} epochs, cached: {phase.cached}, {phase.trainable:,} parameters trained")
history.plot().savefig(f"{workplace}/curves.png")

# %% [markdown]
# ## How good is it, and what does it get wrong?

# %%
evaluation = tft.analysis.evaluate_classifier(model, test, class_names=builder.class_names)
print(f"accuracy {evaluation.accuracy:.3f}, macro-F1 {evaluation.macro_f1:.3f}")
print(evaluation.confusion)
assert evaluation.accuracy > 0.93
for mistake in evaluation.most_confident_mistakes(3):
    print(mistake)

# %% [markdown]
# ## Out of the process
#
# `export` writes `digits/1`, the layout of TensorFlow Serving, compares the SavedModel with `model.predict` on the
# images you give, and publishes nothing on a difference. `verify` runs it through TensorFlow's C API in a process of
# its own, which is how a server runs it.

# %%
path = tft.export(model, f"{workplace}/digits", examples=test[0][:8])
check = tft.serving.verify(path, test[0][:8], {"scores": model.predict(test[0][:8], verbose=0)})
print(path, f"largest difference {check.max_difference:.1e}")
assert check.max_difference < 1e-5

served = tft.serving.load(path)
print(served.predict(test[0][:5])["labels"], test[1][:5])

# %% [markdown]
# The same run from the command line, on a folder per class:
#
# ```
# tf-transfer train --images photos/ --backbone mobilenet_v2 --trainable block_13 --export saved_models/photos
# tf-transfer predict saved_models/photos new_photos/
# ```
