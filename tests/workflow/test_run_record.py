"""What runs say of themselves, for programs: figures, predictions, and texts that tell their data."""

import csv
import json
import os

import numpy as np
import pytest

import tf_transfer as tft
from tf_transfer.workflow.run_record import path_fingerprint, write_predictions


@pytest.fixture
def fields(photos, tiny_backbone, tmp_path):
    """Returns the fields of a run of about a second that leaves a folder."""
    return {
        "images": photos, "backbone": tiny_backbone, "freeze_epochs": 25, "epochs": 0, "learning_rate": 0.3,
        "dropout": 0.0, "features_cache": str(tmp_path / "cache"), "output": tmp_path / "run", "seed": 2,
    }  # fmt: skip


def predictions(folder):
    with open(folder / "predictions.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_leaves_a_folder_that_says_what_it_was(fields, photos, tmp_path):
    result = tft.workflow.train(tft.workflow.TrainConfig.from_dict(fields), verbose=0)
    folder = tmp_path / "run"
    assert result.output == str(folder)
    names = ["config.yaml", "history.csv", "model.keras", "predictions.csv", "result.json"]
    assert sorted(os.listdir(folder)) == names
    said = json.loads((folder / "result.json").read_text())
    assert (said["format"], said["command"], said["method"], said["seed"]) == (1, "train", "head", 2)
    assert said["backbone"] == fields["backbone"] and said["class_names"] == ["blue", "green", "red"]
    assert said["main"] == "accuracy" and said["figures"]["accuracy"] == result.accuracy
    assert said["figures"]["num_examples"] == 6 and said["figures"]["accuracy_95_low"] < result.accuracy
    assert said["parameters"] == result.model.count_params()
    assert said["versions"]["keras"] and said["versions"]["tf-transfer"] == tft.__version__
    assert said["created"].endswith("+00:00") and said["seconds"] > 0 and said["directory"] == os.getcwd()
    assert said["inputs"]["images"] == path_fingerprint(photos) and sorted(said["inputs"]) == ["backbone", "images"]
    with open(folder / "history.csv", newline="") as file:
        epochs = list(csv.DictReader(file))
    assert [row["phase"] for row in epochs] == ["head"] * 25
    assert [float(row["val_loss"]) for row in epochs] == result.history.history["val_loss"]
    assert tft.workflow.TrainConfig.from_yaml(folder / "config.yaml").builder["class_names"] == ("blue", "green", "red")
    assert tft.load_model(folder / "model.keras").count_params() == said["parameters"]

    rows = predictions(folder)
    assert np.mean([row["label"] == row["predicted"] for row in rows]) == result.accuracy
    # The name of an example is its place below the folder of the classes, which are its labels.
    assert [row["example"].split(os.sep)[0] for row in rows] == [row["label"] for row in rows]
    assert len({row["digest"] for row in rows}) == 6

    with pytest.raises(FileExistsError, match="must be a new folder"):
        tft.workflow.train(tft.workflow.TrainConfig.from_dict(fields), verbose=0)


def test_a_gate_that_is_missed_leaves_no_folder(fields, tmp_path):
    fields |= {"learning_rate": 0.0, "freeze_epochs": 1, "min_accuracy": 0.9}
    assert not tft.workflow.train(tft.workflow.TrainConfig.from_dict(fields), verbose=0).passed
    assert not (tmp_path / "run").exists()


def test_numbers_have_targets_instead_of_labels(tmp_path):
    with open(tmp_path / "rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([["size", "price"], *([i, f"{3 * i}.5"] for i in range(40))])
    config = tft.workflow.TableTrainConfig.from_dict(
        {"table": tmp_path / "rows.csv", "target": "price", "epochs": 2, "output": tmp_path / "run"}
    )
    result = tft.workflow.train(config, verbose=0)
    said = json.loads((tmp_path / "run/result.json").read_text())
    assert said["main"] == "mae" and said["class_names"] is None and said["backbone"] is None
    rows = predictions(tmp_path / "run")
    assert list(rows[0]) == ["example", "digest", "target", "prediction"] and len({row["digest"] for row in rows}) == 8
    errors = [abs(float(row["target"]) - float(row["prediction"])) for row in rows]
    assert np.mean(errors) == pytest.approx(result.evaluation.mae)
    # Without classes there are none in the file, and it can be read again.
    assert tft.workflow.TableTrainConfig.from_yaml(tmp_path / "run/config.yaml").table == str(tmp_path / "rows.csv")


def test_the_fingerprint_of_a_folder_sees_contents_and_names_and_nothing_hidden(tmp_path):
    folder = tmp_path / "a"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.txt").write_text("one")
    (folder / "2.txt").write_text("two")
    before = path_fingerprint(folder)
    (folder / ".hidden").write_text("x")
    assert path_fingerprint(folder) == before and before.endswith("-2")
    (folder / "2.txt").rename(folder / "cat" / "2.txt")
    moved = path_fingerprint(folder)
    (folder / "cat" / "2.txt").write_text("two!")
    assert len({before, moved, path_fingerprint(folder)}) == 3
    assert path_fingerprint(folder / "cat" / "1.txt").endswith("-1")


def test_several_outputs_have_a_column_each(tmp_path):
    values = np.array([[1.0, 2.0], [3.0, 5.0]])
    rows = tft.workflow.run_record.LabelledRows(values.astype("float32"), values, ("x.csv",), None, "rows")
    write_predictions(tft.analysis.RegressionEvaluation(values + 1, values), rows, tmp_path / "predictions.csv")
    found = predictions(tmp_path)[1]
    assert (found["example"], found["target_2"], found["prediction_1"]) == ("2", "5.0", "4.0")
