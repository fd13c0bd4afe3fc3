"""A search on a folder of images: from a configuration to the served best, in code and on the command line."""

import csv

import keras
import numpy as np
import pytest
import yaml
from cli_documents import document_of

import tf_transfer as tft
from tf_transfer.cli import main

SPACE = "learning_rate: {choice: [0.0, 0.3]}\nfreeze_epochs: 25\n"


@pytest.fixture
def fields(photos, tiny_backbone, tmp_path):
    """Returns the fields of a search of which one trial learns the colors and one learns nothing."""
    (tmp_path / "space.yaml").write_text(SPACE)
    return {
        "images": photos, "backbone": tiny_backbone, "space": tmp_path / "space.yaml", "tuner": "grid", "epochs": 0,
        "dropout": 0.0, "features_cache": str(tmp_path / "cache"), "output": tmp_path / "search",
    }  # fmt: skip


def test_the_best_is_kept_measured_and_exported(fields, photos, tmp_path):
    fields |= {"export": tmp_path / "served", "save_model": tmp_path / "model.keras", "min_accuracy": 0.9}
    result = tft.workflow.tune(tft.workflow.TuneConfig.from_dict(fields), verbose=0)
    assert result.search.trials[0].score == pytest.approx(1 / 3)
    assert result.accuracy == result.search.best_score >= 0.9
    assert result.search.best_values == {"learning_rate": 0.3}
    images = tft.data.ImageFolder(photos, (16, 16)).examples(30)
    expected = result.model.predict(images, verbose=0)
    saved = keras.models.load_model(result.saved_model)
    np.testing.assert_allclose(saved.predict(images, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(tft.serving.load(tmp_path / "served").predict(images)["scores"], expected, atol=1e-5)
    with open(tmp_path / "search/trials.csv") as file:
        assert [row["learning_rate"] for row in csv.DictReader(file)] == ["0", "0.3"]
    assert tft.ImageClassifier.from_yaml(tmp_path / "search/best_builder.yaml") == result.builder
    recorded = tft.workflow.read_run(tmp_path / "search")
    assert (recorded.command, recorded.method, recorded.history) == ("tune", "grid search", {})
    assert recorded.figures["accuracy"] == result.accuracy and len(recorded.predictions) == 6
    assert tft.load_model(recorded.model_path).count_params() == recorded.result["parameters"]


@pytest.mark.slow
def test_a_gate_keeps_nothing(fields, tmp_path):
    (tmp_path / "space.yaml").write_text("dropout: {choice: [0.0, 0.1]}\nlearning_rate: 0.0\nfreeze_epochs: 1\n")
    fields |= {"save_model": tmp_path / "model.keras", "min_accuracy": 0.9}
    result = tft.workflow.tune(tft.workflow.TuneConfig.from_dict(fields), verbose=0)
    assert not result.passed and not (tmp_path / "model.keras").exists()


def test_a_size_of_images_is_not_searched(fields):
    fields["space"] = {"input_shape": {"choice": [[16, 16, 3]]}}
    with pytest.raises(ValueError, match="image_size"):
        tft.workflow.TuneConfig.from_dict(fields)


def test_a_search_without_best_epochs_is_refused(fields):
    with pytest.raises(ValueError, match="by their best epochs"):
        tft.workflow.TuneConfig.from_dict({**fields, "restore_best_weights": False})


@pytest.mark.slow
def test_on_the_command_line(fields, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields.pop("output")
    plain = {name: str(value) if name in ("images", "space") else value for name, value in fields.items()}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(plain))
    assert main(["tune", "--config", "run.yaml", "--max-trials", "2", "--export", "served"]) == 0
    out, err = capsys.readouterr()
    assert "trial 2 of 2: learning_rate=0.3" in err
    assert "2 trials, 0 failed" in out and "exported  served/1" in out and "tuning/trials.csv" in out
    assert main(["tune", "--config", "run.yaml", "--max-trials", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "Going on where it was: 2 trials" in err
    document = document_of(out)
    assert document["output"] == "tuning" and len(document["search"]["trials"]) == 2
    assert main(["tune", "--config", "run.yaml", "--tuner", "random"]) == 1
    assert "another tuner" in capsys.readouterr().err


def test_a_mistake_in_the_space_is_told_before_any_trial(fields, tmp_path, capsys):
    (tmp_path / "space.yaml").write_text("droput: {float: [0, 0.5]}\nepochs: 0\n")
    argv = ["tune", "--images", fields["images"], "--backbone", fields["backbone"], "--space", fields["space"]]
    assert main([str(word) for word in argv]) == 1
    assert "Did you mean 'dropout'?" in capsys.readouterr().err


def test_a_role_needs_an_address_and_only_one(fields, capsys):
    argv = ["tune", "--images", str(fields["images"]), "--backbone", fields["backbone"], "--chief", "8765"]
    assert main(argv) == 1
    assert "HOST:PORT" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*argv, "--worker", "host:1"])
