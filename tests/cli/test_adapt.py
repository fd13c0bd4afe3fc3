"""From labelled images and others without labels to a classifier for the others, on the command line."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_documents import document_of
from PIL import Image

import tf_transfer as tft
from tf_transfer.cli import main

QUICK = ["--source-epochs", "2", "--epochs", "2", "--batch-size", "4", "--projection", "pca", "--augmentation", "none"]


@pytest.fixture
def domains(photos, tmp_path, monkeypatch):
    """Returns the current folder, with "day", the photos, and "night", the same at half the brightness."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "day")
    for path in Path("day").rglob("*.*"):
        other = Path("night") / path.relative_to("day")
        other.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((np.asarray(Image.open(path)) * 0.5).astype(np.uint8)).save(other)
    return tmp_path


def run(capsys, *argv):
    capsys.readouterr()
    code = main([str(word) for word in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_adapt_measures_writes_and_exports(domains, tiny_backbone, capsys):
    argv = ["--source", "day", "--target", "night", "--backbone", tiny_backbone, "--hidden-units", "16", *QUICK]
    argv += ["--method", "cdan_e", "--adaptation-weight", "schedule=dann,final=0.3", "--method-option", "random_dim=8"]
    code, out, err = run(capsys, "adapt", *argv, "--output", "adapted", "--export", "served")
    assert code == 0
    assert "3 classes; 30 images of the source, 24 of the target, 6 to measure on" in err
    before, after = re.findall(r"^(?:source only|adapted) +accuracy ([0-9.]+) on 6 labelled", out, re.MULTILINE)
    page = (domains / "adapted" / "report.html").read_text()
    assert before in page and after in page
    config = tft.workflow.AdaptConfig.from_yaml("adapted/config.yaml")
    assert config.builder["adaptation_weight"] == {"schedule": "dann", "final": 0.3}
    assert config.builder["method_options"] == {"random_dim": 8}
    code, out, _ = run(capsys, "predict", "served", "night/red", "--json")
    assert code == 0 and '"label"' in out

    code, _, err = run(capsys, "adapt", *argv, "--output", "adapted")
    assert (code, err.count("error: "), "must be a new folder" in err) == (1, 1, True)


def test_without_labels_it_says_that_nothing_is_known(domains, tiny_backbone, capsys):
    os.rename("night/red", "flat")
    argv = ["--source", "day", "--target", "flat", "--backbone", tiny_backbone, *QUICK, "--epochs", "1"]
    code, out, err = run(capsys, "adapt", *argv)
    assert code == 0
    assert "accuracy     unknown: no target image has a label" in out
    assert "nothing is kept" in err
    code, out, err = run(capsys, "adapt", *argv, "--json", "--quiet")
    document = document_of(out)
    assert (code, document["method"], document["figures"], document["output"]) == (0, "dann", {}, None)
    assert "nothing is kept" not in err and "Epoch" not in err


def test_flags_come_before_the_file_and_both_folders_are_needed(domains, monkeypatch, capsys):
    Path("run.yaml").write_text("source: day\ntarget: night\nmethod: mcc\nepochs: 7\n")
    seen = []
    monkeypatch.setattr(tft.workflow, "adapt", lambda config, **_: seen.append(config))
    with pytest.raises(AttributeError):  # there is no result to show
        run(capsys, "adapt", "--config", "run.yaml", "--epochs", "3", "--target-labels", "false")
    assert (seen[0].epochs, seen[0].target_labels, seen[0].builder) == (3, False, {"method": "mcc"})
    with pytest.raises(SystemExit) as stop:
        run(capsys, "adapt", "--source", "day")
    assert stop.value.code == 2
    assert "--target DIR" in capsys.readouterr().err
    code, _, err = run(capsys, "adapt", "--source", "day", "--target", "night", "--method", "dan_n")
    assert (code, "Did you mean" in err) == (1, True)
