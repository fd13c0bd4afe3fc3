"""How far an export is from `model.predict`, on real images of a trained model, through three ways out of Keras."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from common import Results, arguments, images
from transfer import WEIGHTS

import tf_transfer as tft


def measure(data, seed):
    x, y, domain = images(data, "hymenoptera", 160)
    builder = tft.ImageClassifier(
        num_classes=2,
        weights=str(Path(data) / WEIGHTS),
        input_shape=(160, 160, 3),
        class_names=["ant", "bee"],
        seed=seed,
    )
    model = builder.build()
    tft.fine_tune(model, (x[domain == 0], y[domain == 0]), epochs=0, seed=seed, verbose=0)
    probe = x[domain == 1][:32]
    expected = model.predict(probe, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = tft.export(model, Path(folder) / "hymenoptera", examples=probe[:8])
        model.save(Path(folder) / "model.keras")
        through_keras = tft.load_model(Path(folder) / "model.keras").predict(probe, verbose=0)
        served = tf.saved_model.load(path).signatures["serving_default"](image=tf.constant(probe))["scores"]
        c_api = tft.serving.verify(path, probe, {"scores": expected}, tolerance=1.0).max_difference
    return {
        "spread_of_scores": round(float(expected.std()), 3),
        "keras": float(np.abs(through_keras - expected).max()),
        "saved_model_load": float(np.abs(served.numpy() - expected).max()),
        "c_api": float(c_api),
    }


def main():
    parsed = arguments(__doc__)
    results = Results("export", parsed.anew)
    for seed in parsed.seeds:
        results.run({"seed": seed}, lambda: measure(parsed.data, seed))  # noqa: B023


if __name__ == "__main__":
    main()
