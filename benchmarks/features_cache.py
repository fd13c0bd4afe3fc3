"""The frozen phase through the feature cache against plain `fit` with the same frozen backbone, in one run.

Both train the same head from the same start with the same optimizer for ten epochs on `hymenoptera` at 160 px; the
cached way pays for its one pass of extraction. ResNet50 has random weights: only its speed counts.
"""

import tempfile
import time
from pathlib import Path

import keras
from common import Results, arguments, images
from transfer import WEIGHTS

import tf_transfer as tft

EPOCHS, BATCH_SIZE = 10, 32


def build(backbone, data, seed):
    weights = str(Path(data) / WEIGHTS) if backbone == "mobilenet_v2" else None
    return tft.ImageClassifier(
        num_classes=2, backbone=backbone, weights=weights, input_shape=(160, 160, 3), augmentation=None, seed=seed
    ).build()


def cached(backbone, data, seed, train):
    model = build(backbone, data, seed)
    encoder, head = tft.backbones.split_at_backbone(model)
    head.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stream = tft.data.as_dataset(train, batch_size=BATCH_SIZE)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        features = tft.FeatureCache(folder).features(encoder, stream, verbose=0)
        extracted = time.perf_counter()
        head.fit(features.dataset(BATCH_SIZE, shuffle=True, seed=seed), epochs=EPOCHS, verbose=0, shuffle=False)
        end = time.perf_counter()
    return model, end - start, extracted - start


def plain(backbone, data, seed, train):
    model = build(backbone, data, seed)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stream = tft.data.as_dataset(train, batch_size=BATCH_SIZE, shuffle=True, seed=seed)
    start = time.perf_counter()
    model.fit(stream, epochs=EPOCHS, verbose=0, shuffle=False)
    return model, time.perf_counter() - start


def measure(backbone, data, seed, train, test):
    with_cache, cached_seconds, extraction_seconds = cached(backbone, data, seed, train)
    without, plain_seconds = plain(backbone, data, seed, train)
    accuracies = [tft.analysis.evaluate_classifier(model, test).accuracy for model in (with_cache, without)]
    return {
        "cached_seconds": round(cached_seconds, 2),
        "extraction_seconds": round(extraction_seconds, 2),
        "plain_seconds": round(plain_seconds, 2),
        "ratio": round(plain_seconds / cached_seconds, 2),
        "cached_accuracy": round(accuracies[0], 4),
        "plain_accuracy": round(accuracies[1], 4),
    }


def main():
    parsed = arguments(__doc__, backbones="mobilenet_v2,resnet50")
    x, y, domain = images(parsed.data, "hymenoptera", 160)
    train, test = (x[domain == 0], y[domain == 0]), (x[domain == 1], y[domain == 1])
    results = Results("features_cache", parsed.anew)
    for backbone in parsed.backbones.split(","):
        for seed in parsed.seeds if backbone == "mobilenet_v2" else parsed.seeds[:1]:
            key = {"backbone": backbone, "seed": seed, "epochs": EPOCHS}
            results.run(key, lambda: measure(backbone, parsed.data, seed, train, test))  # noqa: B023


if __name__ == "__main__":
    main()
