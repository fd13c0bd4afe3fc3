"""Few-shot learners in a process that did not train them: trained on, adapted, exported and verified."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 8, 8, 1)) + RNG.normal(size=(8, 8, 8, 1)).repeat(5, axis=0)
X = np.clip(X * 40 + 120, 0, 255).astype("uint8").astype("float32")
Y = np.arange(40) // 5
_FRESH = """
import keras
import numpy as np
import tf_transfer as tft

data = np.load("data.npz")
model = keras.models.load_model("method.keras", safe_mode=True)
iterations = int(model.optimizer.iterations)
plain = model.adapt(data["support"], data["labels"])
answers = plain.predict(data["query"], verbose=0)
episodes = tft.data.episodes(data["x"], data["y"], 3, 2, 1, num_episodes=4, batch_size=2, fixed=True, seed=0)
history = model.fit(episodes, epochs=2, initial_epoch=1, verbose=0).history
weights = np.concatenate([np.ravel(each) for each in model.deployable().get_weights()])
again = keras.models.load_model("adapted.keras").predict(data["query"], verbose=0)
tft.serving.verify(tft.export(plain, "exported", examples=data["query"]), data["query"])
np.savez("found.npz", answers=answers, weights=weights, again=again, iterations=iterations, loss=history["loss"])
"""


def network():
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3, strides=2), keras.layers.BatchNormalization()]
    layers += [keras.layers.ReLU(), keras.layers.Flatten(), keras.layers.Dense(3)]
    made = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    return tft.backbones.reinitialize(made, 0)


def methods():
    return {
        "PrototypicalNetwork": tft.few_shot.PrototypicalNetwork(network()),
        "MAML": tft.few_shot.MAML(network(), 0.1, 2, evaluation_steps=3, learned_rates=True),
        "Reptile": tft.few_shot.Reptile(network(), 0.01, 2, evaluation_steps=3, inner_batch_size=4, seed=0),
    }


def stream():
    return tft.data.episodes(X, Y, 3, 2, 1, num_episodes=4, batch_size=2, fixed=True, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PrototypicalNetwork", "MAML", "Reptile"])
def test_a_method_goes_on_in_a_fresh_process_and_its_adapted_model_is_served(name, tmp_path):
    model = methods()[name]
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.fit(stream(), verbose=0)
    model.save(tmp_path / "method.keras")
    inputs, _ = next(iter(stream()))
    task = {"support": inputs["support"][0], "labels": inputs["support_labels"][0], "query": inputs["query"][0]}
    np.savez(tmp_path / "data.npz", x=X, y=Y, **{key: np.asarray(value) for key, value in task.items()})
    plain = model.adapt(task["support"].numpy(), task["labels"].numpy())
    plain.save(tmp_path / "adapted.keras")
    done = subprocess.run([sys.executable, "-c", _FRESH], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.load(tmp_path / "found.npz")
    expected = plain.predict(task["query"], verbose=0)
    np.testing.assert_allclose(found["answers"], expected, atol=1e-5)
    np.testing.assert_allclose(found["again"], expected, atol=1e-5)
    assert int(found["iterations"]) == 2
    history = model.fit(stream(), epochs=2, initial_epoch=1, verbose=0).history
    np.testing.assert_allclose(found["loss"], history["loss"], rtol=1e-4)
    weights = np.concatenate([np.ravel(each) for each in model.deployable().get_weights()])
    np.testing.assert_allclose(found["weights"], weights, atol=1e-4)


@pytest.mark.slow
def test_an_adapted_model_of_gradient_steps_is_adapted_again_or_trained_on(tmp_path):
    for name in ("MAML", "Reptile"):
        model = methods()[name]
        model.compile()
        inputs, _ = next(iter(stream()))
        support, labels = inputs["support"][0].numpy(), inputs["support_labels"][0].numpy()
        adapted = model.adapt(support, labels)
        adapted.save(tmp_path / f"{name}.keras")
        again = keras.models.load_model(tmp_path / f"{name}.keras")
        # It starts from a task that it knows; and it is plain, so `fit` works too.
        further = type(model)(again, 0.01, 1).adapt(support, labels)
        assert np.abs(further.get_weights()[0] - adapted.get_weights()[0]).max() > 1e-6
        assert np.isfinite(again.fit(support, labels, verbose=0).history["loss"][0])


def test_images_of_a_folder_train_a_network(tmp_path):
    for number, image in enumerate(X.astype("uint8")):
        path = tmp_path / f"class_{Y[number]}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(tf.io.encode_png(image).numpy())
    folder = tft.data.ImageFolder(tmp_path, (8, 8))
    episodes = tft.data.episodes(folder, ways=4, shots=1, queries=2, rotations=True, num_episodes=2, seed=0)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    encoder = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    model = tft.few_shot.PrototypicalNetwork(encoder)
    model.compile()
    before = encoder.get_weights()[0].copy()
    assert np.isfinite(model.fit(episodes, verbose=0).history["loss"][0])
    assert np.abs(encoder.get_weights()[0] - before).max() > 0
