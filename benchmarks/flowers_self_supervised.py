"""Flowers with 20 labels a class: an encoder pretrained on all images without labels, against one from scratch.

A fifth of the images scores and no run sees it; the other 3454 are the unlabelled images of every pretraining, and of
them 20 a class are drawn by seed for their labels. The encoder is a residual network of 0.3 million parameters at 48
pixels. SimCLR and the masked autoencoder pretrain it once, with one seed of their own; each epoch is kept in
benchmarks/cache, so that a run that was stopped goes on. "linear probe": `tft.analysis.linear_probe` on the features.
"fine-tuned": the head alone, then all weights, on 100 images with the standard augmentation; from scratch all weights
for as many epochs. The highest of RATES that all weights train at is chosen for each start, by the labels that were
drawn with CHOOSING, on training images that were not; the epochs, and all that belongs to the pretraining, were set
beforehand.
"""

import time
from pathlib import Path

import keras
import numpy as np
from common import Results, arguments, images
from transfer import WEIGHTS, splits

import tf_transfer as tft
from tf_transfer.backbones import reinitialize
from tf_transfer.data.unlabelled_batches import unlabelled_batches

SIZE, LABELS, BATCH = 48, 20, 256
CACHE = Path(__file__).parent / "cache" / "flowers_self_supervised"
EPOCHS = {"SimCLR": 90, "masked autoencoder": 40}
RATE = 2e-3
STARTS = ("from scratch", *EPOCHS)
IMAGENET = "ImageNet, MobileNetV2 at 128 pixels"
TUNED = {"freeze_epochs": 20, "epochs": 40, "learning_rate": 3e-3}
SCRATCH = {"freeze_epochs": 0, "epochs": 60}
RATES, CHOOSING = (5e-4, 2e-3), 100


def encoder(seed):
    """Returns a residual network from images in 0..255 to 128 features."""
    layers = keras.layers

    def convolved(x, filters, strides=1, activation="relu"):
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        return layers.Activation(activation)(x)

    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = convolved(layers.Rescaling(1 / 127.5, offset=-1)(image), 24, strides=2)
    for filters in (32, 64, 128):
        short = layers.Conv2D(filters, 1, 2, use_bias=False)(x)
        x = convolved(x, filters, strides=2)
        x = layers.ReLU()(layers.Add()([short, convolved(x, filters, activation="linear")]))
    features = layers.GlobalAveragePooling2D()(x)
    return reinitialize(keras.Model(image, features, name="encoder"), seed)


class Setting:
    """The images, those that score, and the encoders that were pretrained on the others."""

    def __init__(self, data):
        self.data = data
        x, self.y, _ = images(data, "flowers128", SIZE)
        self.x = x.astype("uint8")
        train, held_out, test = splits("flowers128", np.arange(len(x)), self.y, None, 0)
        self.unlabelled, self.test = np.sort(np.concatenate([train[0], held_out[0]])), test[0]

    def drawn(self, seed):
        """Returns the indices of the labelled images of a seed, and of those that score."""
        order = np.random.default_rng(seed).permutation(self.unlabelled)
        labelled = np.concatenate([order[self.y[order] == kind][:LABELS] for kind in range(self.y.max() + 1)])
        return labelled, self.test if seed != CHOOSING else np.setdiff1d(self.unlabelled, labelled)

    def arrays(self, indices):
        return self.x[indices], self.y[indices]


