"""Sentiment of kitchen appliances with 50, 200 and 1000 labels, carried over from books, DVDs and electronics.

    python benchmarks/text_transfer.py --data FOLDER --seeds 0

An encoder of one's own (`tft.TextEncoder`, a convolutional network of two blocks) is pretrained by `tft.pretrain_text`
on the 18,000 reviews of the three sources, without their labels, and then trained on those labels; 1 in 10 reviews is
held out, and the epoch with its lowest loss is kept. No review of a kitchen appliance is seen in either. The target has
50, 200 or 1000 labels, half of them positive, of 4000 reviews, and 2000 others for the score, macro-F1.

"from scratch" is the same network without either training, on the target's labels alone; "scratch, mean" the mean of
the words' embeddings, a network that suits few labels better. Both hold out a fifth of the labels to choose the epoch.
"features" trains a new head on the carried encoder, "fine-tuned" is `tft.fine_tune` at its defaults but for the epochs
of the head. "pretrained features" is a head on the encoder that saw no labels of the sources, "features, not
pretrained" on one that saw their labels alone. The two rows of logistic regression on tf-idf have the target's labels
alone, and those of source and target together, weighted so that both domains count alike.

`sst2` has all 6920 labels of its training part: the network from scratch, on the encoder of the reviews, and the mean
of the embeddings, each keeping the epoch that is best on the development part; the score is that of the test part.

Encoders are kept in `--encoders`, by default in benchmarks/cache, and made again when they are not there.
"""

import os

