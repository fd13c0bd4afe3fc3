"""Three shifts of scikit-learn's digits (8 x 8): rotated, shifted and textured targets, every method, three seeds.

1797 digits: 800 are the source, 700 the unlabelled target, 297 the test, shifted like the target. "rotate" turns by
ROTATION degrees, "shift" moves by SHIFT pixels to the right and down, "texture" adds a checkerboard of TEXTURE (digits
are 0..1). One network and one budget for all. With `--adapt-python PATH`, an interpreter that has `adapt`
installed, its methods are measured on the same data, network and budget in the same run.
"""

import itertools

import keras
import numpy as np
from common import Results, arguments, run_elsewhere
from digits_adaptation import PAIRED
from scipy import ndimage
from sklearn.datasets import load_digits
from small_networks import parts

import tf_transfer as tft

ROTATION, SHIFT, TEXTURE = 22, 0.6, 1.35
STEPS, BATCH, RATE = 600, 64, 1e-3
SHIFTS = {
    "rotate": lambda image: ndimage.rotate(image, ROTATION, reshape=False, order=1),
    "shift": lambda image: ndimage.shift(image, (SHIFT, SHIFT), order=1),
    "texture": lambda image: image + TEXTURE * (np.indices(image.shape).sum(0) % 2),
}
WITH_ADAPT = {"DANN": {"lambda_": 0.1}, "MDD": {"lambda_": 0.1}, "DeepCORAL": {}, "MCD": {}}


def domains(shift, seed):
    """Returns (x, y) of the source, of the target, and of the target's test part; x float32 in 0..1."""
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) / 16).astype("float32")
    order = np.random.default_rng(seed).permutation(len(labels))
    parts_of = [(images[part], labels[part]) for part in (order[:800], order[800:1500], order[1500:])]
    moved = [(np.stack([SHIFTS[shift](image) for image in x]), y) for x, y in parts_of[1:]]
    return [(x[..., None].astype("float32"), y) for x, y in (parts_of[0], *moved)]


def compiled(model):
    model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", steps_per_execution=20)
    return model


def plain(data, seed):
    encoder, classifier, _ = parts(8, seed=seed)
    model = compiled(keras.Model(encoder.inputs, classifier(encoder.outputs[0])))
    stream = tft.data.as_dataset(data, batch_size=BATCH, shuffle=True, seed=seed, drop_remainder=True).repeat()
    model.fit(stream, epochs=1, steps_per_epoch=STEPS, verbose=0, shuffle=False)
    return model


def ours(method, source, target, seed):
    if method in ("source only", "target only"):
        return plain(source if method == "source only" else target, seed)
    if method == "SHOT":
        model = plain(source, seed)
        made = tft.SHOT(keras.Model(model.inputs, model.layers[-1].input), model.layers[-1])
        made.compile(keras.optimizers.Adam(RATE))
        made.fit(target[0], epochs=15, batch_size=BATCH, verbose=0)
        return made
    encoder, classifier, _ = parts(8, seed=seed)
    model = compiled(PAIRED[method](encoder, classifier, seed))
    pairs = tft.data.pair_domains(source, target[0], batch_size=BATCH, seed=seed).repeat()
    model.fit(pairs, epochs=2, steps_per_epoch=STEPS // 2, verbose=0)
    return model


def measure(shift, method, seed):
    source, target, (x_test, y_test) = domains(shift, seed)
    right = ours(method, source, target, seed).predict(x_test, verbose=0).argmax(-1) == y_test
    return {"accuracy": round(float(right.mean()), 4)}


def with_adapt(python, options, source, x_target, x_test):
    """Runs `with_adapt.py` in another environment; returns what it printed."""
    arrays = {"x_source": source[0], "y_source": source[1], "x_target": x_target, "x_test": x_test}
    return run_elsewhere(python, "with_adapt.py", options, arrays)


def measure_adapt(python, shift, method, seed):
    source, target, (x_test, y_test) = domains(shift, seed)
    options = {"method": method, "size": 8, "seed": seed, "batch_size": BATCH, "learning_rate": RATE}
    options |= {"epochs": -(-STEPS // -(-len(source[0]) // BATCH)), "arguments": WITH_ADAPT[method]}
    result = with_adapt(python, options, source, target[0], x_test)
    return {"accuracy": round(float((np.array(result["predicted"]) == y_test).mean()), 4)}


def main():
    parsed = arguments(__doc__, adapt_python="", needs_data=False)
    results = Results("digits_shifts", parsed.anew)
    # AdaBN and TENT act on batch normalization, which this network, that of the peers' comparison, has not.
    methods = ("source only", "target only", *PAIRED, "SHOT")
    for seed, shift in itertools.product(parsed.seeds, SHIFTS):
        for method in methods:
            key = {"shift": shift, "method": method, "seed": seed, "steps": STEPS}
            results.run(key, lambda: measure(shift, method, seed))  # noqa: B023
        for method in WITH_ADAPT if parsed.adapt_python else ():
            key = {"shift": shift, "method": f"{method} of adapt", "seed": seed, "steps": STEPS}
            results.run(key, lambda: measure_adapt(parsed.adapt_python, shift, method, seed))  # noqa: B023
    if not parsed.adapt_python:
        print("Left out: the methods of `adapt`. Say --adapt-python PATH, an interpreter that has it installed.")


if __name__ == "__main__":
    main()
