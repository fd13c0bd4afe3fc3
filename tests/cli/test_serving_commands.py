"""`export`, `versions` and `rollback` as somebody types them."""

import json
import os
import pathlib

import keras
import pytest
from cli_documents import document_of

import tf_transfer as tft
from tf_transfer.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    inputs = keras.Input((4,), name="features")
    hidden = keras.layers.Dense(3, "relu", name="hidden")(inputs)
    keras.Model(inputs, keras.layers.Dense(3, "softmax")(hidden)).save("model.keras")
    return tmp_path


def run(capsys, *argv):
    code = main([str(word) for word in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_export_takes_every_option(here, capsys):
    argv = ["export", "model.keras", "served", "--class-names", "a,b,c", "--top-k", 2, "--features", "--keep", 2]
    code, out, _ = run(capsys, *argv, "--metric", "accuracy=0.93", "--metric", "auc=0.5")
    assert (code, out) == (0, "exported  served/1\n")
    metadata = json.loads(pathlib.Path("served/1/assets.extra/metadata.json").read_text())
    assert metadata["metrics"] == {"accuracy": 0.93, "auc": 0.5}
    assert metadata["signatures"]["serving_default"]["outputs"]["top_labels"]["shape"] == [None, 2]
    assert metadata["signatures"]["serving_features"]["outputs"]["features"]["shape"] == [None, 3]
    assert "| accuracy | 0.93 |" in pathlib.Path("served/1/README.md").read_text()

    for _ in range(2):
        assert run(capsys, "export", "model.keras", "served", "--keep", 2)[0] == 0
    assert sorted(os.listdir("served")) == ["2", "3", "latest"]


def test_export_of_embeddings_and_of_a_layer(here, capsys):
    argv = ["export", "model.keras", "served", "--task", "embeddings", "--features-layer", "hidden"]
    assert run(capsys, *argv)[0] == 0
    served = tft.serving.load("served")
    assert served.metadata["task"] == "embeddings" and "serving_features" in served.signatures


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--keep", 1], "`keep` must be at least 2: a server answers from the version before"),
        (["--top-k", 4], "`top_k` must be an integer from 1 to 3"),
        (["--features-layer", "hiden"], "Did you mean 'hidden'?"),
        (["--metric", "accuracy"], "--metric must be written NAME=VALUE with a number. Received: 'accuracy'."),
    ],
)
def test_options_that_cannot_be_are_sentences(here, capsys, options, sentence):
    code, _, err = run(capsys, "export", "model.keras", "served", *options)
    assert code == 1 and sentence in err
    assert not os.path.exists("served")


def test_versions_and_rollback(here, capsys):
    for accuracy in (0.8, 0.9):
        run(capsys, "export", "model.keras", "served", "--metric", f"accuracy={accuracy}")
    code, out, _ = run(capsys, "rollback", "served", "--json")
    assert (document_of(out)["exported"], document_of(out)["copied_from"]) == ("served/3", 1)
    os.remove("served/2/saved_model.pb")
    code, out, _ = run(capsys, "versions", "served")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0 and [line[0] for line in lines] == ["version", "1", "2", "3"]
    assert [line.rstrip().endswith(note) for line, note in zip(out.splitlines()[1:], ("0.8", "not whole", "1"))] == [
        True
    ] * 3
    assert "latest, copy of 1" in out.splitlines()[3]
    found = document_of(run(capsys, "versions", "served", "--json")[1])["versions"]
    assert [(version["number"], version["whole"], version["latest"]) for version in found] == [
        (1, True, False),
        (2, False, False),
        (3, True, True),
    ]
    assert all(part.startswith("20") for part in (line[1] for line in lines[1:]))

    assert run(capsys, "rollback", "served", "--to", 2)[2].startswith(
        "error: `to` must be a whole version, one of [1, 3]"
    )
    assert run(capsys, "rollback", "served", "--to", 1)[2].startswith("error: Version 1 is what is served already")
    os.rename("served/2", "other")
    assert run(capsys, "export", "model.keras", "served", "--json")[0] == 0
    assert run(capsys, "rollback", "served")[1] == "published  served/5, a copy of version 1\n"
    assert run(capsys, "versions", "nowhere")[2] == (
        "error: `path` must be the folder of a served model. There is no such folder: 'nowhere'.\n"
    )
