"""How well scores of frozen features foretell which encoder is best after fine-tuning.

    python benchmarks/transferability.py --data FOLDER

Ten encoders: pretrained networks of three widths, whole and cut in the middle, at two sizes of images, two of them with
random weights, and the encoder of digits that the project ships. Three sets: `hymenoptera` (243 images train, 153 are
the test), `flowers128` (20 a class train, drawn by the seed, and 1000 of the others are the test) and scikit-learn's
digits (10 a class and 600). Each score sees the frozen features of the training images and their labels. Each encoder
is fine-tuned by one recipe on the same images, set beforehand for all: a head for 30 epochs, then everything for 12, at
a tenth of the rate, last weights. What counts is the weighted tau between a score and the test accuracy over the ten.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
from common import Results, arguments, images
from sklearn.datasets import load_digits

import tf_transfer as tft
from tf_transfer.analysis.linear_probe import features_and_labels
from tf_transfer.analysis.ranking import SCORES
from tf_transfer.backbones.blocks import block_ends

WEIGHTS = {
    "mobilenet 0.25": ("mobilenet", "mobilenet_v1_0.25_224_imagenet_notop", {"alpha": 0.25}),
    "mobilenet 0.5": ("mobilenet", "mobilenet_v1_0.5_160_imagenet_dequant_notop", {"alpha": 0.5}),
    "mobilenet_v2": ("mobilenet_v2", "mobilenet_v2_1.0_224_imagenet_dequant_notop", {"alpha": 1.0}),
}
# Name: network, size of images in pixels, the block it ends with, whether it is pretrained.
ENCODERS = {
    "MobileNet 0.25": ("mobilenet 0.25", 96, None, True),
    "MobileNet 0.25 at 64 px": ("mobilenet 0.25", 64, None, True),
    "MobileNet 0.25 to block 6": ("mobilenet 0.25", 96, "block_6", True),
    "MobileNet 0.25, random": ("mobilenet 0.25", 96, None, False),
    "MobileNet 0.5": ("mobilenet 0.5", 96, None, True),
    "MobileNet 0.5 to block 6": ("mobilenet 0.5", 96, "block_6", True),
    "MobileNet 0.5, random": ("mobilenet 0.5", 96, None, False),
    "MobileNetV2 1.0": ("mobilenet_v2", 96, None, True),
    "MobileNetV2 1.0 to block 10": ("mobilenet_v2", 96, "block_10", True),
    "digits": (None, 28, None, True),
}
SETS = ("hymenoptera", "flowers128", "digits")
RECIPE = {"freeze_epochs": 30, "epochs": 12, "learning_rate": 3e-3, "fine_tuning_rate": 3e-4, "unfreeze": True}


def encoder(name, data, seed):
    """Returns a model from images of 96 x 96 pixels and three channels to features."""
    network, size, end, pretrained = ENCODERS[name]
    image = keras.Input((96, 96, 3), name="image")
    x = image if size == 96 else keras.layers.Resizing(size, size)(image)
    if network is None:
        grey = keras.layers.Conv2D(1, 1, use_bias=False, trainable=False, kernel_initializer=_luma, name="grey")(x)
        return keras.Model(image, tft.load_backbone("mnist_encoder")(grey), name="encoder")
    family, file, options = WEIGHTS[network]
    weights = str(Path(data) / "weights" / f"{file}.weights.h5") if pretrained else None
    backbone = tft.load_backbone(family, weights, (size, size, 3), pooling=None, **options)
    if not pretrained:
        tft.backbones.reinitialize(backbone, seed)
    if end is not None:
        backbone = keras.Model(backbone.input, block_ends(backbone)[end].output)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(backbone(x)), name="encoder")


def _luma(shape, dtype=None):
    return keras.ops.reshape(keras.ops.convert_to_tensor([0.299, 0.587, 0.114], dtype), shape)


def drawn(y, count, num_test, seed):
    """Returns rows of so many examples a class to train on, the same for each encoder, and others as the test."""
    rng = np.random.default_rng(seed)
    train = np.concatenate([rng.permutation(np.flatnonzero(y == kind))[:count] for kind in np.unique(y)])
    return train, rng.permutation(np.setdiff1d(np.arange(len(y)), train))[:num_test]


def examples(dataset, data, seed):
    """Returns (x, y) to train on and (x, y) of the test."""
    if dataset == "digits":
        x, y = load_digits(return_X_y=True)
        x = keras.ops.image.resize(x.reshape(-1, 8, 8, 1) * 255 / 16, (96, 96))
        x, y = np.repeat(np.asarray(x), 3, axis=-1).clip(0, 255).astype("float32"), y.astype("int64")
        train, test = drawn(y, 10, 600, seed)
    else:
        x, y, domain = images(data, dataset, 96)
        if domain is not None:
            train, test = np.flatnonzero(domain == 0), np.flatnonzero(domain == 1)
        else:
            train, test = drawn(y, 20, 1000, seed)
    return (x[train], y[train]), (x[test], y[test])


def measure(name, train, test, data, seed):
    made = encoder(name, data, seed)
    features, labels = features_and_labels(made, train, 64, None)
    found = {score: round(float(function(features, labels)), 5) for score, function in SCORES.items()}
    model = tft.ImageClassifier(
        num_classes=int(train[1].max()) + 1, backbone=made, augmentation=None, dropout=0.0, seed=seed
    ).build()
    with tempfile.TemporaryDirectory() as folder:
        tft.fine_tune(model, train, validation_split=0.0, features_cache=folder, seed=seed, verbose=0, **RECIPE)
    return {**found, "accuracy": round(tft.analysis.evaluate_classifier(model, test).accuracy, 4)}


def main():
    given = arguments(__doc__)
    results = Results("transferability", given.anew)
    for seed in given.seeds:
        for dataset in SETS:
            train, test = examples(dataset, given.data, seed)
            for name in ENCODERS:
                key = {"set": dataset, "encoder": name, "seed": seed}
                results.run(key, lambda name=name, train=train, test=test, seed=seed: measure(
                    name, train, test, given.data, seed))  # fmt: skip


if __name__ == "__main__":
    main()