os.environ.update({name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")})

import dataclasses
import gzip
import itertools
import sys
from pathlib import Path

import keras
import numpy as np
from amazon_text import load, split
from common import RESULTS, Results, arguments
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

import tf_transfer as tft

SOURCES, TARGET, LABELS = ("books", "dvd", "electronics"), "kitchen", (50, 200, 1000)
ENCODER = {"architecture": "cnn", "dim": 64, "num_blocks": 2, "sequence_length": 128, "max_words": 8000}
PRETRAIN = {"epochs": 3, "batch_size": 64, "learning_rate": 2e-3}
SOURCE_EPOCHS, SOURCE_RATE, BATCH = 3, 1e-3, 64
HEAD_EPOCHS, SCRATCH_STEPS, MEAN = 60, 600, {"architecture": "mean", "dim": 64, "sequence_length": 128}
LINEAR = ("tf-idf, target labels", "tf-idf, source and target labels")
NOT_BOTH = ("pretrained features", "features, not pretrained")
METHODS = (*LINEAR, "features", "fine-tuned", "from scratch", "scratch, mean", *NOT_BOTH)
SST2 = ("from scratch", "scratch, mean", "fine-tuned", "tf-idf")


def sources(folder):
    """Returns the reviews of all sources and their labels."""
    texts, labels = zip(*(load(folder, name) for name in SOURCES))
    return np.concatenate(texts), np.concatenate(labels)


def pretrained(data, seed, folder):
    """Returns the path of the encoder that was pretrained on the sources' texts."""
    path = folder / f"pretrained_{seed}.keras"
    if not path.exists():
        builder = tft.TextEncoder(**ENCODER, seed=seed)
        encoder = tft.pretrain_text(data[0], builder, seed=seed, verbose=2, resume=folder / f"run_{seed}", **PRETRAIN)
        print({name: [round(value, 4) for value in values] for name, values in encoder.history.history.items()})
        encoder.save(path)
    return path


def carried(data, seed, folder):
    """Returns the path of the encoder that was also trained on the sources' labels."""
    builder = classifier(f"file:{pretrained(data, seed, folder)}", seed, trainable=True, learning_rate=SOURCE_RATE)
    return trained(builder, data, seed, folder / f"carried_{seed}.keras")


def labelled(data, seed, folder):
    """Returns the path of the encoder that was trained on the sources' labels alone."""
    options = {name: value for name, value in ENCODER.items() if name != "architecture"}
    builder = classifier(ENCODER["architecture"], seed, backbone_options=options, learning_rate=SOURCE_RATE)
    return trained(builder, data, seed, folder / f"labelled_{seed}.keras")


def trained(builder, data, seed, path):
    if not path.exists():
        model = builder.adapt(data[0], verbose=0).build()
        best(model, *tft.data.hold_out(data, 0.1, seed), SOURCE_EPOCHS, seed, verbose=2)
        tft.backbones.find_backbone(model).save(path)
    return path


def classifier(backbone, seed, **options):
    return tft.TextClassifier(num_classes=2, backbone=backbone, seed=seed, **options)


def best(model, train, validation, epochs, seed, verbose=0):
    """Fits a model and leaves it with the weights of the epoch whose loss on the held-out part is lowest."""
    batches = tft.data.as_dataset(train, batch_size=batch_size(train), shuffle=True, seed=seed)
    held_out = tft.data.as_dataset(validation, batch_size=256)
    keep = tft.training.BestWeights("val_loss")
    model.fit(batches, validation_data=held_out, epochs=epochs, callbacks=[keep], verbose=verbose, shuffle=False)
    return model


def from_scratch(options, train, seed, validation=None):
    options = dict(options)
    builder = classifier(options.pop("architecture"), seed, backbone_options=options)
    model = builder.adapt(train[0], verbose=0).build()
    train, validation = (train, validation) if validation else tft.data.hold_out(train, 0.2, seed)
    steps_an_epoch = -(-len(train[1]) // batch_size(train))
    return best(model, train, validation, min(max(SCRATCH_STEPS // steps_an_epoch, 10), 100), seed)


def batch_size(data):
    return min(BATCH, len(data[1]) // 2)


def draw(pool, count, seed):
    """Returns so many labelled reviews, half of each label."""
    x, y = pool
    rng = np.random.default_rng(1000 + seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(y == label))[: count // 2] for label in (0, 1)])
    return x[rows], y[rows]


def linear(source, train, test):
    """Returns predictions of logistic regression on tf-idf; the two domains weigh alike where there are two."""
    parts = [part for part in (source, train) if part is not None]
    x, y = (np.concatenate(each) for each in zip(*parts))
    weights = np.concatenate([np.full(len(part[1]), len(y) / len(parts) / len(part[1])) for part in parts])
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=1, max_features=50000).fit(x)
    return LogisticRegression(max_iter=1000, C=10).fit(words.transform(x), y, weights).predict(words.transform(test))


def measure(method, count, seed, source, folder, target):
    """Returns macro-F1 and accuracy on the target's test part."""
    pool, (x_test, y_test) = target
    train = draw(pool, count, seed)
    if method in LINEAR:
        return scores(y_test, linear(source if "source" in method else None, train, x_test))
    if method in ("from scratch", "scratch, mean"):
        model = from_scratch(ENCODER if method == "from scratch" else MEAN, train, seed)
    else:
        path = ENCODERS.get(method, carried)(source, seed, folder)
        model = classifier(f"file:{path}", seed).build()
        epochs = 10 if method == "fine-tuned" else 0
        tft.fine_tune(model, train, freeze_epochs=HEAD_EPOCHS, epochs=epochs, seed=seed, verbose=0)
    return scores(y_test, model.predict(x_test, batch_size=256, verbose=0).argmax(-1))


def scores(y, found):
    return {"macro_f1": round(f1_score(y, found, average="macro"), 4), "accuracy": round(float((y == found).mean()), 4)}


def sst2(folder, part):
    """Returns the sentences of a part of SST-2 and their labels."""
    lines = gzip.decompress((Path(folder) / "sst2" / f"{part}.tsv.gz").read_bytes()).decode().splitlines()
    texts, labels = zip(*(line.rsplit("\t", 1) for line in lines))
    return np.array(texts, object), np.array(labels, "int64")


def measure_sst2(method, seed, data, source, folder):
    train, development, (x_test, y_test) = (sst2(data, part) for part in ("train", "dev", "test"))
    if method == "tf-idf":
        return scores(y_test, linear(None, train, x_test))
    if method == "fine-tuned":
        builder = classifier(f"file:{carried(source, seed, folder)}", seed)
        model = best(dataclasses.replace(builder, trainable=True).build(), train, development, 6, seed)
    else:
        options = ENCODER if method == "from scratch" else MEAN
        model = from_scratch({**options, "sequence_length": 48}, train, seed, development)
    return scores(y_test, model.predict(x_test, batch_size=256, verbose=0).argmax(-1))


ENCODERS = {"pretrained features": pretrained, "features, not pretrained": labelled}


def main():
    given = arguments(__doc__, methods=";".join(METHODS), labels=",".join(map(str, LABELS)), encoders="", sst2=1)
    results = Results("text_transfer", given.anew)
    folder = Path(given.encoders or RESULTS.parent / "cache" / "text_transfer")
    folder.mkdir(parents=True, exist_ok=True)
    source, kitchen = sources(given.data), load(given.data, TARGET)
    for seed in given.seeds:
        target = split(kitchen, seed)
        for count, method in itertools.product(map(int, given.labels.split(",")), given.methods.split(";")):
            key = {"target": TARGET, "labels": count, "method": method, "seed": seed}
            results.run(key, lambda: measure(method, count, seed, source, folder, target))  # noqa: B023
            keras.backend.clear_session()
        for method in SST2 if given.sst2 else ():
            key = {"target": "sst2", "labels": 6920, "method": method, "seed": seed}
            results.run(key, lambda: measure_sst2(method, seed, given.data, source, folder))  # noqa: B023


if __name__ == "__main__":
    sys.exit(main())
