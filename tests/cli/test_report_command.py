"""`tf-transfer report`: a page about a run from anywhere, about others' examples, and about a file alone."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_documents import document_of

import tf_transfer as tft
from tf_transfer.cli import main


def run(capsys, *argv):
    capsys.readouterr()
    code = main([str(word) for word in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def trained(folder, *argv):
    """Runs `train` in a folder, with what it reads there, into the run "run" in it."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        assert main(["train", *map(str, argv), "--output", "run", "--quiet"]) == 0
    finally:
        os.chdir(before)
    return folder / "run"


@pytest.fixture(scope="module")
def seeing(photos, tiny_backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeing")
    shutil.copytree(photos, folder / "photos")
    argv = ["--images", "photos", "--backbone", tiny_backbone, "--freeze-epochs", "20", "--epochs", "0"]
    argv += ["--validation-split", "0.4", "--dropout", "0", "--features-cache", "cache", "--learning-rate", "0.3"]
    return trained(folder, *argv)


def test_a_run_is_reported_from_anywhere_with_the_figures_that_it_recorded(seeing, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "report", seeing, "--json")
    recorded = tft.workflow.read_run(seeing)
    document = document_of(out)
    assert code == 0 and document["report"] == "report.html" and os.listdir() == ["report.html"]
    assert document["figures"] == pytest.approx(recorded.figures)
    page = (tmp_path / "report.html").read_text()
    assert (
        "Where it looks" in page and "By epoch: accuracy, loss" in page and recorded.result["data_fingerprint"] in page
    )
    assert f"tf-transfer train --config {seeing}/config.yaml --output again" in page


def test_other_images_and_how_far_they_are(seeing, photos, tmp_path, capsys):
    page = tmp_path / "page.html"
    argv = ["report", seeing, "--images", photos, "--source", photos, "--output", page, "--title", "A & B"]
    code, out, _ = run(capsys, *argv)
    assert code == 0 and "on 30 examples" in out and out.splitlines()[-1] == f"wrote     {page}"
    text = page.read_text()
    assert "<h1>A &amp; B</h1>" in text and "30 source, 30 target" in text


def test_rows_of_a_table_with_and_without_the_run(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [(f"{age:.1f}", ward, f"{age + 30 * (ward == 'b'):.1f}")
            for age, ward in zip(rng.normal(50, 10, 60), rng.choice(["a", "b"], 60), strict=True)]  # fmt: skip
    with open(tmp_path / "patients.csv", "w", newline="") as file:
        csv.writer(file).writerows([("age", "ward", "cost"), *rows])
    with open(tmp_path / "gaps.csv", "w", newline="") as file:
        csv.writer(file).writerows([("age", "ward", "cost"), ("", "a", "50"), *rows])
    made = trained(tmp_path, "--table", "patients.csv", "--target", "cost", "--hidden-units", "8", "--epochs", "3")
    table = ["--table", tmp_path / "patients.csv", "--target", "cost", "--output", tmp_path / "page.html", "--json"]
    of_run = document_of(run(capsys, "report", made, *table)[1])["figures"]
    of_file = document_of(run(capsys, "report", made / "model.keras", *table)[1])["figures"]
    assert of_run == pytest.approx(of_file) and of_run["num_examples"] == 60
    table[1] = tmp_path / "gaps.csv"
    assert document_of(run(capsys, "report", made, *table)[1])["figures"]["num_examples"] == 61
    assert "whether values may be missing" in run(capsys, "report", made / "model.keras", *table)[2]
    text = (tmp_path / "page.html").read_text()
    assert "Its largest errors" in text and '<th scope="col">ward</th>' in text


def test_what_can_not_be_is_refused(seeing, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = seeing / "model.keras"
    assert "Give `data`" in run(capsys, "report", model)[2]
    assert "takes no rows" in run(capsys, "report", model, "--table", "x.csv", "--target", "y")[2]
    assert "not the folder of a run" in run(capsys, "report", photos)[2]
    for argv in (["--images", "a", "--audio", "b"], ["--target", "y"], ["--source", "a"]):
        with pytest.raises(SystemExit):
            main(["report", str(model), *argv])
    assert os.listdir() == []


@pytest.mark.slow
def test_an_adaptation_without_labels_tells_the_gap_and_no_accuracy(photos, tiny_backbone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "paper")
    os.makedirs("street")
    for number, path in enumerate(sorted(photos.rglob("*.*"))):
        shutil.copy(path, f"street/{number}{path.suffix}")
    config = tft.workflow.AdaptConfig.from_dict({
        "source": "paper", "target": "street", "backbone": tiny_backbone, "batch_size": 8, "epochs": 1,
        "source_epochs": 1, "projection": "pca", "output": "adapted"})  # fmt: skip
    tft.workflow.adapt(config, verbose=0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    text = Path(tft.report(tmp_path / "adapted", verbose=0)).read_text(encoding="utf-8")
    assert "None of the examples has a label" in text and "30 source, 30 target" in text
    assert "Classes</h2>" not in text and "tf-transfer adapt --config" in text


@pytest.mark.slow
def test_a_distilled_student_has_its_own_curves(seeing, tmp_path, monkeypatch):
    monkeypatch.chdir(seeing.parent)
    config = tft.workflow.DistillConfig.from_dict({
        "teacher": "run/model.keras", "images": "photos", "student": "mobilenet_v2", "weights": None, "image_size": 32,
        "backbone_options": {"alpha": 0.35}, "epochs": 1, "batch_size": 8, "augmentation": None, "cache": False,
        "output": str(tmp_path / "distilled")})  # fmt: skip
    tft.workflow.distill(config, verbose=0)
    run = tft.workflow.read_run(tmp_path / "distilled")
    text = Path(tft.report(run, path=tmp_path / "page.html", verbose=0)).read_text(encoding="utf-8")
    assert f"Right on {run.figures['accuracy']:.1%}" in text and "tf-transfer distill --config" in text
