"""From scratch, feature extraction and fine-tuning side by side, on few and on more images.

`hymenoptera`: the 243 training images train, the 153 validation images score; no run sees them: `fine_tune` holds out a
part of the 243 to find how many epochs of its second phase help, then trains on all.
`flowers128`: 80/20 by seed; 10 % of the 80 are held out of training to choose the best epoch, the 20 score.
"""

from pathlib import Path

import keras
import numpy as np
from common import Results, arguments, images

import tf_transfer as tft

WEIGHTS = "weights/mobilenet_v2_1.0_224_imagenet_dequant_notop.weights.h5"
SIZES = {"hymenoptera": 160, "flowers128": 128}
METHODS = ("from scratch", "feature extraction", "fine-tuned")
RECIPE = {
    "hymenoptera": {"freeze_epochs": 60, "epochs": 6, "learning_rate": 1e-2, "fine_tuning_rate": 1e-5},
    "flowers128": {"freeze_epochs": 30, "epochs": 6, "learning_rate": 1e-2, "fine_tuning_rate": 1e-4},
}
SCRATCH = {"hymenoptera": {"epochs": 20, "rate": 1e-3}, "flowers128": {"epochs": 6, "rate": 1e-3}}


def splits(dataset, x, y, domain, seed):
    """Returns (train, validation or None, test), each `(x, y)`."""
    if domain is not None:
        return (x[domain == 0], y[domain == 0]), None, (x[domain == 1], y[domain == 1])
    order = np.random.default_rng(seed).permutation(len(y))
    test, rest = np.split(order, [len(y) // 5])
    held_out, train = np.split(rest, [len(rest) // 10])
    return (x[train], y[train]), (x[held_out], y[held_out]), (x[test], y[test])


def measure(dataset, method, seed, data, arrays):
    train, validation, test = splits(dataset, *arrays, seed)
    scratch = method == "from scratch"
    builder = tft.ImageClassifier(
        num_classes=int(arrays[1].max()) + 1,
        weights=None if scratch else str(Path(data) / WEIGHTS),
        input_shape=(SIZES[dataset], SIZES[dataset], 3),
        dropout=0.0,
        l2=1e-3,
        seed=seed,
    )
    model = builder.build()
    common = {"seed": seed, "verbose": 2}
    if scratch:
        # MobileNetV2 averages its batch statistics over a thousand steps, more than these runs have.
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.9
        choice = SCRATCH[dataset]
        tft.fine_tune(
            model, train, validation, freeze_epochs=0, epochs=choice["epochs"], fine_tuning_rate=choice["rate"],
            unfreeze=True, batch_norm="trainable", validation_split=0.0, **common,
        )  # fmt: skip
    else:
        recipe = dict(RECIPE[dataset])
        if method == "feature extraction":
            recipe["epochs"] = 0
        tft.fine_tune(model, train, validation, **recipe, **common)
    evaluation = tft.analysis.evaluate_classifier(model, test)
    return {"accuracy": round(evaluation.accuracy, 4), "macro_f1": round(evaluation.macro_f1, 4), "test": len(test[1])}


def main():
    parsed = arguments(__doc__, datasets="hymenoptera,flowers128", methods=",".join(METHODS))
    results = Results("transfer", parsed.anew)
    for dataset in parsed.datasets.split(","):
        arrays = images(parsed.data, dataset, SIZES[dataset])
        for seed in parsed.seeds:
            for method in parsed.methods.split(","):
                key = {"dataset": dataset, "method": method, "seed": seed}
                results.run(key, lambda: measure(dataset, method, seed, parsed.data, arrays))  # noqa: B023


if __name__ == "__main__":
    main()
