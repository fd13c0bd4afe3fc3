# %% [markdown]
# # Several questions about one picture
#
# What is it, how large is it, and which of several words fit? One network can answer all three: they share an encoder,
# and what one question teaches helps with the others. Labels are seldom complete, though. This tutorial
#
# 1. builds a model of three tasks whose labels are missing here and there,
# 2. trains it with fixed weights and with weights that are learned,
# 3. mixes two data sets that have labels of one task each,
# 4. takes one task out of the model, and exports the whole.
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
SHAPES = ["square", "cross", "bar"]


def draw(num_pictures, seed):
    """Returns pictures, the number of the shape, its size in pixels, and whether it is bright and large."""
    rng = np.random.default_rng(seed)
    shape, half = rng.integers(0, 3, num_pictures), rng.integers(2, 8, num_pictures)
    light = rng.uniform(60, 255, num_pictures)
    pictures = rng.uniform(0, 40, (num_pictures, 20, 20, 1)).astype("float32")
    for i in range(num_pictures):
        y, x = rng.integers(half[i], 20 - half[i], 2)
        rows, columns = slice(y - half[i], y + half[i] + 1), slice(x - half[i], x + half[i] + 1)
        if shape[i] == 0:
            pictures[i, rows, columns] = light[i]
        else:
            pictures[i, rows, x] = light[i]
        if shape[i] == 1:
            pictures[i, y, columns] = light[i]
    size = (2.0 * half + 1.0)[:, None].astype("float32")
    return pictures, shape, size, np.stack([light > 160, half > 4], axis=-1).astype("int64")


pictures, shape, size, tags = draw(600, seed=0)
test_pictures, test_shape, test_size, test_tags = draw(300, seed=1)
test_labels = {"shape": test_shape, "size": test_size, "tags": test_tags}

# %% [markdown]
# ## A head a task
#
# The trunk is a builder without a head: images here, `tft.builders.TextBuilder`, `TabularBuilder` or `AudioBuilder` for
# other inputs. Any pretrained backbone does; a small one that starts at random keeps this short.

# %%
layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(16, 3, strides=2, activation="relu")]
layers += [keras.layers.Conv2D(32, 3, strides=2, activation="relu"), keras.layers.Flatten()]
layers += [keras.layers.Dense(48, activation="relu")]
encoder = keras.Sequential([keras.Input((20, 20, 1)), *layers])
tft.backbones.reinitialize(encoder, 0).save(workplace / "encoder.keras")
TRUNK = tft.builders.ImageBuilder(
    backbone=f"file:{workplace / 'encoder.keras'}", augmentation=None, trainable=True, dropout=0.0, seed=0
)
TASKS = {
    "shape": tft.ClassificationTask(num_classes=3, class_names=SHAPES),
    "size": tft.RegressionTask(target_mean=float(size.mean()), target_std=float(size.std())),
    "tags": tft.ClassificationTask(num_classes=2, class_names=["bright", "large"], multi_label=True),
}


model = tft.MultiTask(trunk=TRUNK, tasks=TASKS).build()
print({name: output.shape for name, output in model.output.items()})

# %% [markdown]
# ## Labels that are not there
#
# A missing class is -1, a missing number NaN. Here the shape is known of a third of the pictures, and the size of
# another third. Losses and metrics are those of the examples that have the label.

# %%
rng = np.random.default_rng(2)
third = rng.integers(0, 3, len(pictures))
labels = {
    "shape": np.where(third == 0, shape, -1),
    "size": np.where(third[:, None] == 1, size, np.nan).astype("float32"),
    "tags": np.where(rng.uniform(size=tags.shape) < 0.5, tags, -1),
}
history = model.fit(pictures, labels, epochs=10, batch_size=32, verbose=0).history
print({name: round(values[-1], 3) for name, values in history.items()})


def report(name, of):
    found = of.evaluate(test_pictures, test_labels, return_dict=True, verbose=0)
    shown = {each: round(found[each], 3) for each in ("shape_accuracy", "size_mae", "tags_accuracy")}
    print(f"{name}: {shown}")


report("fixed weights", model)

# %% [markdown]
# ## Weights that are learned
#
# Which loss should count how much? `weight=` of a task fixes it. Methods find it while they train: by the uncertainty
# of each task (`tft.UncertaintyWeighting`), by how slowly each gets better (`tft.DynamicWeightAveraging`), by the size
# of the gradients (`tft.GradNorm`), or they leave the weights and take conflicts out of the gradients (`tft.PCGrad`).
# Each is a Keras model around yours. Without a loss, `compile` takes those that the builder chose.

# %%
for method in (tft.UncertaintyWeighting, tft.PCGrad):
    balanced = method(tft.MultiTask(trunk=TRUNK, tasks=TASKS).build())
    balanced.compile(keras.optimizers.Adam(1e-3))
    history = balanced.fit(pictures, labels, epochs=10, batch_size=32, verbose=0).history
    of_method = {name: round(values[-1], 3) for name, values in history.items() if "weight" in name or "confl" in name}
    report(f"{method.__name__} {of_method}", balanced.deployable())

# %% [markdown]
# ## Two data sets, one of each kind
#
# Often it is another data set that has the other labels. `mix_tasks` puts both into each batch, and says of each
# example what is missing.

# %%
with_shapes, with_sizes = (pictures[:200], shape[:200]), (pictures[200:], size[200:])
mixed = tft.data.mix_tasks({"shape": with_shapes, "size": with_sizes}, batch_size=32, seed=0)
images, known = next(iter(mixed))
print("of the first four:", known["shape"].numpy()[:4], known["size"].numpy()[:4, 0])
two = tft.MultiTask(trunk=TRUNK, tasks={name: TASKS[name] for name in ("shape", "size")}).build()
two.fit(mixed, epochs=10, verbose=0)
scores = two.predict(test_pictures, verbose=0)
accuracy, error = np.mean(scores["shape"].argmax(-1) == test_shape), np.abs(scores["size"] - test_size).mean()
print(f"accuracy of the shape {accuracy:.2f}, mean error of the size {error:.2f}")

# %% [markdown]
# ## One task, and all of them
#
# What works on models of one output, such as distillation and the methods of domain adaptation, takes the model of one
# task. It shares its layers with the whole.

# %%
shapes_only = tft.builders.one_task(two, "shape")
encoder, head = tft.backbones.split_at_backbone(shapes_only)
print(shapes_only.output_shape, encoder.output_shape)

# %% [markdown]
# What is exported has an output a task, and labels for those that have class names.

# %%
folder = tft.export(model, workplace / "shapes", class_names={"shape": SHAPES}, examples=test_pictures[:8])
served = tf.saved_model.load(folder).signatures["serving_default"]
print(sorted(served(image=tf.constant(test_pictures[:2]))))
