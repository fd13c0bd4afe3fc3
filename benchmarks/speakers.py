"""Spoken digits of a speaker that nobody labelled: leave one speaker out, before and after alignment and weighting.

    python benchmarks/speakers.py --data FOLDER

2500 recordings of five speakers have labels, the 500 of the sixth have none. Features are logarithmic spectra, FRAMES
in time by BANDS in frequency, standardized by the source; the classifier is ridge regression. Both were set so that the
figures without adaptation come near those known for these data (.618 .870 .470 .366 .888 .744), before any method ran.
Every method runs at its defaults and sees the sixth speaker's recordings, never their labels, which only score it. "own
mean and spread" standardizes each domain by itself, the least that an alignment can do.
"""

import os

os.environ.update({name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")})

import itertools
import sys
from pathlib import Path

import numpy as np
from common import Results, arguments
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

import tf_transfer as tft

FRAMES, BANDS, WINDOW, STEP, PENALTY = 10, 20, 256, 128, 10.0
room = tft.adaptation
ALIGNMENTS = {
    "CORALAlignment": room.CORALAlignment,
    "LinearTransportMapping": room.LinearTransportMapping,
    "OptimalTransportMapping": room.OptimalTransportMapping,
    "SubspaceAlignment": room.SubspaceAlignment,
    "TCA": room.TCA,
}
WEIGHTS = {"KLIEP": room.KLIEP, "RuLSIF": room.RuLSIF}
DRAWN = ("OptimalTransportMapping", "TCA", "KLIEP", "RuLSIF")
OWN = "own mean and spread"
METHODS = ("source only", OWN, *ALIGNMENTS, *(f"{OWN} + {name}" for name in ALIGNMENTS), *WEIGHTS)


def recordings(folder):
    """Returns the recordings, a float array each in [-1, 1] at 8000 samples a second, and a dict of what is known."""
    stored = np.load(Path(folder) / "fsdd" / "fsdd.npz")
    wave = stored["wave"] / 32768.0
    waves = [wave[start:end] for start, end in itertools.pairwise(stored["offsets"])]
    known = {name: stored[name].astype("int64") for name in ("label", "speaker", "index")}
    return waves, {**known, "names": [str(name) for name in stored["speaker_names"]]}


def load(folder):
    """Returns features of shape `(3000, FRAMES * BANDS)`, digits, speakers, and the speakers' names."""
    waves, known = recordings(folder)
    return np.stack([spectrum(wave) for wave in waves]), known["label"], known["speaker"], known["names"]


def spectrum(wave):
    wave = np.pad(wave, (0, max(0, WINDOW - len(wave))))
    windows = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::STEP]
    logs = np.log(np.abs(np.fft.rfft(windows * np.hanning(WINDOW), axis=1)) + 1e-4)
    bands = np.stack([part.mean(1) for part in np.array_split(logs, BANDS, axis=1)], axis=1)
    # A recording has its own length; each frame is that share of it.
    edges = np.linspace(0, len(bands), FRAMES + 1)
    frames = [bands[int(a) : max(int(a) + 1, int(np.ceil(b)))] for a, b in itertools.pairwise(edges)]
    return np.concatenate([frame.mean(0) for frame in frames])


def measure(method, seed, x_source, y_source, x_target, y_target):
    """Returns the accuracy on the target, and for weights how many examples of the source are left by them."""
    scaler, figures, weights = StandardScaler().fit(x_source), {}, None
    x_source, x_target = scaler.transform(x_source), scaler.transform(x_target)
    if method.startswith(OWN):
        x_target = StandardScaler().fit_transform(x_target)
    method = method.removeprefix(f"{OWN} + ")
    if method in ALIGNMENTS:
        aligned = made(ALIGNMENTS[method], seed).fit(x_source, x_target)
        x_source, x_target = aligned.transform(x_source, "source"), aligned.transform(x_target)
    elif method in WEIGHTS:
        fitted = made(WEIGHTS[method], seed).fit(x_source, x_target)
        weights = fitted.weights_ / fitted.weights_.mean()
        figures = {"effective_examples": round(fitted.effective_sample_size)}
    classifier = RidgeClassifier(alpha=PENALTY).fit(x_source, y_source, weights)
    return {"accuracy": round(classifier.score(x_target, y_target), 4), **figures}


def made(estimator, seed):
    return estimator(seed=seed) if "seed" in estimator().get_params() else estimator()


def main():
    given = arguments(__doc__, methods=",".join(METHODS))
    results = Results("speakers", given.anew)
    x, y, speakers, names = load(given.data)
    for seed, (speaker, name) in itertools.product(given.seeds, enumerate(names)):
        data = x[speakers != speaker], y[speakers != speaker], x[speakers == speaker], y[speakers == speaker]
        for method in given.methods.split(","):
            if method.endswith(DRAWN) or seed == given.seeds[0]:
                key = {"speaker": name, "method": method, "seed": seed}
                results.run(key, lambda: measure(method, seed, *data))  # noqa: B023


if __name__ == "__main__":
    sys.exit(main())