def pretrained(method, setting, epochs):
    """Pretrains an encoder, or goes on where that was stopped, stores it, and returns its figures."""
    own = encoder(0)
    if method == "SimCLR":
        model = tft.pretraining.SimCLR(own, temperature=0.2, seed=0)
    else:
        model = tft.pretraining.MaskedAutoencoder(own, seed=0)
    steps = epochs * (len(setting.unlabelled) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 20, warmup_target=RATE, warmup_steps=steps // 20
    )
    model.compile(keras.optimizers.AdamW(rate, weight_decay=1e-4))
    x = setting.x[setting.unlabelled]
    stream = unlabelled_batches(x, BATCH, x.shape[1:], shuffle=True, seed=0)
    settings = {"epochs": epochs, "batch": BATCH, "rate": RATE, "images": len(x), "parameters": own.count_params()}
    start = time.process_time()
    with tft.training.RunState(CACHE / f"{method} state", settings) as state:
        history = state.fit(method, model, stream, epochs=epochs, verbose=2)
        own.save(CACHE / f"{method}.keras")
    curve = {name: [round(value, 4) for value in values] for name, values in history.history.items()}
    return {
        "epochs": epochs,
        "parameters": own.count_params(),
        "cpu_seconds": round(time.process_time() - start),
        **curve,
    }


def start_of(name, seed):
    if name == "from scratch":
        return encoder(seed)
    if not (CACHE / f"{name}.keras").exists():
        raise SystemExit(f"The encoder of {name!r} is not on this machine: run with --anew --starts {name!r}.")
    return tft.load_model(CACHE / f"{name}.keras")


def fine_tuned(name, setting, seed, rate):
    """Returns the evaluation of a classifier that starts from an encoder."""
    model = tft.ImageClassifier(
        num_classes=int(setting.y.max()) + 1, backbone=start_of(name, seed), dropout=0.0, l2=1e-3, seed=seed
    ).build()
    recipe = SCRATCH if name == "from scratch" else TUNED
    labelled, scored = setting.drawn(seed)
    tft.fine_tune(
        model, setting.arrays(labelled), **recipe, fine_tuning_rate=rate, unfreeze=True, batch_norm="trainable",
        validation_split=0.0, features_cache=False, seed=seed, verbose=0,
    )  # fmt: skip
    return tft.analysis.evaluate_classifier(model, setting.arrays(scored))


def probed(name, setting, seed):
    labelled, scored = setting.drawn(seed)
    if name == IMAGENET:
        x, y, _ = images(setting.data, "flowers128", 128)
        backbone = tft.load_backbone("mobilenet_v2", str(Path(setting.data) / WEIGHTS), x.shape[1:])
        parts = [(x[each].astype("float32"), y[each]) for each in (labelled, scored)]
    else:
        backbone, parts = start_of(name, seed), [setting.arrays(each) for each in (labelled, scored)]
    return tft.analysis.linear_probe(backbone, *parts, seed=seed)


def measure(evaluation):
    low, high = evaluation.accuracy_interval()
    interval = [round(low, 4), round(high, 4)]
    return {"accuracy": round(evaluation.accuracy, 4), "interval": interval, "scored": len(evaluation.labels)}


def main():
    parsed = arguments(__doc__, starts=";".join((*STARTS, IMAGENET)))
    results, setting = Results("flowers_self_supervised", parsed.anew), Setting(parsed.data)
    CACHE.mkdir(parents=True, exist_ok=True)
    starts = parsed.starts.split(";")
    for name in (name for name in starts if name in EPOCHS):
        results.run({"pretraining": name}, lambda: pretrained(name, setting, EPOCHS[name]))  # noqa: B023
    for name in starts:
        rate = None if name == IMAGENET else chosen_rate(results, name, setting)
        for seed in parsed.seeds:
            key = {"start": name, "seed": seed}
            results.run({**key, "way": "linear probe"}, lambda: measure(probed(name, setting, seed)))  # noqa: B023
            if rate is not None:
                evaluated = {**key, "way": "fine-tuned", "rate": rate}
                results.run(evaluated, lambda: measure(fine_tuned(name, setting, seed, rate)))  # noqa: B023


def chosen_rate(results, name, setting):
    """Returns the rate at which fine-tuning from a start does best on training images."""
    accuracies = {}
    for rate in RATES:
        key = {"start": name, "seed": CHOOSING, "way": "fine-tuned", "rate": rate}
        row = results.run(key, lambda: measure(fine_tuned(name, setting, CHOOSING, rate)))  # noqa: B023
        accuracies[rate] = row["accuracy"]
    return max(accuracies, key=accuracies.get)


if __name__ == "__main__":
    main()
