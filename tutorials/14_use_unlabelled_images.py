# %% [markdown]
# # Many images, few labels
#
# Images are cheap and labels are not. This tutorial has 1,300 digits, labels for 30 of them, and shows two ways to use
# the other ones:
#
# 1. what the 30 labels alone give,
# 2. FixMatch and Mean Teacher, which learn from labelled and unlabelled images at once,
# 3. what happens when the unlabelled images are of other classes,
# 4. how a backbone learns from images without any labels, before the labels come.
#
# The digits come with scikit-learn, so that it runs anywhere.

# %%
import tempfile
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

import tf_transfer as tft

workplace = Path(tempfile.mkdtemp())
digits = load_digits()
x = (digits.images[..., None] * 255 / 16).astype("float32").repeat(2, axis=1).repeat(2, axis=2)
y = digits.target
order = np.random.default_rng(0).permutation(len(x))
train, test = order[:1300], order[1300:]
labelled = np.concatenate([train[y[train] == digit][:3] for digit in range(10)])
print(x.shape, len(labelled), "labels")

# %% [markdown]
# ## The labels alone
#
# A small network, and all that can be done with 30 images: move them about a little.


# %%
def network(seed=0):
    layers = [keras.Input((16, 16, 1), name="image"), keras.layers.Rescaling(1 / 127.5, offset=-1.0)]
    for filters in (16, 32):
        layers += [keras.layers.Conv2D(filters, 3, strides=2, padding="same"), keras.layers.BatchNormalization()]
        layers += [keras.layers.ReLU()]
    layers += [keras.layers.Flatten(), keras.layers.Dense(10, name="logits"), keras.layers.Softmax(name="scores")]
    return tft.backbones.reinitialize(keras.Sequential(layers), seed)


def accuracy(model):
    return float(np.mean(model.predict(x[test], verbose=0).argmax(-1) == y[test]))


weak = [keras.layers.RandomTranslation(0.1, 0.1, interpolation="nearest", fill_mode="nearest")]
few = tft.data.as_dataset((x[labelled], y[labelled]), batch_size=30, input_shape=(16, 16, 1))
supervised = network()
supervised.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
supervised.fit(tft.data.augment(few.repeat(250), weak, seed=0), shuffle=False, verbose=0)
alone = accuracy(supervised)
print(f"30 labels alone: {alone:.1%}")

# %% [markdown]
# ## One stream of both
#
# `pair_labelled` makes batches in which every labelled image brings some unlabelled ones. Of those there are two views:
# a weak one, on which the network makes a guess, and a strong one, which it has to recognize all the same. The labelled
# images may be among the unlabelled ones: nothing looks at labels there.

# %%
stream = tft.data.pair_labelled(
    (x[labelled], y[labelled]), x[train], batch_size=16, ratio=4, weak=weak, strong="cutout_no_flip", seed=0
).repeat()
inputs, labels = next(iter(stream))
print({name: tuple(part.shape) for name, part in inputs.items()})

# %% [markdown]
# ## FixMatch
#
# A method is a Keras model around yours. `mask_share` in the history is the share of the unlabelled images on which the
# network is sure enough (0.9 here, the paper's 0.95 is the default) for its guess to count; it should rise.

# %%
fix_match = tft.semi_supervised.FixMatch(network(), threshold=0.9)
fix_match.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = fix_match.fit(stream, steps_per_epoch=125, epochs=4, verbose=0).history
found = accuracy(fix_match)
print([f"{share:.0%}" for share in history["mask_share"]])
print(f"FixMatch: {found:.1%}")
assert found > alone

# %% [markdown]
# ## Mean Teacher
#
# Another method is another line. Here the teacher, an average of the student's weights over the steps, says what the
# student should say of a moved image; it is the teacher that answers, and that `deployable()` returns.

# %%
two_draws = tft.data.pair_labelled(
    (x[labelled], y[labelled]), x[train], batch_size=16, ratio=4, weak=weak, strong=weak, seed=0
).repeat()
mean_teacher = tft.semi_supervised.MeanTeacher(network(), tft.schedules.gaussian(10.0, finish=0.4), momentum=0.98)
mean_teacher.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
mean_teacher.fit(two_draws, steps_per_epoch=100, epochs=4, verbose=0)
print(f"Mean Teacher: {accuracy(mean_teacher):.1%}")

