"""Text classifiers and regressors: strings in, on every kind of backbone, through all that images go through."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft
from tf_transfer.backbones import shipped

from contract_parts import check_refuses

FILL, GOOD, BAD = ("the", "film", "plot"), ("good", "fine"), ("bad", "dull")


def reviews(count=32, seed=0):
    """Returns texts of four words, one of which says the label."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    words = [[*rng.choice(FILL, 3), rng.choice(GOOD if label else BAD)] for label in labels]
    return np.array([" ".join(rng.permutation(each)) for each in words], object), labels


@pytest.fixture(scope="module")
def encoder():
    """Returns a trained encoder of two blocks."""
    builder = tft.TextEncoder(architecture="cnn", dim=8, kernel_size=3, dropout=0.0, seed=1)
    builder = builder.adapt(reviews()[0], verbose=0)
    backbone = builder.build()
    model = tft.TextClassifier(num_classes=2, backbone=backbone, trainable=True, learning_rate=0.02, seed=0).build()
    model.fit(*reviews(64), epochs=15, verbose=0)
    return backbone


def test_an_encoder_at_random_trains_by_default_and_a_pretrained_one_does_not(encoder):
    random = tft.TextClassifier(num_classes=2, backbone_options={"vocabulary": ("a",), "sequence_length": 2})
    assert random.trainable is True and len(random.build().trainable_weights) > 2
    assert len(tft.TextClassifier(num_classes=2, backbone=encoder).build().trainable_weights) == 2


def test_frozen_features_carry_over_and_strings_come_in_any_form(encoder):
    x, y = reviews(seed=1)
    model = tft.TextClassifier(num_classes=2, backbone=encoder, learning_rate=0.05).build()
    model.fit(tf.data.Dataset.from_tensor_slices((list(x), y)).batch(8), epochs=5, verbose=0)
    scores = model.predict(x, verbose=0)
    assert (scores.argmax(-1) == y).all()
    np.testing.assert_allclose(model.predict(tf.constant(list(x)), verbose=0), scores, atol=1e-6)
    np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-5)


@pytest.mark.slow
def test_fine_tune_on_cached_features_then_the_upper_blocks(encoder, tmp_path, capsys):
    x, y = reviews(seed=1)
    model = tft.TextClassifier(num_classes=2, backbone=encoder, regularizer="L2SP", seed=0).build()
    start = {weight.path: np.array(weight) for weight in encoder.weights}
    history = tft.fine_tune(model, (x, y), (x, y), 3, 1, features_cache=str(tmp_path), unfreeze="block_2", seed=0)
    assert [phase.cached for phase in history.phases] == [True, False], capsys.readouterr().out
    assert history.history["val_loss"][-1] < history.history["val_loss"][0]
    moved = {path.split("/")[-2] for path, old in start.items() if not np.array_equal(old, find(encoder, path))}
    assert moved and all("block_2" in each or each == "top_norm" for each in moved), moved
    for path, old in start.items():
        find(encoder, path).assign(old)


def find(model, path):
    return next(weight for weight in model.weights if weight.path == path)


