"""A `.keras` file of a built model needs no tf_transfer: it opens, predicts and trains with Keras alone."""

import subprocess
import sys

import numpy as np
import pytest

import tf_transfer as tft

WITHOUT_TF_TRANSFER = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tf_transfer":
            raise ModuleNotFoundError("tf_transfer is not installed here")

sys.meta_path.insert(0, Refuse())
import keras, numpy as np

model = keras.models.load_model(sys.argv[1])
stored = np.load(sys.argv[2])
difference = np.abs(model.predict(stored["x"], verbose=0) - stored["scores"]).max()
assert difference < 1e-6, difference
before = model.get_weights()
history = model.fit(stored["x"], stored["y"], verbose=0).history
assert np.isfinite(history["loss"]).all(), history
assert any((a != b).any() for a, b in zip(before, model.get_weights()))
assert "tf_transfer" not in sys.modules
print("fine")
"""


@pytest.mark.parametrize(
    "fields",
    [
        {"backbone": "mobilenet_v2", "backbone_options": {"alpha": 0.35}, "trainable": "block_16"},
        # Reversed channels, and a normalisation with weights of its own.
        pytest.param({"backbone": "vgg16", "hidden_units": (4,), "label_smoothing": 0.1}, marks=pytest.mark.slow),
        pytest.param({"backbone": "efficientnet_b0", "input_shape": (32, 32, 1)}, marks=pytest.mark.slow),
        pytest.param({"backbone": "mobilenet_v3_small"}, marks=pytest.mark.slow),
        pytest.param({"backbone": "convnext_tiny"}, marks=pytest.mark.slow),
        pytest.param({"backbone": "densenet121"}, marks=pytest.mark.slow),
    ],
    ids=lambda fields: fields["backbone"],
)
def test_opens_predicts_and_trains_without_tf_transfer(fields, tmp_path):
    builder = tft.ImageClassifier(
        **{"num_classes": 2, "weights": None, "input_shape": (32, 32, 3), "seed": 0, **fields}
    )
    model = builder.build()
    x = np.random.default_rng(0).uniform(0, 255, (6, *builder.input_shape)).astype("float32")
    y = np.eye(2)[[0, 1] * 3] if builder.one_hot_labels else np.array([0, 1] * 3)
    model.fit(x, y, verbose=0)
    # Scores that are all alike would hide what is lost on the way.
    model.get_layer("logits").bias.assign([0.7, -0.4])
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "stored.npz", x=x, y=y, scores=model.predict(x, verbose=0))
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TF_TRANSFER, tmp_path / "model.keras", tmp_path / "stored.npz"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stdout.strip() == "fine", run.stderr[-2000:]