# %% [markdown]
# ## Unlabelled images of other classes
#
# Whatever is among the unlabelled images gets a label of yours. Learn to tell 0 to 4 apart, with unlabelled images of
# these, and with unlabelled images of 5 to 9 only. Look at the second against the labels alone (a weight of 0): that is
# the comparison to make, on labelled images kept aside, before you trust any of this.

# %%
low = labelled[y[labelled] < 5]
asked = test[y[test] < 5]
kinds = {
    "those of 0 to 4": (train[y[train] < 5], 1.0),
    "those of 5 to 9": (train[y[train] >= 5], 1.0),
    "none": (train, 0.0),
}
for name, (others, weight) in kinds.items():
    mixed = tft.data.pair_labelled(
        (x[low], y[low]), x[others], batch_size=15, ratio=4, weak=weak, strong="cutout_no_flip", seed=0
    ).repeat()
    model = tft.semi_supervised.FixMatch(network(), unlabelled_weight=weight, threshold=0.9)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(mixed, steps_per_epoch=200, verbose=0)
    right = np.mean(model.predict(x[asked], verbose=0).argmax(-1) == y[asked])
    print(f"unlabelled images used: {name}; {right:.1%} right")

# %% [markdown]
# ## Without any labels: SimCLR
#
# The methods above need labels from their first step on. SimCLR trains a backbone before there are any: of each image
# it makes two random views, and the network has to find which two belong together. The views decide what it learns, so
# look at some. Digits must not be mirrored, and a part of one may be another: let the views keep most of each.

# %%
views = tft.pretraining.RandomViews(crop=(0.6, 1.0), flip=False, rotation=10.0, seed=0)
tft.data.preview(x[train[:4]], [views]).savefig(workplace / "views.png")

# %%
encoder = keras.Sequential([keras.Input((16, 16, 1), name="image"), keras.layers.Rescaling(1 / 127.5, offset=-1.0)])
for filters in (32, 64):
    encoder.add(keras.layers.Conv2D(filters, 3, strides=2, padding="same"))
    encoder.add(keras.layers.BatchNormalization(momentum=0.9))
    encoder.add(keras.layers.ReLU())
encoder.add(keras.layers.Conv2D(64, 3))
encoder.add(keras.layers.ReLU())
encoder.add(keras.layers.GlobalAveragePooling2D())
tft.backbones.reinitialize(encoder, seed=0)

thirty, questions = (x[labelled], y[labelled]), (x[test], y[test])
before = tft.analysis.linear_probe(encoder, thirty, questions)
sim_clr = tft.pretraining.SimCLR(encoder, views, projection=64, temperature=0.2, seed=0)
sim_clr.compile(keras.optimizers.Adam(2e-3))
history = sim_clr.fit(x[train], batch_size=260, epochs=60, verbose=0).history
after = tft.analysis.linear_probe(encoder, thirty, questions)
found = history["contrastive_accuracy"]
print(f"pairs found: {found[0]:.0%} at first, {found[-1]:.0%} at the end")
print("30 labels on a random backbone:", before)
print("30 labels on what SimCLR made: ", after)
assert after.accuracy > before.accuracy

# %% [markdown]
# `linear_probe` trains a linear classifier on the features, to see how good they are. For a model to deploy, put a head
# on the backbone and fine-tune: it is a plain Keras model, which any builder takes.

# %%
classifier = tft.ImageClassifier(
    num_classes=10, backbone=sim_clr.deployable(), dropout=0.0, augmentation="no_flip", seed=0
).build()
tft.fine_tune(
    classifier, thirty, freeze_epochs=30, epochs=60, learning_rate=1e-2, fine_tuning_rate=1e-3, unfreeze=True,
    batch_norm="trainable", validation_split=0.0, seed=0, verbose=0,
)  # fmt: skip
print(f"fine-tuned: {accuracy(classifier):.1%}, and {alone:.1%} from scratch")

# %% [markdown]
# ## Export
#
# What was trained is the plain network.

# %%
print(tft.export(fix_match.deployable(), workplace / "digits", examples=x[test[:8]]))
