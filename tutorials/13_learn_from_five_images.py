# %% [markdown]
# # Learn a class from five images
#
# Somebody shows you five examples of each of five characters that you never saw, and asks which of them the next one
# is. A head that is trained on 25 images overfits. This tutorial
#
# 1. classifies by the nearest mean in the features of a pretrained encoder, without any training,
# 2. trains that encoder on episodes of *other* characters,
# 3. puts MAML and Reptile beside it, which learn a start for a few steps of gradient descent,
# 4. exports a classifier of five new characters.
#
# With `TF_TRANSFER_DATA` set, the characters are Omniglot's, of alphabets that training never saw; else strokes are
# drawn here, so that it runs anywhere.

# %%
import os
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import tf_transfer as tft

workplace = Path(tempfile.mkdtemp())
WAYS, SHOTS = 5, 5


def drawn(num_classes, seed):
    """Returns images of characters of three strokes, twenty of each, every one a little different."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:28, :28]
    images = np.zeros((num_classes, 20, 28, 28, 1), "uint8")
    for strokes, examples in zip(rng.uniform(4, 24, (num_classes, 3, 2, 2)), images):
        for image in examples:
            for start, end in strokes + rng.normal(0, 1.0, (3, 2, 2)):
                along = np.clip(((y - start[0]) * (end - start)[0] + (x - start[1]) * (end - start)[1])
                                / max(np.sum((end - start) ** 2), 1.0), 0, 1)  # fmt: skip
                nearest = start + along[..., None] * (end - start)
                image[(y - nearest[..., 0]) ** 2 + (x - nearest[..., 1]) ** 2 < 1.5] = 255
    return images


if "TF_TRANSFER_DATA" in os.environ:
    stored = np.load(Path(os.environ["TF_TRANSFER_DATA"]) / "omniglot" / "omniglot_28.npz")
    known, unknown = (stored[name][..., None] for name in ("x_background", "x_evaluation"))
else:
    known, unknown = drawn(100, seed=0), drawn(40, seed=1)
print(f"{len(known)} characters to learn from, {len(unknown)} to be asked about")

# %% [markdown]
# ## Episodes
#
# An episode is a small exam: `WAYS` classes with `SHOTS` examples each to learn from, the *support*, and more of the
# same to be asked about, the *query*. Those for training come from the known characters, and quarter turns make four
# classes of one. Those for the test come from characters that are on no image of training, which
# `check_disjoint` makes sure of; `fixed=True` asks all models the same 200.


# %%
def flat(images):
    return images.reshape(-1, 28, 28, 1), np.arange(len(images)).repeat(images.shape[1])


(x, y), (x_new, y_new) = flat(known), flat(unknown)
tft.data.check_disjoint(x, x_new)
test = tft.data.episodes(x_new, y_new, WAYS, SHOTS, queries=5, batch_size=10, fixed=True, seed=0)
found = {}

# %% [markdown]
# ## Without any training
#
# A *prototypical network* calls the mean of the embeddings of a class its prototype, and takes the nearest. It needs an
# encoder, here the small one for digits that comes with the package; the model of any builder will do.

# %%
builder = tft.ImageClassifier(
    num_classes=2, backbone="mnist_encoder", trainable=True, augmentation=None, dropout=0.0, seed=0
)
model = tft.few_shot.PrototypicalNetwork(builder.build())
found["encoder of digits"] = model.evaluate_episodes(test, 200)
print(found["encoder of digits"])

# %% [markdown]
# ## Trained on episodes
#
# Training asks harder questions than the test, of 20 ways, which makes better embeddings.

# %%
model.compile(keras.optimizers.Adam(1e-3))
train = tft.data.episodes(x, y, ways=20, shots=1, queries=4, rotations=True, seed=1)
model.fit(train, steps_per_epoch=40, epochs=2, verbose=2)
found["trained on episodes"] = model.evaluate_episodes(test, 200)
print(found["trained on episodes"])

# %% [markdown]
# ## A start for gradient descent
#
# MAML and Reptile learn weights from which a few steps on the support lead far. They take any network that ends in
# as many outputs as there are ways, and start from random weights here. MAML follows the gradient through its steps;
# Reptile only walks towards where the steps ended, so that it can afford more of them. Both start from nothing and need
# tens of thousands of tasks; with these few they are far from what they can do.


# %%
def network(seed):
    layers = [keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255)]
    for filters in (16, 32, 32):
        layers += [keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)]
        layers += [keras.layers.BatchNormalization(), keras.layers.ReLU()]
    made = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(WAYS)])
    return tft.backbones.reinitialize(made, seed)


maml = tft.few_shot.MAML(network(0), inner_learning_rate=0.4, inner_steps=1)
maml.compile(keras.optimizers.Adam(2e-3))
stream = tft.data.episodes(x, y, WAYS, SHOTS, queries=3, rotations=True, batch_size=4, seed=2)
maml.fit(stream, steps_per_epoch=60, epochs=2, verbose=2)
found["MAML"] = maml.evaluate_episodes(test, 200)

reptile = tft.few_shot.Reptile(
    network(1), inner_learning_rate=3e-3, inner_steps=5, evaluation_steps=15, step_size=tft.schedules.linear(1.0, 0.0),
    seed=0,
)  # fmt: skip
reptile.compile()
stream = tft.data.episodes(x, y, WAYS, shots=10, queries=1, rotations=True, batch_size=4, seed=3)
reptile.fit(stream, steps_per_epoch=60, epochs=2, verbose=2)
found["Reptile"] = reptile.evaluate_episodes(test, 200)

# %% [markdown]
# ## How sure is that?
#
# Episodes differ: a few hundred say how sure the mean is. Batch normalization is part of the answer as well. MAML and
# Reptile let it see all queries of an episode together, as their papers do, which is called *transductive*; a single
# question in service has no neighbours.

# %%
for name, method in {"MAML": maml, "Reptile": reptile}.items():
    method.transductive = False
    found[f"{name}, each query alone"] = method.evaluate_episodes(test, 200)
figure = Figure(figsize=(7, 3), layout="constrained")
axes = figure.subplots()
for place, (name, evaluation) in enumerate(found.items()):
    low, high = evaluation.interval()
    axes.plot([100 * low, 100 * high], [place, place], color="C0", linewidth=2)
    axes.plot(100 * evaluation.accuracy, place, "o", color="C0")
    print(f"{name}: {evaluation.accuracy:.3f} ({low:.3f} to {high:.3f})")
axes.set_yticks(range(len(found)), [*found])
axes.invert_yaxis()
axes.set_xlabel("% right, with the 95 % interval of 200 episodes")
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(workplace / "intervals.png", dpi=100)

# %% [markdown]
# ## Five new characters, served
#
# `adapt` makes a plain Keras model of five images a class: the encoder with one dense layer of the prototypes. It
# gives the scores of the network, can be trained on, and is exported with its names; `verify` asks the export in a
# process without Keras.

# %%
chosen = [np.flatnonzero(y_new == character) for character in range(WAYS)]
support = np.concatenate([examples[:SHOTS] for examples in chosen])
asked = np.concatenate([examples[SHOTS:10] for examples in chosen])
names = [f"character {number + 1}" for number in range(WAYS)]
classifier = model.adapt(x_new[support].astype("float32"), y_new[support], class_names=names)
examples = x_new[asked].astype("float32")
right = classifier.predict(examples, verbose=0).argmax(-1) == y_new[asked]
print(f"{right.sum()} of {len(right)} right")
folder = tft.export(classifier, workplace / "characters", class_names=names, examples=examples[:8])
tft.serving.verify(folder, examples[:8])
served = tf.saved_model.load(folder).signatures["serving_default"]
print([label.decode() for label in served(image=tf.constant(examples[:3]))["labels"].numpy().ravel()])

# %% [markdown]
# What MAML adapted is a plain model too.

# %%
plain = maml.adapt(x_new[support], y_new[support])
plain.save(workplace / "adapted.keras")
again = keras.models.load_model(workplace / "adapted.keras")
accuracy = np.mean(again.predict(examples, verbose=0).argmax(-1) == y_new[asked])
print(f"MAML, each query alone, after one step: {accuracy:.2f}")
print(f"Everything is in {workplace}")
