"""Trains the MNIST encoder that the project ships and writes it with its figures.

    python saved_models/mnist_encoder/train.py --data DIR [--seed 0] [--epochs 6] [--out FOLDER]

DIR holds `mnist/mnist.npz` (arrays x_train, y_train, x_test, y_test). The encoder is meant to be carried over to
other handwritten digits, so it is trained on MNIST as other scanners would have seen it: coarser, thicker, thinner,
larger, tilted. No other data is used; scikit-learn's digits only tell, afterwards, how well the features carry over.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_transfer.backbones import reusable

HERE = Path(__file__).parent
IMAGE_SHAPE = (28, 28, 1)
COARSE_SIZES = (8, 10, 14)
BATCH_SIZE = 128


def build_encoder(seed=None):
    """Returns the untrained encoder: 28x28x1 images in [0, 1] to 96 features, three blocks of two convolutions."""
    seeds = iter(np.random.default_rng(seed).integers(2**31, size=6))
    inputs = x = keras.Input(IMAGE_SHAPE, name="image")
    for block, filters in enumerate([(16, 16), (32, 32), (64, 96)], start=1):
        for part, count in enumerate(filters, start=1):
            x = keras.layers.Conv2D(
                count,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer=keras.initializers.GlorotUniform(int(next(seeds))),
                kernel_regularizer=keras.regularizers.L2(1e-4),
                name=f"block_{block}_conv_{part}",
            )(x)
            x = keras.layers.BatchNormalization(momentum=0.95, name=f"block_{block}_norm_{part}")(x)
            x = keras.layers.ReLU(name=f"block_{block}_relu_{part}")(x)
        if block < 3:
            x = keras.layers.MaxPooling2D(name=f"block_{block}_pool")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="features")(x), name="mnist_encoder")


def augment(images, seed):
    """Returns a batch as other scanners would have seen it; `seed` is a pair of integers."""
    seeds = tf.random.split(tf.cast(seed, tf.int32), 4)
    images = _warp(images, seeds[0])
    images = _thicken_or_thin(images, seeds[1])
    images = _coarsen(images, seeds[2])
    contrast = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seeds[3], 0.6, 1.6)
    return tf.clip_by_value(images, 0.0, 1.0) ** contrast


def _warp(images, seed):
    """Turns by up to 15 degrees, shears, stretches each axis by 0.85 to 1.55, and shifts by up to 3 pixels."""
    count = tf.shape(images)[0]
    draws = tf.random.stateless_uniform([6, count], seed, -1.0, 1.0)
    angle, shear = 0.26 * draws[0], 0.2 * draws[1]
    # An output pixel looks up its source, so enlarging divides.
    size = tf.exp(0.2 + 0.25 * draws[2])
    height, width = size, size * tf.exp(0.15 * draws[3])
    a, b = tf.cos(angle) / width, (shear - tf.sin(angle)) / height
    c, d = tf.sin(angle) / width, tf.cos(angle) / height
    shift_x = 13.5 - 13.5 * (a + b) + 3.0 * draws[4]
    shift_y = 13.5 - 13.5 * (c + d) + 3.0 * draws[5]
    zeros = tf.zeros_like(a)
    transforms = tf.stack([a, b, shift_x, c, d, shift_y, zeros, zeros], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=IMAGE_SHAPE[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _thicken_or_thin(images, seed):
    choice = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
    thick = tf.nn.max_pool2d(images, 3, 1, "SAME")
    thin = -tf.nn.max_pool2d(-images, 2, 1, "SAME")
    return tf.where(choice < 0.3, thick, tf.where(choice > 0.9, thin, images))


def _coarsen(images, seed):
    """Reduces three images in four to 8, 10 or 14 pixels a side and brings them back to 28."""
    choice = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed)
    for step, size in enumerate(COARSE_SIZES):
        coarse = tf.image.resize(tf.image.resize(images, (size, size), "area"), IMAGE_SHAPE[:2])
        images = tf.where((choice >= 0.25 * step) & (choice < 0.25 * (step + 1)), coarse, images)
    return images


def batches(x, y, seed):
    """Returns an endless dataset of augmented batches, the same for the same seed."""
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed).repeat().batch(BATCH_SIZE)
    dataset = dataset.enumerate().map(
        lambda step, batch: (augment(batch[0], tf.stack([tf.constant(seed, tf.int64), step])), batch[1]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return dataset.prefetch(2)


def train(x, y, seed, epochs, verbose):
    """Returns the encoder, trained together with a linear classifier that is thrown away."""
    encoder = build_encoder(seed)
    head = keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(seed))
    model = keras.Sequential([encoder, head])
    steps = len(x) // BATCH_SIZE
    rate = keras.optimizers.schedules.CosineDecay(0.0, epochs * steps, warmup_target=3e-3, warmup_steps=steps // 4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(batches(x, y, seed), epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=verbose)
    return encoder, model


def digits_like_mnist():
    """Returns scikit-learn's 8x8 digits as 28x28x1 images in [0, 1], and their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images[..., None].astype("float32") / 16.0
    return tf.image.resize(images, IMAGE_SHAPE[:2]).numpy(), digits.target


