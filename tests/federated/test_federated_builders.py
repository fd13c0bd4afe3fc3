"""Models of builders as clients train them: images, texts, tables, and half precision."""

import keras
import numpy as np
import pytest
from federated_toys import network, opposed
from small_models import colour_images, small_backbone

import tf_transfer as tft

pytestmark = pytest.mark.slow


def _halves(x, y):
    return [(keras.tree.map_structure(lambda part, at=at: part[at::2], x), y[at::2]) for at in range(2)]


def _learns(model, x, y, **options):
    shared = tft.federated.FedAvg(model, **options)
    history = shared.fit(_halves(x, y), 4, local_epochs=2, batch_size=4, seed=0, verbose=0)
    assert history.history["clients"] == [2.0] * 4 and history.history["dropped"] == [0.0] * 4
    assert history.history["loss"][-1] < history.history["loss"][0]
    return shared


def test_images_with_a_frozen_backbone_and_heads_of_their_own():
    images, y = colour_images(24, 2)
    fields = {"num_classes": 2, "backbone": small_backbone(), "input_shape": (16, 16, 3), "learning_rate": 0.01}
    shared = _learns(tft.ImageClassifier(**fields).build(), images.astype("uint8"), y)
    assert [weight.path.split("/")[-2] for weight in shared.weights.shared] == ["logits", "logits"]
    whole = tft.ImageClassifier(trainable=True, batch_norm="trainable", **fields).build()
    own = _learns(whole, images, y, personal="head", batch_norm="local_statistics")
    assert len([weight for weight in own.weights.personal if "moving" in weight.path]) == 6
    assert len([weight for weight in own.weights.personal if "logits" in weight.path]) == 2


def test_texts():
    words = np.array(["a good film", "a bad film", "good show", "bad show"] * 4, dtype=object)
    builder = tft.TextClassifier(num_classes=2, backbone_options={"dim": 8}, learning_rate=0.01)
    _learns(builder.adapt(words, verbose=0).build(), words, np.arange(16) % 2)


def test_tables_with_missing_values():
    rng = np.random.default_rng(0)
    table = {"age": rng.normal(size=32).tolist(), "ward": rng.choice(["A", "B"], 32).tolist()}
    table["age"][3] = None
    y = np.array([ward == "A" for ward in table["ward"]], "int64")
    builder = tft.TabularClassifier(columns=["age", "ward"], num_classes=2, learning_rate=0.01).adapt(table)
    inputs = {name: np.asarray(column) for name, column in builder.inputs(table).items()}
    assert np.isnan(inputs["age"].astype("float32")).any()
    _learns(builder.build(), inputs, y)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = network(batch_norm=True)
        if policy == "mixed_float16":
            model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.3)), model.loss)
    finally:
        keras.config.set_dtype_policy(before)
    given = opposed(1)[0]
    server = tft.federated.FedProx(model, mu=0.01)
    history = server.fit([given], 5, local_epochs=3, batch_size=8, seed=0, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0] and history["refused"] == [0.0] * 5
