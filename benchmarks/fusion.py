"""Two frozen backbones on flowers at 96 px: each alone, and fused in every way.

    python benchmarks/fusion.py --data FOLDER

4317 photographs, 80/20 by seed; the 20 score. All of the 80 train, or ten a class of them. MobileNet (0.25, ImageNet)
and MobileNetV2 (1.0, ImageNet) see each image in their own preprocessing; their features are computed once, since no
run changes them, and each head trains on these for 30 epochs of batches of 32 at a rate of up to 0.01, warmed up and
then along a cosine, with a squared norm of 1e-3: what transfer.py has for this data set. The last weights count, so
nothing is chosen. Gates, attention and residual have a hidden layer of 128 units in them; so that it is not that which
is measured, there are heads with such a layer on each backbone alone, and on both side by side.
"""

import itertools
from pathlib import Path

import keras
import numpy as np
from common import Results, arguments, images
from transfer import splits

import tf_transfer as tft

SIZE, EPOCHS, BATCH, LEARNING_RATE, L2, CLASSES = 96, 30, 32, 1e-2, 1e-3, 5
BACKBONES = {
    "MobileNet 0.25": ("mobilenet", "weights/mobilenet_v1_0.25_224_imagenet_notop.weights.h5", {"alpha": 0.25}),
    "MobileNetV2 1.0": ("mobilenet_v2", "weights/mobilenet_v2_1.0_224_imagenet_dequant_notop.weights.h5", {}),
}
FUSIONS = ("concatenate", "gated", "attention", "residual")
HIDDEN = ", hidden layer"
METHODS = (*BACKBONES, *(f"{name}{HIDDEN}" for name in BACKBONES), "concatenate", f"concatenate{HIDDEN}", *FUSIONS[1:])
LABELS = ("all", "10 a class")


def branch(data, name, cls=tft.builders.ImageBuilder, **fields):
    backbone, weights, options = BACKBONES[name]
    shape = {"input_shape": (SIZE, SIZE, 3), "backbone_options": options, "augmentation": None}
    return cls(backbone=backbone, weights=str(Path(data) / weights), **shape, **fields)


def built(data, method, seed):
    fields = {"num_classes": CLASSES, "dropout": 0.0, "l2": L2, "seed": seed}
    fields["hidden_units"] = [128] if method.endswith(HIDDEN) else []
    method = method.removesuffix(HIDDEN)
    if method in BACKBONES:
        return branch(data, method, tft.ImageClassifier, **fields).build()
    branches = {f"branch_{i}": branch(data, name) for i, name in enumerate(reversed(BACKBONES))}
    return tft.FeatureFusion(branches=branches, fusion=method, **fields).build()


def measure(data, method, seed, features, y, rows):
    """Returns the accuracy of a head on features of the test, after training on `rows[0]`."""
    _, head = tft.backbones.split_at_backbone(built(data, method, seed))
    # The better backbone alone comes first: a residual adds to its features.
    alone = method.removesuffix(HIDDEN)
    names = [alone] if alone in BACKBONES else list(reversed(BACKBONES))
    x = np.concatenate([features[name] for name in names], axis=1)
    train, test = rows
    stream = tft.data.as_dataset((x[train], y[train]), batch_size=BATCH, shuffle=True, seed=seed)
    schedule = tft.fine_tuning.warmup_cosine(LEARNING_RATE, EPOCHS * len(stream))
    head.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", steps_per_execution=8)
    head.fit(stream, epochs=EPOCHS, verbose=0)
    right = head.predict(x[test], verbose=0, batch_size=512).argmax(-1) == y[test]
    return {"accuracy": round(float(right.mean()), 4), "parameters": head.count_params()}


def chosen(labels, y, seed):
    """Returns the rows to train on and those of the test."""
    rows = np.arange(len(y))
    (held, _), (also_held, _), (test, _) = splits("flowers128", rows, y, None, seed)
    train = np.concatenate([held, also_held])
    if labels == "10 a class":
        order = np.random.default_rng(seed).permutation(train)
        train = np.concatenate([order[y[order] == number][:10] for number in range(CLASSES)])
    return train, test


def main():
    given = arguments(__doc__)
    results = Results("fusion", given.anew)
    x, y, _ = images(given.data, "flowers128", SIZE)
    features = {}
    for name in BACKBONES:
        encoder, _ = tft.backbones.split_at_backbone(built(given.data, name, 0))
        features[name] = encoder.predict(x, verbose=0, batch_size=64)
    for labels, seed, method in itertools.product(LABELS, given.seeds, METHODS):
        key = {"labels": labels, "method": method, "seed": seed}
        rows = chosen(labels, y, seed)
        results.run(key, lambda: measure(given.data, method, seed, features, y, rows))  # noqa: B023


if __name__ == "__main__":
    main()
