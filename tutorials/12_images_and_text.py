# %% [markdown]
# # Pictures and words in one space
#
# Captions say more than labels: "a red cross" tells color and shape. Train an image encoder and a text encoder so that
# a picture and its caption lie together, and you can search pictures by words, and name classes that nobody labelled.
# This tutorial
#
# 1. trains two small encoders on pictures with captions,
# 2. measures how well each side finds the other,
# 3. makes a classifier of descriptions alone, and looks at what training never showed,
# 4. exports it without the text encoder, and both sides with a signature each.
#
# The pictures are drawn here, so that it runs anywhere.

# %%
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tf_transfer as tft

workplace = Path(tempfile.mkdtemp())
COLORS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
SHAPES = ["square", "cross", "bar"]
TEMPLATES = ["a {} {}", "a picture of a {} {}", "here is one {} {}"]


def draw(num_pictures, seed, without=()):
    """Returns pictures, captions, and what is on each, such as "red cross"."""
    rng = np.random.default_rng(seed)
    kinds = [(color, shape) for color in COLORS for shape in SHAPES if f"{color} {shape}" not in without]
    chosen = [kinds[i] for i in rng.integers(0, len(kinds), num_pictures)]
    pictures = rng.uniform(0, 60, (num_pictures, 16, 16, 3)).astype("float32")
    for picture, (color, shape) in zip(pictures, chosen):
        y, x = rng.integers(4, 12, 2)
        light = rng.uniform(140, 195) * np.array(COLORS[color])
        if shape == "square":
            picture[y - 4 : y + 4, x - 4 : x + 4] += light
        else:
            picture[y - 4 : y + 4, x - 1 : x + 1] += light
        if shape == "cross":
            picture[y - 1 : y + 1, x - 4 : x - 1] += light
            picture[y - 1 : y + 1, x + 1 : x + 4] += light
    captions = np.array([rng.choice(TEMPLATES).format(*each) for each in chosen], dtype=object)
    return pictures, captions, np.array([" ".join(each) for each in chosen])


pictures, captions, names = draw(900, seed=0, without=["green cross"])
test_pictures, test_captions, test_names = draw(300, seed=1)
print(captions[:3])

# %% [markdown]
# ## Two trunks, one space
#
# Each side is a builder without a head. On it comes a projection into the space. With a pretrained image backbone and a
# text module from TF Hub this is a few words more; small encoders that start at random keep it short.

# %%
layers = [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255)]
layers += [keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu") for filters in (16, 32)]
encoder = tft.backbones.reinitialize(keras.Sequential([*layers, keras.layers.Flatten()]), 0)
encoder.save(workplace / "encoder.keras")
image = tft.builders.ImageBuilder(
    backbone=f"file:{workplace / 'encoder.keras'}", augmentation=None, trainable=True, dropout=0.0, seed=0
)
text = tft.builders.TextBuilder(backbone_options={"dim": 16}, dropout=0.0, seed=0).adapt(captions, verbose=0)
builder = tft.DualEncoder(sides={"image": image, "text": text}, embedding_dim=16, learning_rate=3e-3, seed=0)
model = builder.build()

# %% [markdown]
# ## Pairs
#
# Batches are dicts of both sides. Several pictures of a batch may have the same thing on them, and then a caption fits
# all of them: labels, here a number for what is on the picture, say which examples match each other. Without labels
# each picture matches its own caption only. `loss="sigmoid"` is the loss of SigLIP, for small batches.

# %%
groups = np.unique(names, return_inverse=True)[1]
pairs = tf.data.Dataset.from_tensor_slices(({"image": pictures, "text": captions}, groups))
pairs = pairs.shuffle(900, seed=0).batch(100)
history = model.fit(pairs, epochs=15, verbose=0).history
print({name: [round(values[0], 3), round(values[-1], 3)] for name, values in history.items()})

# %% [markdown]
# ## Retrieval
#
# Recall at k: how often a match is among the k nearest of the other side. Equal distances count as random order would.

# %%
test = {"image": test_pictures, "text": test_captions}
known = test_names != "green cross"
seen = {side: values[known] for side, values in test.items()}
print(tft.contrastive.retrieval_recall(model, seen, ks=[1, 5], groups=test_names[known]))
words = model.side("text").predict(np.array(["a blue bar"], dtype=object), verbose=0)
nearest = (model.side("image").predict(test_pictures, verbose=0) @ words[0]).argsort()[::-1][:5]
print("nearest to 'a blue bar':", test_names[nearest].tolist())

# %% [markdown]
# ## Classes by their descriptions
#
# `zero_shot` embeds descriptions and puts them into the kernel of a plain classifier. Several descriptions of a class
# are averaged. Nobody labelled shapes here, but captions name them, with one color or another.

# %%
descriptions = {shape: [f"a {color} {shape}" for color in COLORS] for shape in SHAPES}
classifier = tft.contrastive.zero_shot(model, descriptions)
shapes = np.array([name.split()[1] for name in test_names])
found = np.array(SHAPES)[classifier.predict(test_pictures, verbose=0).argmax(-1)]
print(f"accuracy of the shape: {np.mean(found[known] == shapes[known]):.2f}")

# %% [markdown]
# What training never showed is another matter. No picture of a green cross was in it; crosses were, and green things.
# With eight kinds of pictures to tell apart nothing asks the encoders to put a whole together out of its parts, and so
# they don't: that takes many more kinds, or encoders that were pretrained on them. Measure it before you rely on it.

# %%
every = [f"{color} {shape}" for color in COLORS for shape in SHAPES]
by_name = tft.contrastive.zero_shot(model, {name: f"a {name}" for name in every})
found = np.array(every)[by_name.predict(test_pictures, verbose=0).argmax(-1)]
print(f"of what was seen in training: {np.mean(found[known] == test_names[known]):.2f}")
print(f"of green crosses: {np.mean(found[~known] == test_names[~known]):.2f}")

# %% [markdown]
# ## Out into the world
#
# The classifier is an image model like any other: fine-tune it with labels, distill it, export it. The text encoder
# stays behind.

# %%
folder = tft.export(classifier, workplace / "shapes", class_names=classifier.class_names, examples=test_pictures[:8])
served = tf.saved_model.load(folder).signatures["serving_default"]
print([label.decode() for label in served(image=tf.constant(test_pictures[:3]))["labels"].numpy().ravel()])

# %% [markdown]
# For search, both sides are served: a signature each.

# %%
model.export(str(workplace / "sides"))
sides = tf.saved_model.load(workplace / "sides")
answer = sides.signatures["text"](text=tf.constant(["a red square"]))["embedding"]
print(sorted(sides.signatures), answer.shape)
