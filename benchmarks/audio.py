"""Spoken digits: the official test, and a new speaker with ten labels a digit.

    python benchmarks/audio.py --data FOLDER

"official": recordings 5 to 49 of each speaker and digit train, 0 to 4 are the test. "NAME": the other five speakers are
the source, all of their recordings; ten recordings a digit of NAME, drawn by the seed, are the labelled target, and the
other 400 are the test. Source only asks the source's model; from scratch sees the 100 alone; features trains a new head
on the frozen encoder of the source; fine-tuned goes on training the source's whole model on the 100, at a third of its
rate; fine_tune is the package's call as it is: a head, and then as many epochs of the whole as a held-out fifth of the
100 finds use in, perhaps none. Nothing here was chosen by a test: in a run of 15 epochs with the builder's own, wider
filters, recordings 5 to 9, held out, no longer gained after the tenth, and the rest was set beforehand. Beside it
logarithmic spectra with ridge regression, as in speakers.py.
"""

import itertools

from speakers import PENALTY, recordings, spectrum  # isort: skip, since it sets the number of threads

import keras
import numpy as np
from common import Results, arguments
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

import tf_transfer as tft

RATE, LABELS, EPOCHS, BATCH, LEARNING_RATE = 8000, 10, 12, 64, 3e-3
RIDGE = "log spectra, ridge"
TARGET = ("source only", RIDGE, "from scratch", "features", "fine-tuned", "fine_tune")


def builder(seed, **options):
    return tft.AudioClassifier(
        num_classes=10,
        sample_rate=RATE,
        num_mel_bins=40,
        frame_seconds=0.032,
        step_seconds=0.02,
        backbone_options={} if "backbone" in options else {"filters": [16, 32, 64, 64]},
        seed=seed,
        **options,
    )


def fit(model, x, y, seed, epochs=EPOCHS, rate=LEARNING_RATE, batch=BATCH):
    """Trains the whole model on augmented waveforms, at a rate that falls along a cosine."""
    stream = model.builder.augment(tft.data.as_dataset((x, y), batch_size=batch, shuffle=True, seed=seed))
    schedule = tft.fine_tuning.warmup_cosine(rate, epochs * len(stream))
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    model.fit(stream, epochs=epochs, verbose=0)
    return model


def ridge(spectra, y, train, test):
    scaler = StandardScaler().fit(spectra[train])
    fitted = RidgeClassifier(alpha=PENALTY).fit(scaler.transform(spectra[train]), y[train])
    return fitted.score(scaler.transform(spectra[test]), y[test])


def on_target(method, source, data, train, test, seed):
    """Returns the accuracy of a method that sees `train` of a new speaker, and the source's model."""
    x, y, spectra = data
    if method == RIDGE:
        return ridge(spectra, y, train, test)
    if method == "from scratch":
        model = fit(builder(seed).build(), x[train], y[train], seed, 5 * EPOCHS, LEARNING_RATE, 32)
    elif method == "features":
        model = builder(seed, backbone=tft.backbones.find_backbone(source)).build()
        options = {"freeze_epochs": 5 * EPOCHS, "epochs": 0, "learning_rate": LEARNING_RATE, "validation_split": 0}
        tft.fine_tune(model, (x[train], y[train]), features_cache=False, seed=seed, verbose=0, **options)
    elif method == "fine_tune":
        model = builder(seed, backbone=tft.backbones.find_backbone(source)).build()
        options = {"freeze_epochs": 5 * EPOCHS, "epochs": 2 * EPOCHS, "learning_rate": LEARNING_RATE}
        tft.fine_tune(model, (x[train], y[train]), unfreeze=True, features_cache=False, seed=seed, verbose=0, **options)
    elif method == "fine-tuned":
        model = source
        fit(model, x[train], y[train], seed, 2 * EPOCHS, LEARNING_RATE / 3, 32)
    else:
        model = source
    return accuracy(model, x[test], y[test])


def accuracy(model, x, y):
    return np.mean(model.predict(x, verbose=0, batch_size=256).argmax(-1) == y)


def drawn(y, speaker_rows, seed):
    """Returns ten rows a digit of a speaker, and the others."""
    rng = np.random.default_rng(seed)
    train = np.concatenate([rng.permutation(speaker_rows[y[speaker_rows] == digit])[:LABELS] for digit in range(10)])
    return train, np.setdiff1d(speaker_rows, train)


def main():
    given = arguments(__doc__, tests="official,speakers")
    results = Results("audio", given.anew)
    waves, known = recordings(given.data)
    x = np.zeros((len(waves), RATE), "float32")
    for row, wave in zip(x, waves, strict=True):
        row[: len(wave)] = wave[:RATE]
    y, speaker, index = known["label"], known["speaker"], known["index"]
    spectra = np.stack([spectrum(wave) for wave in waves])
    official = np.flatnonzero(index >= 5), np.flatnonzero(index < 5)

    def run(test, method, seed, measure):
        results.run({"test": test, "method": method, "seed": seed}, lambda: {"accuracy": round(float(measure()), 4)})

    if "official" in given.tests:
        run("official", RIDGE, given.seeds[0], lambda: ridge(spectra, y, *official))
        for seed in given.seeds:
            train, test = official

            def measure(seed=seed, train=train, test=test):
                return accuracy(fit(builder(seed).build(), x[train], y[train], seed), x[test], y[test])

            run("official", "AudioClassifier", seed, measure)
    for seed, (number, name) in itertools.product(given.seeds, enumerate(known["names"])):
        if "speakers" not in given.tests:
            break
        others, trained = speaker != number, []
        train, test = drawn(y, np.flatnonzero(speaker == number), seed)

        def source(seed=seed, others=others, trained=trained):
            # Once for all methods, and not at all when they are stored. A backbone is trained further by some of them.
            if not trained:
                trained.append(fit(builder(seed).build(), x[others], y[others], seed).get_weights())
            model = builder(seed).build()
            model.set_weights(trained[0])
            return model

        for method in TARGET:

            def measure(method=method, source=source, train=train, test=test, seed=seed):
                model = source() if method not in (RIDGE, "from scratch") else None
                return on_target(method, model, (x, y, spectra), train, test, seed)

            run(name, method, seed, measure)


if __name__ == "__main__":
    main()
