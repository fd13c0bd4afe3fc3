"""LiteRT files: what they predict beside the model, how large they are, and what cannot be converted."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving_models import conv_net, toy_images, train

from tf_transfer import serving
from tf_transfer.serving import litert

# Reads a file as an application would, without this package.
_APPLICATION = """
import sys
import numpy as np
import tensorflow as tf

run = tf.lite.Interpreter(model_path=sys.argv[1]).get_signature_runner("serving_default")
images = np.load(sys.argv[2])
np.save(sys.argv[3], np.concatenate([run(image=image[None])["scores"] for image in images]))
"""


@pytest.fixture(scope="module")
def labelled():
    return toy_images(60, seed=5)


def test_float_equals_predict_in_a_process_of_its_own(classifier, labelled, tmp_path):
    images, labels = labelled
    found = serving.to_litert(classifier, tmp_path / "net.tflite", examples=images, labels=labels)
    expected = classifier.predict(images, verbose=0)
    assert found.max_difference < 1e-5 and found.agreement == 1.0 and found.num_examples == 60
    assert found.accuracy == found.original_accuracy == np.mean(expected.argmax(-1) == labels) > 0.9
    assert found.num_bytes == os.path.getsize(tmp_path / "net.tflite")
    np.save(tmp_path / "images.npy", images[:6])
    arguments = [found.path, tmp_path / "images.npy", tmp_path / "scores.npy"]
    subprocess.run([sys.executable, "-W", "ignore", "-c", _APPLICATION, *arguments], check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected[:6], atol=1e-5)


def test_an_exported_model_converts_to_the_same(exported, classifier, labelled, tmp_path):
    found = serving.to_litert(os.path.dirname(exported), tmp_path / "net.tflite", examples=labelled[0])
    assert found.max_difference < 1e-5 and found.agreement == 1.0
    direct = serving.to_litert(classifier, tmp_path / "direct.tflite", examples=labelled[0])
    # The names of the classes are no part of the file.
    assert abs(found.num_bytes - direct.num_bytes) < 1500


def test_a_keras_file_converts(dense_classifier, tmp_path):
    dense_classifier.save(tmp_path / "net.keras")
    found = serving.to_litert(tmp_path / "net.keras", tmp_path / "net.tflite", examples=np.eye(4))
    assert found.max_difference < 1e-5 and found.num_examples == 4


@pytest.mark.slow
def test_dynamic_is_about_a_quarter_of_the_size(tmp_path):
    inputs = keras.Input((64,), name="features")
    hidden = keras.layers.Dense(256, activation="relu", kernel_initializer=keras.initializers.GlorotUniform(1))(inputs)
    scores = keras.layers.Dense(5, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(2))(hidden)
    model = keras.Model(inputs, scores)
    x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    plain = serving.to_litert(model, tmp_path / "net.tflite", examples=x)
    dynamic = serving.to_litert(model, tmp_path / "dynamic.tflite", "dynamic", examples=x)
    assert 0.2 < dynamic.num_bytes / plain.num_bytes < 0.35
    assert 1e-5 < dynamic.max_difference < 0.05 and dynamic.agreement > 0.9


@pytest.mark.parametrize("io_dtype", ["float32", "int8", "uint8"])
def test_int8_computes_in_integers_only(classifier, labelled, tmp_path, io_dtype):
    images, labels = labelled
    found = serving.to_litert(
        classifier, tmp_path / "net.tflite", "int8",
        representative=toy_images(100)[0], examples=images, labels=labels, io_dtype=io_dtype,
    )  # fmt: skip
    # The scores of int8 come in steps of 1/256.
    assert 1e-5 < found.max_difference < 0.1 and found.agreement > 0.9
    assert found.accuracy > 0.9
    with pytest.warns(UserWarning, match="deprecated"):
        interpreter = tf.lite.Interpreter(model_path=found.path)
    assert interpreter.get_input_details()[0]["dtype"] == np.dtype(io_dtype)
    inner = {str(np.dtype(detail["dtype"])) for detail in interpreter.get_tensor_details() if detail["name"]}
    assert inner <= {"int8", "int32", io_dtype}


def test_representative_and_examples_come_from_streams(classifier, labelled, tmp_path):
    images, labels = labelled
    stream = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    endless = stream.map(lambda x, y: x).repeat()
    found = serving.to_litert(classifier, tmp_path / "net.tflite", "int8", representative=endless, examples=stream)
    assert found.num_examples == 60 and found.accuracy > 0.9
    with pytest.raises(ValueError, match="never ends"):
        serving.to_litert(classifier, tmp_path / "net.tflite", examples=endless)


@pytest.mark.slow
def test_batches_fixed_and_free(classifier, labelled, tmp_path):
    for batch_size, shape in ((8, 8), (None, -1)):
        found = serving.to_litert(classifier, tmp_path / "net.tflite", examples=labelled[0][:13], batch_size=batch_size)
        assert found.max_difference < 1e-5 and found.num_examples == 13
        with pytest.warns(UserWarning, match="deprecated"):
            interpreter = tf.lite.Interpreter(model_path=found.path)
        assert interpreter.get_input_details()[0]["shape_signature"][0] == shape


@pytest.mark.slow
def test_several_labels_and_one_unit(tmp_path):
    x, y = toy_images(96)
    several = train(conv_net(3, "sigmoid"), x, np.eye(3)[y], "binary_crossentropy")
    found = serving.to_litert(several, tmp_path / "net.tflite", examples=x, labels=np.eye(3)[y])
    right = np.mean((several.predict(x, verbose=0) >= 0.5) == np.eye(3)[y])
    assert found.accuracy == pytest.approx(right) and found.agreement == 1.0
    unit = train(conv_net(1, "sigmoid"), x, y == 1, "binary_crossentropy")
    found = serving.to_litert(unit, tmp_path / "unit.tflite", examples=x, labels=(y == 1).astype(int))
    assert found.accuracy == pytest.approx(np.mean((unit.predict(x, verbose=0)[:, 0] >= 0.5) == (y == 1)))


@pytest.mark.slow
def test_several_inputs_and_outputs(tmp_path):
    wide, deep = keras.Input((3,), name="wide"), keras.Input((2,), name="deep")
    joined = keras.layers.Concatenate()([wide, deep])
    outputs = {"price": keras.layers.Dense(1)(joined), "size": keras.layers.Dense(2)(joined)}
    model = keras.Model({"wide": wide, "deep": deep}, outputs)
    rng = np.random.default_rng(0)
    examples = {"wide": rng.normal(size=(20, 3)), "deep": rng.normal(size=(20, 2))}
    for options in ({}, {"quantization": "int8", "representative": examples}):
        found = serving.to_litert(model, tmp_path / "net.tflite", examples=examples, **options)
        assert found.max_difference < 0.1 and found.agreement is None and found.accuracy is None


@pytest.mark.slow
def test_a_file_that_predicts_something_else_is_not_written(classifier, labelled, tmp_path, monkeypatch):
    true = litert.run_litert
    monkeypatch.setattr(litert, "run_litert", lambda *args: {"scores": 1 - true(*args)["scores"]})
    with pytest.raises(RuntimeError, match=r"does not predict what the model does.*apart"):
        serving.to_litert(classifier, tmp_path / "net.tflite", examples=labelled[0])
    monkeypatch.setattr(litert, "run_litert", lambda *args: {"scores": true(*args)["scores"] * np.nan})
    with pytest.raises(RuntimeError, match="does not predict"):
        serving.to_litert(classifier, tmp_path / "net.tflite", "dynamic", examples=labelled[0])
    assert os.listdir(tmp_path) == []


def test_tolerance_holds_for_quantized_files(classifier, labelled, tmp_path):
    options = {"representative": labelled[0], "tolerance": 1e-6}
    with pytest.raises(RuntimeError, match="more than tolerance=1e-06"):
        serving.to_litert(classifier, tmp_path / "net.tflite", "int8", **options)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_is_said_before_any_work(classifier, labelled, tmp_path, monkeypatch):
    monkeypatch.setattr(litert, "_convert", lambda *args: pytest.fail("worked before it checked"))
    images, labels = labelled
    path = tmp_path / "net.tflite"
    for arguments, options, message in (
        ((classifier, tmp_path / "net"), {}, "ending .tflite"),
        ((classifier, path, "int4"), {}, "quantization` must be one of"),
        ((classifier, path, "int8"), {}, "needs `representative`"),
        ((classifier, path), {"io_dtype": "int8"}, 'needs quantization="int8"'),
        ((classifier, path), {"io_dtype": "float64"}, "io_dtype` must be one of"),
        ((classifier, path), {"batch_size": 0}, "batch_size` must be an integer of at least 1"),
        ((classifier, path), {"labels": labels}, "which are missing"),
        ((classifier, path), {"examples": images, "labels": labels[:3]}, "60 examples, but 3 labels"),
        ((classifier, path), {"examples": images[:, :5]}, "must have the shape"),
    ):
        with pytest.raises(ValueError, match=message):
            serving.to_litert(*arguments, **options)
    with pytest.raises(FileNotFoundError, match="no file"):
        serving.to_litert(tmp_path / "gone.keras", path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        serving.to_litert(tmp_path / "gone", path)


def test_a_model_of_words_is_refused_in_a_sentence(tmp_path):
    words = keras.Input((1,), dtype="string", name="text")
    vectors = keras.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4)(words)
    model = keras.Model(words, keras.layers.Dense(2)(keras.ops.cast(vectors, "float32")))
    with pytest.raises(ValueError, match=r"takes strings in \['text'\]"):
        serving.to_litert(model, tmp_path / "net.tflite")


@keras.saving.register_keras_serializable(package="test_litert")
class Bessel(keras.layers.Layer):
    def call(self, inputs):
        return tf.math.bessel_i1(inputs)


def test_an_operation_that_litert_does_not_have_is_named(tmp_path):
    inputs = keras.Input((4,), name="features")
    with pytest.raises(ValueError, match=r"LiteRT cannot run this model as it is.*Bessel"):
        serving.to_litert(keras.Model(inputs, Bessel()(inputs)), tmp_path / "net.tflite")


def test_a_folder_that_cannot_be_written(dense_classifier, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        serving.to_litert(dense_classifier, tmp_path / "file" / "net.tflite")
    assert os.listdir(tmp_path) == ["file"]
