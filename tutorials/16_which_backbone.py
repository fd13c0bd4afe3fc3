# %% [markdown]
# # Which backbone, which way, and is the difference real?
#
# You have a hundred labelled images, several pretrained networks, and an afternoon. This tutorial
#
# 1. ranks encoders by how well their frozen features fit the labels, before anything is trained,
# 2. asks a linear probe the same question with held-out images,
# 3. compares two ways of training on the same parts of the data, with a test that knows what these parts share,
# 4. and lets the package do all of that: `tft.recommend` says what to do and why, `tft.auto` tries what is likely.
#
# It needs no network: the images are scikit-learn's handwritten digits, the pretrained encoder is the one that comes
# with the package, and beside it stand plain pixels and a network with random weights. With photos you would give
# names, `tft.rank_backbones(["mobilenet_v2", "resnet50_v2"], folder)`, or say `tf-transfer rank --images DIR`.

# %%
import dataclasses
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import tf_transfer as tft

workplace = Path(tempfile.mkdtemp())
digits = load_digits()
images = tf.image.resize(digits.images[..., None] * (255 / 16), (28, 28)).numpy()
labels = digits.target

order = np.random.default_rng(0).permutation(len(images))
few = np.concatenate([order[labels[order] == digit][:10] for digit in range(10)])
rest = np.setdiff1d(order, few)[:800]
train, held_out = (images[few], labels[few]), (images[rest], labels[rest])
print(f"{len(few)} labelled images, {len(rest)} held out")

# %% [markdown]
# ## The candidates
#
# Anything from images to features will do: names, files, Hub modules, Keras models.


# %%
def pixels():
    return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.AveragePooling2D(4), keras.layers.Flatten()])


def network(seed):
    """A small convolutional network with random weights."""
    keys = iter(range(seed, seed + 9))
    layers = [keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255)]
    for filters in (16, 32, 64):
        initializer = keras.initializers.HeNormal(next(keys))
        layers += [keras.layers.Conv2D(filters, 3, strides=2, activation="relu", kernel_initializer=initializer)]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()])


candidates = {"mnist_encoder": "mnist_encoder", "pixels": pixels(), "random network": network(0)}

# %% [markdown]
# ## Before the first epoch
#
# Each candidate sees each image once. H-score asks how far the classes' means lie apart in units of the features'
# spread, LogME how likely the labels are for a Bayesian line on the features. Beside the scores stands what the
# encoder costs on this machine.

# %%
ranking = tft.rank_backbones(candidates, train, cache=workplace / "features")
ranking.plot().savefig(workplace / "ranking.png")
assert ranking.best == "mnist_encoder"

# %% [markdown]
# A score is a function of features and labels, so it can be asked of anything that has both.

# %%
encoder = tft.load_backbone("mnist_encoder")
features = encoder.predict(train[0], verbose=0)
for name in ("h_score", "log_me", "nleep", "trans_rate"):
    score = getattr(tft.analysis, name)
    print(f"{name:10s} {score(features, train[1]):8.3f}, of shuffled labels {score(features, train[1][::-1] % 7):8.3f}")

# %% [markdown]
# ## A linear probe
#
# A ranking is a shortlist. The next question costs seconds too: how good is a linear classifier on these features, on
# images that it did not see?

# %%
probes = {"mnist_encoder": encoder, "pixels": pixels(), "random network": network(0)}
accuracy = {name: tft.analysis.linear_probe(each, train, held_out) for name, each in probes.items()}
for name, evaluation in accuracy.items():
    print(name, evaluation)
assert accuracy["mnist_encoder"].accuracy > accuracy["random network"].accuracy

# %% [markdown]
# Both models answered the same 800 images, so the difference can be tested on those that only one has right.

# %%
difference = accuracy["mnist_encoder"].difference(accuracy["pixels"])
print(f"{difference.mean:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}), p = {difference.p_value:.1g}")

# %% [markdown]
# ## Which way?
#
# Two ways of training, on the same parts of the hundred images. The parts share most of what they train on, so a plain
# t-test would take five scores for more evidence than they are; `cross_validate` corrects for it.

# %%
builder = tft.ImageClassifier(num_classes=10, backbone="mnist_encoder", augmentation=None, dropout=0.0)


def way(**options):
    """Returns a method: a function of the data to train on and a seed that gives a trained model."""

    def trained(data, seed):
        model = dataclasses.replace(builder, seed=seed).build()
        arguments = {"validation_split": 0.0, "features_cache": workplace / "features", "verbose": 0, **options}
        tft.fine_tune(model, data, seed=seed, **arguments)
        return model

    return trained


methods = {
    "frozen": way(freeze_epochs=30, epochs=0),
    "fine-tuned": way(freeze_epochs=30, epochs=8, unfreeze=True, fine_tuning_rate=3e-4),
}
found = tft.analysis.cross_validate(methods, train, num_folds=4, seed=1)
found.plot().savefig(workplace / "ways.png")
print(found.difference("fine-tuned", "frozen"))
assert set(found.scores) == set(methods) and len(found.scores["frozen"]) == 4

# %% [markdown]
# With four parts of 25 images an interval is wide. That is what a hundred labels can say; `num_repeats=5` makes it
# narrower for five times the work.

# %% [markdown]
# ## What shall I do?
#
# `tft.recommend` puts this together: how many labels a class has, what the backbone costs here, and what was measured
# with as many labels elsewhere. It says why, and gives the builder and the lines of code. Pixels have no weights to
# carry over, so they stay out from here on.

# %%
networks = {"mnist_encoder": "mnist_encoder", "random network": network(0)}
recommended = tft.recommend(train, backbones=networks, cache=workplace / "features", augmentation=None)
assert recommended.method == "l2_sp" and recommended.ranking.best == "mnist_encoder"

# %% [markdown]
# ## Try what is likely
#
# And `tft.auto` finds out, in the time that it is given: backbones frozen, the better half of them trained short, the
# better half of those in full, all on the same parts. The model at the end is trained on all hundred images. Its score
# in the search is somewhat too good, because it was chosen by it; the held-out images say what it is worth.

# %%
tried = tft.auto(
    train, minutes=1.5, backbones=networks, cache=workplace / "features", augmentation=None, batch_size=20, seed=1
)
tried.plot().savefig(workplace / "tried.png")
worth = tft.analysis.evaluate_classifier(tried.model, held_out)
print(f"in the search {tried.best.score:.3f}, on held-out images {worth.accuracy:.3f}")
assert worth.accuracy > 0.9
