# %% [markdown]
# # What did it learn, and can I show it?
#
# A trained model is asked four questions before anybody relies on it:
#
# 1. is it right as often as it says (calibration)?
# 2. where does it look (explanations)?
# 3. what did fine-tuning change, and what was forgotten?
# 4. on which examples does it fail?
#
# At the end one HTML page says all of that, in a file that needs no network. The images are shapes that are drawn here,
# so that it is known what there is to see; the same calls work on your photos.

# %%
import tempfile
from pathlib import Path

import keras
import numpy as np

import tf_transfer as tft

workplace = Path(tempfile.mkdtemp())
SIZE, NAMES = 32, ["disc", "ring", "cross"]


def shapes(num, seed, light=1.0):
    """Returns images of one shape each on noise, somewhere, and which shape it is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    images, kinds = rng.uniform(0, 90, (num, SIZE, SIZE, 3)), np.arange(num) % 3
    for image, kind in zip(images, kinds):
        row, column = rng.integers(8, SIZE - 8, 2)
        distance = np.hypot(y - row, x - column)
        inside = {
            0: distance < 5,
            1: (distance > 3.5) & (distance < 6.5),
            2: (np.abs(y - row) < 2) & (np.abs(x - column) < 6) | (np.abs(x - column) < 2) & (np.abs(y - row) < 6),
        }[kind]
        image[inside] = rng.uniform(120, 255, 3) * light
    return images.astype("float32"), kinds


train, held_out, test = shapes(240, seed=0), shapes(120, seed=1), shapes(240, seed=2)

# %% [markdown]
# ## A model to ask
#
# A small encoder is pretrained on discs and rings alone, then fine-tuned on all three shapes.

# %%
image = keras.Input((SIZE, SIZE, 3), name="image")
x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
for number, filters in enumerate((16, 32, 48), start=1):
    initializer = keras.initializers.HeNormal(number)
    x = keras.layers.Conv2D(filters, 3, strides=2 if number > 1 else 1, padding="same", activation="relu",
                            kernel_initializer=initializer, name=f"block_{number}")(x)  # fmt: skip
body = keras.Model(image, x, name="shapes")

known = train[1] < 2
source = (train[0][known], train[1][known])
pretrained = tft.ImageClassifier(num_classes=2, backbone=body, trainable=True, augmentation=None, pooling="max", seed=0)
pretrained = pretrained.build()
pretrained.fit(*source, epochs=12, batch_size=16, verbose=0)


def new_model():
    """A model of three shapes on a copy of the pretrained backbone; a builder trains the network that it is given."""
    backbone = keras.models.clone_model(body)
    backbone.set_weights(body.get_weights())
    builder = tft.ImageClassifier(
        num_classes=3, class_names=NAMES, backbone=backbone, augmentation=None, pooling="max", seed=0
    )
    return builder.build()


before, model = new_model(), new_model()
history = tft.fine_tune(
    model, train, held_out, freeze_epochs=5, epochs=25, unfreeze=True, fine_tuning_rate=3e-3, batch_size=16,
    features_cache=workplace / "features", seed=0, verbose=0,
)  # fmt: skip
evaluation = tft.analysis.evaluate_classifier(model, test)
print(evaluation)

# %% [markdown]
# ## Is it right as often as it says?
#
# Networks are often too sure. `calibrate` finds the temperature on held-out images and puts it into the model; no
# prediction changes, and an export has it in it.

# %%
calibration = tft.analysis.calibrate(model, held_out)
print(calibration)
calibration.plot().savefig(workplace / "calibration.png")
calibrated = calibration.model
errors = [tft.analysis.Reliability(tft.analysis.evaluate_classifier(each, test)) for each in (model, calibrated)]
print("on the test:", *(f"{each.expected_calibration_error:.3f}" for each in errors))
assert np.array_equal(model.predict(test[0], verbose=0).argmax(1), calibrated.predict(test[0], verbose=0).argmax(1))

# %% [markdown]
# ## Where does it look?
#
# Grad-CAM through the nested backbone, at its last maps. Here it is known where the shape is: the bright pixels. What
# speaks for the class should lie there.

# %%
explained = tft.analysis.grad_cam(model, test[0][:60])
explained.plot().savefig(workplace / "grad_cam.png")
shape = test[0][:60].max(axis=-1) > 100
share = explained.values[shape].mean() / explained.values[~shape].mean()
print(f"a pixel of the shape has {share:.1f} times the weight of one beside it")
assert share > 1.2

occluded = tft.analysis.occlusion(model, test[0][:2], patch=8)
pixels = tft.analysis.integrated_gradients(model, test[0][:2], num_steps=16)
print(occluded, pixels)

# %% [markdown]
# ## What did fine-tuning change?
#
# How far the weights of each block moved, and how alike its outputs still are.

# %%
moved = tft.analysis.what_moved(before, model, test)
moved.plot().savefig(workplace / "moved.png")
for row in moved.rows:
    print(f"{row.block}: weights by {row.weight_change:.1%}, features alike {row.cka:.2f}")
assert [row.block for row in moved.rows] == tft.blocks(model)

# %% [markdown]
# ## Where does it fail?
#
# Slices: the same model on groups of the examples, such as dark images and bright ones.

# %%
dark = shapes(240, seed=3, light=0.5)
both = tuple(np.concatenate(parts) for parts in zip(test, dark))
whole = tft.analysis.evaluate_classifier(model, both)
for name, part in whole.slices(["bright"] * 240 + ["dark"] * 240).items():
    print(name, part)
places, cosines = tft.analysis.nearest_examples(tft.backbones.split_at_backbone(model)[0], test[0][:1], train[0])
print("training images most like the first:", [NAMES[train[1][place]] for place in places[0]])

# %% [markdown]
# ## One page
#
# All of it in a file that can be mailed, opened on a phone and kept beside the model.

# %%
path = tft.report(
    calibrated, test, workplace / "shapes.html", title="Discs, rings and crosses", history=history, pretrained=before,
    verbose=0,
)  # fmt: skip
page = Path(path).read_text()
assert "Where it looks" in page and 'src="http' not in page and "url(" not in page
print(f"{path}: {len(page) / 1e6:.1f} MB")

# %% [markdown]
# On the command line: `tf-transfer report RUN`, of what `tf-transfer train --output RUN` left.
#
# ## In TensorBoard
#
# The features of the test images as points to turn, colored by class or by whether the model is right, with the images
# on them: `tensorboard --logdir` with the folder below, then "Projector".

# %%
encoder = tft.backbones.split_at_backbone(model)[0]
right = evaluation.predictions == evaluation.labels
columns = {"shape": [NAMES[kind] for kind in test[1]], "right": right}
features = encoder.predict(test[0], verbose=0)
folder = tft.reporting.write_projector(features, workplace / "logs", columns=columns, images=test[0])
print(sorted(path.name for path in Path(folder).iterdir()))
