"""`tf-transfer convert` and `bench-serving`: what they write, what they print, and what they refuse."""

import os
import sys

import keras
import numpy as np
import pytest
from cli_documents import document_of

import tf_transfer as tft
from tf_transfer.cli import main


@pytest.fixture(scope="module")
def served(tmp_path_factory, photos):
    """A model that tells the three colors of `photos` apart, exported."""
    image = keras.Input((16, 16, 3), name="image")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 64)(image))
    dense = keras.layers.Dense(3, activation="softmax")
    model = keras.Model(image, dense(means))
    # The folders are blue, green, red; the channels red, green, blue.
    dense.set_weights([np.eye(3)[::-1].astype("float32"), np.zeros(3, "float32")])
    path = tmp_path_factory.mktemp("served") / "colors"
    names = sorted(os.listdir(photos))
    tft.export(model, path, class_names=names, examples=tft.data.ImageFolder(photos, (16, 16)).dataset(8))
    return path


def test_int8_with_accuracy_beside_the_size(served, photos, capsys):
    arguments = ["--quantization", "int8", "--representative", str(photos), "--labelled", str(photos)]
    assert main(["convert", str(served), "--to", "litert", *arguments]) == 0
    text = capsys.readouterr().out
    assert f"{served}_int8.tflite" in text and os.path.getsize(f"{served}_int8.tflite") > 500
    assert "compared        30 examples" in text and "accuracy        100.0 %, before 100.0 %" in text


def test_a_file_of_floats_where_it_is_asked_for(served, photos, tmp_path, capsys):
    output = tmp_path / "new" / "net.tflite"
    argv = ["convert", str(served), "--to", "litert", "--output", str(output), "--examples", str(photos)]
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert output.exists() and "same class      100.0 %" in text and "accuracy" not in text
    assert main([*argv, "--json"]) == 0
    document = document_of(capsys.readouterr().out)
    assert (document["path"], document["agreement"], document["accuracy"]) == (str(output), 1.0, None)


def test_onnx_with_accuracy_beside_the_size(served, photos, capsys):
    pytest.importorskip("tf2onnx")
    assert main(["convert", str(served), "--to", "onnx", "--labelled", str(photos)]) == 0
    text = capsys.readouterr().out
    assert f"{served}.onnx" in text and os.path.getsize(f"{served}.onnx") > 500
    assert "compared        30 examples" in text and "accuracy        100.0 %, before 100.0 %" in text


def test_onnx_refuses_what_is_for_litert_and_names_the_extra(served, photos, tmp_path, capsys, monkeypatch):
    options = ["--quantization", "int8", "--representative", str(photos)]
    assert main(["convert", str(served), "--to", "onnx", *options]) == 1
    assert "--quantization, --representative: for --to litert only" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["convert", str(served), "--to", "onnx", "--output", str(tmp_path / "net.onnx")]) == 1
    assert 'pip install "tf-transfer[onnx]"' in capsys.readouterr().err and os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quantization", "int8"], "needs `representative`"),
        (["--io-dtype", "int8"], 'needs quantization="int8"'),
        (["--output", "net.bin"], "ending .tflite"),
        (["--examples", "no_such_folder"], "no_such_folder"),
    ],
)
def test_what_cannot_be_converted(served, capsys, arguments, message):
    assert main(["convert", str(served), "--to", "litert", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_times_as_a_table_and_as_json(served, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["bench-serving", str(served), "--batch-sizes", "2", "--seconds", "0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["signature", "batch"]
    assert [line.split()[0] for line in lines[1:]] == ["bare", "serving_default", "serving_bytes"]
    assert main(["bench-serving", str(served), "--batch-sizes", "1,2", "--seconds", "0.1", "--json"]) == 0
    rows = document_of(capsys.readouterr().out)["measurements"]
    assert [(row["signature"], row["batch_size"]) for row in rows[3:5]] == [("bare graph", 2), ("serving_default", 2)]
    assert main(["bench-serving", str(served), "--batch-sizes", "one"]) == 1
    assert "whole numbers" in capsys.readouterr().err