def probe(encoder, repeats=5, labels_per_class=10):
    """Returns mean and spread of the accuracy of a linear classifier on frozen features of scikit-learn's digits."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    images, labels = digits_like_mnist()
    features = StandardScaler().fit_transform(encoder.predict(images, batch_size=256, verbose=0))
    scores = []
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(len(labels))
        chosen = np.concatenate([order[labels[order] == label][:labels_per_class] for label in range(10)])
        rest = np.setdiff1d(order, chosen)
        classifier = LogisticRegression(max_iter=2000).fit(features[chosen], labels[chosen])
        scores.append(classifier.score(features[rest], labels[rest]))
    return float(np.mean(scores)), float(np.std(scores))


def figures_of(encoder, model, x_test, y_test):
    """Returns what is worth knowing about a trained encoder."""
    coarse = tf.image.resize(tf.image.resize(x_test, (8, 8), "area"), IMAGE_SHAPE[:2]).numpy()
    mean, spread = probe(encoder)
    return {
        "parameters": encoder.count_params(),
        "mnist_test_accuracy": round(model.evaluate(x_test, y_test, batch_size=512, verbose=0)[1], 4),
        "mnist_test_accuracy_at_8x8": round(model.evaluate(coarse, y_test, batch_size=512, verbose=0)[1], 4),
        "digits_probe_accuracy": round(mean, 4),
        "digits_probe_spread": round(spread, 4),
        "digits_probe_accuracy_untrained": round(probe(build_encoder(seed=0))[0], 4),
    }


def render(figures, text):
    """Returns the README's text with its table of figures made anew."""
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in figures.items())
    begin, end = "<!-- figures -->", "<!-- end of figures -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n| Figure | Value |\n| --- | --- |\n{rows}\n{end}{rest.partition(end)[2]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder that holds mnist/mnist.npz")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument(
        "--out", type=Path, default=HERE, help="folder that gets 1/, figures.json and, in README.md, the table"
    )
    parser.add_argument("--quiet", action="store_true", help="print one line an epoch")
    options = parser.parse_args()
    with np.load(options.data / "mnist" / "mnist.npz") as mnist:
        x_train, x_test = (mnist[name][..., None].astype("float32") / 255.0 for name in ("x_train", "x_test"))
        y_train, y_test = mnist["y_train"].astype("int64"), mnist["y_test"].astype("int64")
    start = time.perf_counter()
    encoder, model = train(x_train, y_train, options.seed, options.epochs, 2 if options.quiet else 1)
    seconds = round(time.perf_counter() - start)
    figures = figures_of(encoder, model, x_test, y_test)
    figures = {"seed": options.seed, "epochs": options.epochs, "training_seconds": seconds, **figures}
    print(json.dumps(figures, indent=2))
    folder = reusable.export_reusable(encoder, options.out / "1", overwrite=True, input_scale=1)
    (options.out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    readme = options.out / "README.md"
    if readme.is_file():
        readme.write_text(render(figures, readme.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"Wrote {folder}")


if __name__ == "__main__":
    main()