@pytest.mark.slow
def test_lora_is_put_in_and_taken_out(encoder):
    x, y = reviews()
    copy = keras.models.clone_model(encoder)
    copy.set_weights(encoder.get_weights())
    model = tft.TextClassifier(num_classes=2, backbone=copy, trainable=tft.LoRA(2, targets="re:conv")).build()
    model.fit(x, y, verbose=0)
    merged = tft.LoRA(2).merge(model)
    np.testing.assert_allclose(merged.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
    assert tft.blocks(merged) == ["stem", "block_1", "block_2", "top"]


def test_domain_adaptation_and_distillation_on_strings():
    x, y = reviews(8)
    builder = tft.TextClassifier(num_classes=2, backbone_options={"dim": 4}, seed=0).adapt(x, verbose=0)
    teacher, student = builder.build(), builder.build()
    copy, head = tft.backbones.split_at_backbone(builder.build())
    dann = tft.DANN(copy, head, seed=0)
    dann.compile("adam", "sparse_categorical_crossentropy")
    before = [np.array(weight) for weight in copy.trainable_weights]
    history = dann.fit(tft.data.pair_domains((x, y), x[::-1].copy(), batch_size=4, seed=0), verbose=0)
    assert np.isfinite(history.history["domain_loss"]).all()
    assert any(not np.array_equal(old, new) for old, new in zip(before, copy.trainable_weights))
    assert dann.deployable().predict(x, verbose=0).shape == (8, 2)
    distiller = tft.Distiller(student, teacher, losses=[tft.losses.KnowledgeDistillation()])
    distiller.compile("adam", "sparse_categorical_crossentropy")
    assert np.isfinite(distiller.fit(x, y, verbose=0).history["knowledge_distillation_loss"]).all()


@pytest.mark.slow
def test_a_file_opens_in_a_fresh_process_without_the_package(encoder, tmp_path):
    x = reviews(4)[0]
    model = tft.TextClassifier(num_classes=2, backbone=encoder).build()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "scores.npy", model.predict(x, verbose=0))
    code = (
        "import sys, keras, numpy as np, tensorflow as tf\n"
        f"model = keras.models.load_model({str(tmp_path / 'model.keras')!r}, safe_mode=True)\n"
        f"scores = model.predict(tf.constant({list(x)!r}), verbose=0)\n"
        f"assert np.abs(scores - np.load({str(tmp_path / 'scores.npy')!r})).max() < 1e-6, scores\n"
        "assert 'tf_transfer' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_saved_encoder_is_a_backbone_and_its_builder_is_data(encoder, tmp_path):
    encoder.save(tmp_path / "encoder.keras")
    builder = tft.TextClassifier(num_classes=2, backbone=f"file:{tmp_path}/encoder.keras")
    assert tft.TextClassifier.from_yaml(builder.to_yaml()) == builder and builder.adapt(["a"]) is builder
    x = reviews(4)[0]
    found = tft.backbones.split_at_backbone(builder.build())[0].predict(x, verbose=0)
    np.testing.assert_allclose(found, encoder.predict(x, verbose=0), atol=1e-6)
    images = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    images.save(tmp_path / "images.keras")
    check_refuses(lambda: tft.backbones.load_text_backbone(f"file:{tmp_path}/images.keras"), "takes strings", "float32")


class WordCounts(tf.Module):
    """A module of Hub's kind: counts of two words times a matrix that can be trained."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
        self.variables_listed = [self.kernel]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        words = tf.strings.split(texts)
        counts = [tf.reduce_sum(tf.cast(words == word, tf.float32), axis=1) for word in ("good", "bad")]
        return tf.stack(counts, axis=1) @ self.kernel


def test_a_hub_module_of_strings_is_a_backbone(tmp_path):
    module = WordCounts()
    root = tf.train.Checkpoint(module=module)
    root.__call__ = module.__call__
    root.variables = root.trainable_variables = module.variables_listed
    root.regularization_losses = []
    tf.saved_model.save(root, str(tmp_path / "counts"))
    model = tft.TextRegressor(backbone=f"hub:{tmp_path}/counts", trainable=True, seed=0).build()
    features = tft.backbones.split_at_backbone(model)[0].predict(tf.constant(["good good bad", "none"]), verbose=0)
    assert features.tolist() == [[2.0, 4.0, 3.0], [0.0, 0.0, 0.0]]
    x, y = reviews(8)
    model.fit(x, y.astype("float32"), epochs=2, verbose=0)
    assert len(model.trainable_weights) == 3 and len(tft.blocks(model)) == 1
    check_refuses(lambda: tft.backbones.load_text_backbone(f"hub:{shipped('mnist_encoder')}"), "a batch of strings")


def test_outputs_are_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        options = {"vocabulary": ("good",), "sequence_length": 2, "dim": 4, "num_heads": 2, "num_blocks": 1}
        model = tft.TextClassifier(num_classes=2, backbone="transformer", backbone_options=options).build()
        scores = model(tf.constant(["good", ""]))
    finally:
        keras.config.set_dtype_policy(before)
    assert scores.dtype == "float32" and np.isfinite(scores).all()
    assert model.outputs[0].dtype == "float32" and model.get_layer("text_encoder").outputs[0].dtype == "bfloat16"


def test_keras_hub_presets_need_keras_hub():
    try:
        import keras_hub  # noqa: F401
    except ImportError:
        builder = tft.TextClassifier(num_classes=2, backbone="keras_hub:bert_tiny_en_uncased")
        with pytest.raises(ImportError, match=r"pip install tf-transfer\[keras-hub\]"):
            builder.build()


def test_an_export_records_a_backbone_that_is_a_model_by_its_name(tmp_path):
    texts = np.array(["good film", "bad film"] * 4, object)
    encoder = tft.TextEncoder(architecture="mean", dim=4, seed=0).adapt(texts, verbose=0).build()
    model = tft.TextClassifier(num_classes=2, backbone=encoder, learning_rate=0.5, seed=0).build()
    model.fit(texts, np.array([1, 0] * 4), epochs=2, verbose=0)
    path = tft.export(model, tmp_path / "served", class_names=["bad", "good"], examples=texts)
    assert tft.serving.load(path).metadata["builder"]["backbone"] == f"Functional {encoder.name!r}"


@pytest.mark.slow
def test_strings_on_two_replicas_train_as_on_one(tmp_path):
    code = """
import sys
import keras, numpy as np, tensorflow as tf
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
import tf_transfer as tft
texts, y = np.array(["a good film", "a bad film", "good", "bad"] * 4, object), np.array([1, 0] * 8)
options = {"dim": 4, "dropout": 0.0, "seed": 0}
builder = tft.TextClassifier(num_classes=2, backbone_options=options, dropout=0.0, seed=0).adapt(texts, verbose=0)
data = tf.data.Dataset.from_tensor_slices((texts, y)).batch(8)
found = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    with strategy.scope():
        model = builder.build()
        model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    model.fit(data, epochs=3, verbose=0)
    found.append([keras.ops.convert_to_numpy(each) for each in model.trainable_variables])
    found[-1] += [model.predict(data.map(lambda x, _: x), verbose=0), np.float32(model.evaluate(data, verbose=0))]
worst = max(np.abs(one - two).max() for one, two in zip(*found, strict=True))
assert worst < 1e-5, worst
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
