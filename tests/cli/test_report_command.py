"""`tf-transfer report`: a page about a run from anywhere, about others' examples, and about a file alone."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_documents import document_of
from scipy.io import wavfile

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


@pytest.fixture
def not_timed(monkeypatch):
    """Pages about a model need not measure how fast it is here, in tests of something else."""
    monkeypatch.setattr("tf_transfer.reporting.serving_sections.median_seconds", lambda *_, **__: {"model": 1.0})


def test_texts_with_and_without_the_run(not_timed, tmp_path, capsys):
    words = {"good": ["fine", "great"], "bad": ["dull", "poor"]}
    rows = [(f"a {words[label][i % 2]} film {i % 3}", label) for i in range(20) for label in words]
    for name, some in (("reviews.csv", rows), ("new.csv", rows[:9])):
        with open(tmp_path / name, "w", newline="") as file:
            csv.writer(file).writerows([("review", "sentiment"), *some])
    argv = ["--text", "reviews.csv", "--target", "sentiment", "--epochs", "6", "--learning-rate", "0.05"]
    made = trained(tmp_path, *argv)
    page, recorded = tmp_path / "page.html", tft.workflow.read_run(made).figures
    options = ["--output", page, "--num-shown", "2", "--json"]
    document = document_of(run(capsys, "report", made, *options)[1])
    assert document["figures"] == pytest.approx(recorded)
    assert "Which words it goes by" in page.read_text() and "random at the start" in page.read_text()
    new = ["--text", tmp_path / "new.csv", "--target", "sentiment", *options]
    of_run = document_of(run(capsys, "report", made, *new)[1])["figures"]
    of_file = document_of(run(capsys, "report", made / "model.keras", *new)[1])["figures"]
    assert of_run == pytest.approx(of_file) and of_run["num_examples"] == 9
    text = page.read_text()
    # The names of the classes are in the file, and the words are those of the texts.
    assert "bad</td>" in text and "<span" in text and "film" in text
    code, _, err = run(capsys, "report", made, "--images", tmp_path, "--output", page)
    assert code != 0 and "takes no images" in err


def test_recordings_of_a_run_and_others(not_timed, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for folder, num in (("tones", 8), ("new", 3)):
        for name, hertz in (("high", 1500), ("low", 300)):
            (tmp_path / folder / name).mkdir(parents=True)
            for i in range(num):
                wave = 9000 * np.sin(2 * np.pi * hertz * np.arange(1000) / 4000) + rng.normal(0, 300, 1000)
                wavfile.write(tmp_path / folder / name / f"{i}.wav", 4000, wave.astype(np.int16))
    argv = ["--audio", "tones", "--sample-rate", "4000", "--seconds", "0.25", "--num-mel-bins", "16"]
    made = trained(tmp_path, *argv, "--epochs", "1", "--batch-size", "8")
    page, recorded = tmp_path / "page.html", tft.workflow.read_run(made).figures
    options = ["--output", page, "--num-shown", "2"]
    assert document_of(run(capsys, "report", made, *options, "--json")[1])["figures"] == pytest.approx(recorded)
    document = document_of(run(capsys, "report", made, "--audio", tmp_path / "new", *options, "--json")[1])
    mistakes = round((1 - document["figures"]["accuracy"]) * document["figures"]["num_examples"])
    text = page.read_text()
    assert document["figures"]["num_examples"] == 6 and "high" in text
    # What it got wrong can be seen and heard.
    assert text.count("<audio") == min(2, mistakes)
    code, _, err = run(capsys, "report", made / "model.keras", "--audio", tmp_path / "new", *options)
    assert code != 0 and "does not say its sample rate" in err and "folder of the run" in err
    (tmp_path / "new" / "low" / "9.wav").write_bytes(b"not a recording")
    code, _, err = run(capsys, "report", made, "--audio", tmp_path / "new", *options)
    assert code != 0 and "9.wav" in err
    assert "on 6 examples" in run(capsys, "report", made, "--audio", tmp_path / "new", *options, "--skip-bad")[1]


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
