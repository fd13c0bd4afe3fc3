# %% [markdown]
# # Texts: from what nobody labelled to a classifier with a dozen labels
#
# There is much text and few labels. This tutorial
#
# 1. reads labelled texts from a file, and says what is wrong with one,
# 2. pretrains an encoder on texts without labels: it guesses hidden words,
# 3. trains a classifier on that encoder with twelve labels, and beside it one from scratch,
# 4. saves a model that takes raw strings, the vocabulary inside.
#
# The reviews are made up here, so that it runs anywhere. `benchmarks/text_transfer.py` does the same with real ones.

# %%
import csv
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

import tf_transfer as tft

workplace = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Reviews
#
# A review says what was bought, and in three words what the writer thinks. There are 30 words of praise and 30 of
# complaint, and a writer uses words of one kind. That is what can be learned without labels: which words go together.

# %%
PRAISE = """sharp light quick bright solid quiet clean smooth warm fresh fine neat strong handy pretty safe elegant
sturdy precise gentle clever reliable spotless generous superb tasty perfect lovely crisp durable"""
COMPLAINT = """dull heavy slow dim loose loud dirty rough cold stale poor clumsy weak awkward ugly risky flimsy
cheap crooked harsh silly fragile greasy stingy dreadful bland faulty nasty soggy brittle"""
THINGS = ["kettle", "knife", "lamp", "mixer", "pan", "toaster"]


def write_reviews(path, num_reviews, seed):
    rng = np.random.default_rng(seed)
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["review", "opinion"])
        for _ in range(num_reviews):
            kind = int(rng.integers(2))
            words = rng.choice((PRAISE if kind else COMPLAINT).split(), 3, replace=False)
            table.writerow([f"This {rng.choice(THINGS)} is {', '.join(words)}!", ["bad", "good"][kind]])
    return path


# %% [markdown]
# `read_text` finds the columns where their names are plain; else its error lists them.

# %%
unlabelled = tft.data.read_text(write_reviews(workplace / "all.csv", 3000, seed=0), target=False)
train = tft.data.read_text(write_reviews(workplace / "train.csv", 12, seed=1), target="opinion")
test = tft.data.read_text(
    write_reviews(workplace / "test.csv", 400, seed=2), target="opinion", class_names=train.class_names
)
print(unlabelled, train, test, sep="\n")
print(train.texts[0], "->", train.class_names[train.labels[0]])

# %% [markdown]
# A file with a gap is refused, by line and column.

# %%
(workplace / "gap.csv").write_text("review,opinion\nThis pan is fine,good\nThis pan is dull,\n")
try:
    tft.data.read_text(workplace / "gap.csv", target="opinion")
except ValueError as error:
    print(error)

# %% [markdown]
# ## Pretrain on what has no labels
#
# `TextEncoder` is a small network of Keras' own layers: tokens, embeddings, blocks of attention ("transformer") or of
# convolution ("cnn"), and the mean over the words; here "mean", which has no blocks and is done in seconds.
# `pretrain_text` hides 15 of 100 words and lets it guess them; here 30, since these texts are short. The history says
# how well words of held-out texts are guessed.

# %%
builder = tft.TextEncoder(architecture="mean", dim=32, seed=0)
encoder = tft.pretrain_text(
    unlabelled.texts, builder, epochs=10, share=0.3, learning_rate=1e-2, batch_size=100, seed=0, verbose=2
)
encoder.save(workplace / "encoder.keras")
losses = encoder.history.history["val_loss"]
print(f"Cross-entropy of a guess: {losses[0]:.2f} after the first pass, {losses[-1]:.2f} after the last")

# %% [markdown]
# ## Twelve labels
#
# The classifier takes the encoder's file as its backbone, frozen, and `tft.fine_tune` trains the head on its features,
# which are computed once. Beside it the same network without pretraining.


# %%
def accuracy(model):
    return float((model.predict(test.texts, verbose=0).argmax(-1) == test.labels).mean())


backbone = f"file:{workplace}/encoder.keras"
carried = tft.TextClassifier(num_classes=2, class_names=train.class_names, backbone=backbone, seed=0).build()
tft.fine_tune(carried, tuple(train), freeze_epochs=100, epochs=0, seed=0, verbose=0)

scratch = tft.TextClassifier(num_classes=2, backbone="mean", backbone_options={"dim": 32}, seed=0)
scratch = scratch.adapt(train.texts).build()
scratch.fit(*train, epochs=60, verbose=0)
print(f"12 labels: carried over {accuracy(carried):.1%}, from scratch {accuracy(scratch):.1%}")
assert accuracy(carried) > accuracy(scratch)

# %% [markdown]
# All that is there for images is there for texts: `tft.blocks(model)`, `tft.set_trainable(model, "block_2")`,
# `regularizer="L2SP"`, `trainable=tft.LoRA(4)`, `tft.GradualUnfreezing()`, `tft.Distiller`, `tft.DANN` on pairs.
#
# ## A model that takes strings
#
# The vocabulary is a part of the model. Its file opens in plain Keras, without `tf_transfer`.

# %%
path = tft.save_model(carried, workplace / "opinions.keras")
again = tft.load_model(path)
scores = again.predict(tf.constant(["This lamp is neat and quiet", "What a clumsy, stale thing"]), verbose=0)
print([again.class_names[each] for each in scores.argmax(-1)])

# %% [markdown]
# What TensorFlow Serving gets takes strings as well.

# %%
served = tft.export(carried, workplace / "opinions", examples=test.texts[:32])
signature = tf.saved_model.load(served).signatures["serving_default"]
print({name: value.numpy().tolist() for name, value in signature(tf.constant(["Such a soggy toaster"])).items()})

# %% [markdown]
# ## Other backbones
#
# - `backbone="hub:HANDLE"`: a text module of TF Hub, such as a sentence encoder;
# - `backbone="keras_hub:bert_tiny_en_uncased"`: a preset of KerasHub with its tokenizer (`pip install
#   tf-transfer[keras-hub]`);
# - `backbone_options={"word_vectors": "glove.6B.100d.txt"}`: the first layer starts from published word vectors.
