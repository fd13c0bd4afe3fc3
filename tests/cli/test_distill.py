"""From a teacher and a folder of images to a student, on the command line."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from cli_documents import document_of

import tf_transfer as tft
from tf_transfer.cli import main

QUICK = ["--epochs", "2", "--batch-size", "8", "--augmentation", "none", "--dropout", "0"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Returns an empty folder, the current one, with teacher.keras in it, which is right about the photos."""
    monkeypatch.chdir(tmp_path)
    image = keras.Input((24, 24, 3), name="image")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 32)(image))
    scores = keras.layers.Dense(3, "softmax", use_bias=False, name="scores")
    teacher = keras.Model(image, scores(means))
    scores.set_weights([np.eye(3)[::-1]])
    teacher.save("teacher.keras")
    return tmp_path


def run(capsys, *argv):
    capsys.readouterr()
    code = main([str(word) for word in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.slow
def test_distill_compares_writes_and_exports_in_a_fresh_process(here, photos, tiny_backbone):
    argv = ["--teacher", "teacher.keras", "--images", photos, "--student", tiny_backbone, *QUICK, "--losses", "kd,hint"]
    argv += ["--loss-weights", "hint=0.1", "--loss-weights", "kd=2", "--compare-alone"]
    argv += ["--output", "distilled", "--export", "served"]
    command = [sys.executable, "-m", "tf_transfer", "distill", *map(str, argv)]
    without_width = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=without_width)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "classes; " in line or line.startswith("feature_hint: ")]
    assert lines[1].startswith("3 classes; 24 labelled images to learn from, 6 to measure on; student file:")
    assert lines[1].endswith("16 x 16 pixels, 3 channels; teacher teacher.keras, accuracy 1.000")
    assert lines[0].startswith("feature_hint: ") and "is projected" in lines[0]
    lines = done.stdout.splitlines()
    table = next(index for index, line in enumerate(lines) if line.startswith("model "))
    rows = [re.split(r" {2,}", line.strip()) for line in lines[table : table + 4]]
    assert rows[0][:3] == ["model", "parameters", "file in MB"] and rows[0][-1] == "agrees with teacher"
    assert rows[1][:2] == ["teacher", "9"] and rows[1][-1] == "1.000"
    assert [row[:2] for row in rows[2:]] == [["student alone", "59"], ["student", "59"]]
    assert lines[-3:] == [
        "wrote     distilled",
        "exported  served/1",
        "try it    tf-transfer predict served IMAGE",
    ]
    with open("distilled/comparison.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert f"{float(written[2]['agreement']):.3f}" == rows[3][-1]
    assert tft.workflow.DistillConfig.from_yaml("distilled/config.yaml").loss_weights == {"hint": 0.1, "kd": 2}
    assert sorted(os.listdir()) == ["distilled", "served", "teacher.keras"]


def test_the_student_of_a_run_can_be_asked_and_can_teach(here, photos, tiny_backbone, capsys):
    argv = ["distill", "--images", photos, "--student", tiny_backbone, *QUICK, "--epochs", 1]
    code, out, err = run(capsys, *argv, "--teacher", "teacher.keras", "--output", "first")
    assert (code, "warning" in err) == (0, False)
    code, out, _ = run(capsys, "predict", "first/model.keras", photos / "red", "--class-names", "blue,green,red")
    assert code == 0 and len(out.splitlines()) == 11
    code, out, err = run(capsys, *argv, "--teacher", "first/model.keras", "--json")
    assert code == 0 and "nothing is kept" in err
    assert "teacher first/model.keras" in err
    document = document_of(out)
    assert [model["name"] for model in document["comparison"]["models"]] == ["teacher", "student"]
    assert sorted(os.listdir()) == ["first", "teacher.keras"]

    code, _, err = run(capsys, *argv, "--teacher", "teacher.keras", "--output", "first")
    assert (code, err.count("error: "), "must be a new folder" in err) == (1, 1, True)


@pytest.mark.slow
def test_with_augmentation_it_says_that_the_teacher_runs_in_each_epoch(here, photos, tiny_backbone, capsys):
    argv = ["--teacher", "teacher.keras", "--images", photos, "--student", tiny_backbone, *QUICK, "--epochs", 1]
    said = "The teacher runs in each epoch, since augmentation=flip"
    code, _, err = run(capsys, "distill", *argv, "--augmentation", "flip")
    assert code == 0 and said in err
    code, _, err = run(capsys, "distill", *argv, "--augmentation", "flip", "--no-cache")
    assert code == 0 and said not in err
    code, _, err = run(capsys, "distill", *argv)
    assert code == 0 and "What the teacher says about 24 images" in err


def test_flags_come_before_the_file_and_teacher_and_images_are_needed(here, monkeypatch, capsys):
    Path("run.yaml").write_text("teacher: teacher.keras\nimages: photos\nlosses: [kd, hint]\nepochs: 7\ncache: true\n")
    seen = []
    monkeypatch.setattr(tft.workflow, "distill", lambda config, **_: seen.append(config))
    flags = ["--epochs", "3", "--temperature", "8", "--no-cache", "--compare-alone", "--backbone-option", "alpha=0.25"]
    with pytest.raises(AttributeError):  # there is no result to show
        run(capsys, "distill", "--config", "run.yaml", *flags, "--student", "mobilenet", "--image-size", "64x96")
    config = seen[0]
    assert (config.epochs, config.temperature, config.losses, config.cache) == (3, 8.0, ("kd", "hint"), False)
    assert (config.student, config.image_size, config.compare_alone) == ("mobilenet", (64, 96), True)
    assert config.builder == {"backbone_options": {"alpha": 0.25}}
    with pytest.raises(SystemExit) as stop:
        run(capsys, "distill", "--images", "photos")
    assert stop.value.code == 2
    assert "--teacher FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--losses", "kd,hnt"], "Did you mean 'hint'?"),
        (["--teacher", "nowhere.keras"], "no model at 'nowhere.keras'"),
        (["--class-names", "blue,green"], "tells 3 classes apart, and the images have 2"),
        (["--losses", "dist", "--temperature", "2"], "`temperature` means nothing"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_1(here, photos, capsys, flags, sentence):
    code, _, err = run(capsys, "distill", "--teacher", "teacher.keras", "--images", photos, *flags)
    assert code == 1
    assert err.count("error: ") == 1 and sentence in err and "Traceback" not in err
