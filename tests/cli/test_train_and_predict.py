"""From a folder of images to labels, on the command line."""

import csv
import json
import os
import shutil
from pathlib import Path

import keras
import pytest
from cli_documents import document_of
from PIL import Image

import tf_transfer as tft
from tf_transfer.cli import main

QUICK = ["--freeze-epochs", "25", "--epochs", "0", "--learning-rate", "0.3", "--dropout", "0"]


@pytest.fixture(scope="module")
def trained(photos, tiny_backbone, tmp_path_factory):
    """Returns a folder in which `tf-transfer train` has left model.keras and served/1."""
    folder = tmp_path_factory.mktemp("trained")
    argv = ["train", "--images", photos, "--backbone", tiny_backbone, *QUICK, "--min-accuracy", "0.9"]
    argv += ["--export", folder / "served", "--save-model", folder / "model.keras"]
    assert main([str(word) for word in argv]) == 0
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Returns an empty folder, the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *argv):
    capsys.readouterr()
    code = main([str(word) for word in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_predict_names_the_colors_in_every_layout(trained, photos, here, capsys):
    code, out, err = run(capsys, "predict", trained / "served", photos, "--json", "--top-k", 2)
    rows = document_of(out)["predictions"]
    assert (code, err) == (0, "")
    assert len(rows) == 30
    assert [row["label"] for row in rows] == [Path(row["file"]).parent.name for row in rows]
    assert all(row["top"][0] == {"label": row["label"], "score": row["score"]} for row in rows)

    code, out, _ = run(capsys, "predict", trained / "served", photos, "--output", "labels.csv", "--top-k", 3)
    assert (code, out) == (0, "")
    with open("labels.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["file", "label", "score", "label_2", "score_2", "label_3", "score_3"]
    assert [row["label"] for row in table] == [row["label"] for row in rows]
    assert float(table[0]["score"]) == pytest.approx(rows[0]["score"], abs=1e-5)
    assert sum(float(table[0][name]) for name in ("score", "score_2", "score_3")) == pytest.approx(1, abs=1e-4)

    shutil.copy(photos / "red" / "0.jpg", "a[b].jpg")
    code, out, _ = run(capsys, "predict", trained / "served" / "1", "a[b].jpg")
    assert out.splitlines()[1].split()[:2] == ["a[b].jpg", "red"]


def test_what_is_served_is_what_predict_says(trained, photos, capsys):
    _, out, _ = run(capsys, "predict", trained / "served", photos / "green", "--json")
    rows = json.loads(out)["predictions"]
    served = tft.serving.load(trained / "served").predict_bytes([Path(row["file"]).read_bytes() for row in rows])
    assert served["labels"].tolist() == [row["label"] for row in rows]
    assert served["scores"].max(axis=1) == pytest.approx([row["score"] for row in rows], abs=1e-6)


def test_export_turns_the_saved_file_into_the_same_model(trained, photos, here, capsys):
    argv = ["export", trained / "model.keras", "again", "--class-names", "blue, green, red", "--examples", photos]
    code, out, _ = run(capsys, *argv)
    assert (code, out) == (0, "exported  again/1\n")
    _, first, _ = run(capsys, "predict", "again", photos / "blue", "--json")
    _, second, _ = run(capsys, "predict", trained / "served", photos / "blue", "--json")
    scores = [[row["score"] for row in json.loads(text)["predictions"]] for text in (first, second)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert [row["label"] for row in json.loads(first)["predictions"]] == ["blue"] * 10
    metadata = json.loads(Path("again/1/assets.extra/metadata.json").read_text())
    assert metadata["examples"] == {"num": 16, "source": "given"}

    Image.new("RGB", (20, 20), "white").save("white.png")
    code, out, _ = run(capsys, "export", trained / "model.keras", "again", "--examples", "white.png")
    assert (code, out) == (0, "exported  again/2\n")
    os.remove("white.png")

    code, _, err = run(capsys, "export", trained / "model.keras", "third", "--class-names", "blue,green")
    assert code == 1
    assert "must have one name for each of the model's 3" in err
    code, _, err = run(capsys, "export", "modle.keras", "third")
    assert code == 1
    assert os.listdir(here) == ["again"]


def test_the_gate_is_red_with_3_and_keeps_nothing(photos, tiny_backbone, here, capsys):
    argv = ["train", "--images", photos, "--backbone", tiny_backbone, *QUICK, "--learning-rate", 0]
    code, out, err = run(capsys, *argv, "--min-accuracy", 0.9, "--export", "served", "--save-model", "model.keras")
    assert code == 3
    assert "accuracy  0.333 on 6 validation images" in out
    assert "below --min-accuracy 0.9: nothing was kept" in err
    assert os.listdir(here) == []
    code, out, _ = run(capsys, *argv, "--min-accuracy", 0.9, "--output", "run", "--json")
    document = document_of(out)
    assert (code, document["exit_code"], document["passed"], document["output"]) == (3, 3, False, None)
    assert document["figures"]["accuracy"] == pytest.approx(1 / 3) and os.listdir(here) == []


def test_flags_come_before_the_file_and_both_reach_the_run(photos, here, monkeypatch, capsys):
    Path("run.yaml").write_text(
        f"images: {photos}\nbackbone: mobilenet_v2\nimage_size: 96\nweights: none\nepochs: 7\nhidden_units: [64]\n"
    )
    seen = []
    monkeypatch.setattr(tft.workflow, "train", lambda config, **_: seen.append(config))
    flags = ["--backbone-option", "alpha=0.35", "--image-size", "32x48", "--epochs", "2", "--trainable", "block_16,top"]
    flags += ["--no-skip-bad", "--class-weight", "balanced", "--export", "served"]
    with pytest.raises(AttributeError):  # there is no result to show
        run(capsys, "train", "--config", "run.yaml", *flags)
    assert seen[0] == tft.workflow.TrainConfig(
        images=str(photos),
        image_size=(32, 48),
        epochs=2,
        class_weight="balanced",
        export="served",
        builder={
            "backbone": "mobilenet_v2",
            "weights": None,
            "hidden_units": (64,),
            "backbone_options": {"alpha": 0.35},
            "trainable": ("block_16", "top"),
        },
    )

    Path("run.yaml").write_text("images: photos\nbackbon: mobilenet_v2\n")
    code, _, err = run(capsys, "train", "--config", "run.yaml")
    assert (code, "Did you mean 'backbone'?" in err) == (1, True)
    code, _, err = run(capsys, "train", "--config", "rum.yaml")
    assert (code, err) == (1, "error: No such file or directory: 'rum.yaml'\n")


@pytest.mark.slow
def test_a_backbone_of_keras_applications_goes_the_whole_way(photos, here, capsys):
    argv = ["--backbone", "mobilenet_v2", "--weights", "none", "--image-size", "32", "--backbone-option", "alpha=0.35"]
    argv += ["--freeze-epochs", "2", "--epochs", "0", "--batch-size", "8", "--export", "served", "--seed", "3"]
    code, out, err = run(capsys, "train", "--images", photos, *argv)
    assert code == 0
    assert "warning: weights=none starts 'mobilenet_v2' from random numbers" in err
    assert "exported  served/1" in out
    code, out, _ = run(capsys, "predict", "served", photos, "--json")
    rows = json.loads(out)["predictions"]
    assert {row["label"] for row in rows} <= {"blue", "green", "red"} and len(rows) == 30


# Bad input: a sentence, exit code 1, and nothing half-written.


def refused(capsys, *argv):
    before = sorted(os.listdir())
    code, _, err = run(capsys, "train", *argv, "--export", "served")
    assert code == 1
    assert sorted(os.listdir()) == before
    assert err.count("error: ") == 1
    assert "Traceback" not in err
    return err


def test_a_folder_that_is_missing_empty_or_has_one_class(photos, here, capsys):
    assert "error: There is no folder 'photos'." in refused(capsys, "--images", "photos")
    os.mkdir("photos")
    assert "one folder of images per class" in refused(capsys, "--images", "photos")
    assert "Did you mean 'photos'?" in refused(capsys, "--images", "photo")
    os.mkdir("photos/red")
    assert "has one class folder" in refused(capsys, "--images", "photos")
    os.mkdir("photos/blue")
    assert "has no images" in refused(capsys, "--images", "photos")
    assert "Received a file" in refused(capsys, "--images", photos / "red" / "0.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everywhere")
def test_a_folder_that_may_not_be_read_or_written(photos, here, capsys):
    shutil.copytree(photos, "photos")
    os.mkdir("closed", mode=0o500)
    code, _, err = run(capsys, "train", "--images", "photos", "--export", "closed/served")
    assert (code, "no permission" in err) == (1, True)
    os.chmod("photos/red", 0)
    assert "cannot be read" in refused(capsys, "--images", "photos")
    os.chmod("photos/red", 0o700)


def test_bad_images_are_named_and_counted_and_skipped_only_when_asked(photos, tiny_backbone, here, capsys):
    shutil.copytree(photos, "photos")
    whole = Path("photos/red/0.jpg").read_bytes()
    Path("photos/red/empty.png").write_bytes(b"")
    Path("photos/red/half.jpg").write_bytes(whole[: len(whole) // 2])
    Path("photos/blue/text.jpg").write_bytes(b"this is no picture")
    err = refused(capsys, "--images", "photos", "--backbone", tiny_backbone, *QUICK)
    assert "3 of 33 images" in err
    for name, reason in [("empty.png", "0 bytes"), ("half.jpg", ""), ("text.jpg", "")]:
        assert any(name in line and reason in line for line in err.splitlines())
    assert "--skip-bad" in err

    argv = ["train", "--images", "photos", "--backbone", tiny_backbone, *QUICK, "--skip-bad", "--export", "served"]
    code, out, err = run(capsys, *argv)
    assert code == 0
    assert err.startswith("warning: Left out 3 of 33 images")
    assert "24 images to train on and 6 to measure on" in err


def test_a_backbone_that_can_not_be(photos, here, capsys):
    err = refused(capsys, "--images", photos, "--backbone", "xception", "--image-size", "64")
    assert "at least 71 x 71 pixels" in err
    assert "Did you mean 'mobilenet_v2'?" in refused(capsys, "--images", photos, "--backbone", "mobilenetv2")
    err = refused(capsys, "--images", photos, "--weights", "imagnet", "--image-size", "32")
    assert "Did you mean 'imagenet'?" in err


def test_a_place_that_can_not_be_written_to(photos, here, capsys):
    Path("served").write_text("a file")
    assert "is a file" in refused(capsys, "--images", photos)
    assert Path("served").read_text() == "a file"
    os.remove("served")
    assert "there is no folder" in refused(capsys, "--images", photos, "--save-model", "nowhere/model.keras")


def test_predict_checks_where_it_will_write_first(trained, photos, here, capsys):
    code, _, err = run(capsys, "predict", trained / "served", photos, "--output", "labels.txt")
    assert (code, "must end in .csv or .json" in err) == (1, True)
    code, _, err = run(capsys, "predict", trained / "served", photos, "--output", "nowhere/labels.csv")
    assert (code, "--output can't be written" in err) == (1, True)
    code, _, err = run(capsys, "predict", trained / "servd", photos)
    assert (code, "Did you mean 'served'?" in err) == (1, True)
    assert os.listdir(here) == []


def test_export_takes_examples_for_models_of_images_only(here, capsys):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")]).save("model.keras")
    os.mkdir("photos")
    Image.new("RGB", (4, 4)).save("photos/one.png")
    code, _, err = run(capsys, "export", "model.keras", "served", "--examples", "photos")
    assert (code, "the model takes inputs of shape (4,)" in err) == (1, True)
    assert not os.path.exists("served")
