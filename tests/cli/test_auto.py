"""`tf-transfer recommend` and `tf-transfer auto`: what they say, write and refuse, and that a search is a run."""

import contextlib
import io
import json
import os

import keras
import numpy as np
import pytest
from cli_documents import document_of
from scipy.io import wavfile

from tf_transfer.cli import main
from tf_transfer.workflow import TextTrainConfig, TrainConfig, read_run


def test_recommend_writes_what_train_takes(photos, tiny_backbone, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(tmp_path / "cache"))
    flags = ["recommend", "--images", str(photos), "--backbone", tiny_backbone]
    assert main([*flags, "--minutes", "5", "--write", str(tmp_path / "run.yaml")]) == 0
    out = capsys.readouterr().out
    assert "Fine-tuning held by L2-SP" in out and "10 each" in out
    config = TrainConfig.from_yaml(tmp_path / "run.yaml")
    assert config.images == str(photos) and config.builder["backbone"] == tiny_backbone
    assert main([*flags, "--json", "--max-parameters", "1"]) == 1
    assert "No backbone is within the budget" in json.loads(capsys.readouterr().out)["error"]
    assert main([*flags, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "l2_sp"


def test_auto_refuses_before_it_works(photos, tiny_backbone, tmp_path, capsys):
    flags = ["auto", "--images", str(photos), "--backbone", tiny_backbone]
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    for more, said in (
        (["--minutes", "0"], "`minutes` must be above 0"),
        (["--method", "l2sp"], "Did you mean 'l2_sp'"),
        (["--output", str(tmp_path / "there")], "`output` must be a new folder"),
        (["--save-model", str(tmp_path / "model.h5")], "must end in .keras"),
        (["--augmentation", "flips"], "Did you mean 'flip'"),
    ):
        assert main([*flags, *more]) == 1
        assert said in capsys.readouterr().err


def test_what_does_not_go_together_is_said(tmp_path, capsys):
    (tmp_path / "films.csv").write_text("text,label\ngood,1\nbad,0\n")
    films = ["--text", str(tmp_path / "films.csv")]
    for command, more, said in (
        ("auto", [], "say what to learn from: --images DIR, --text FILE, --table FILE or --audio DIR"),
        ("auto", [*films, "--image-size", "96"], "--text does not go with --image-size"),
        ("recommend", [*films, "--table", "rows.csv"], "Received: --text and --table"),
        ("recommend", [*films, "--source", "photos"], "--source goes with --images"),
        ("recommend", ["--images", "street", "--source", "photos", "--skip-bad"], "does not go with --skip-bad"),
    ):
        with pytest.raises(SystemExit):
            main([command, *more])
        assert said in capsys.readouterr().err


def test_recommend_reads_a_file_of_texts(tmp_path, capsys):
    (tmp_path / "films.csv").write_text("review,mood\n" + "good film,1\nbad film,0\n" * 12)
    flags = ["--text", str(tmp_path / "films.csv"), "--text-column", "review", "--target", "mood", "--seed", "4"]
    assert main(["recommend", *flags, "--write", str(tmp_path / "run.yaml"), "--json"]) == 0
    assert document_of(capsys.readouterr().out)["method"] == "from_scratch"
    config = TextTrainConfig.from_yaml(tmp_path / "run.yaml")
    assert (config.text_column, config.target, config.seed, config.epochs) == ("review", "mood", 4, 30)


@pytest.fixture(scope="module")
def kept(photos, tiny_backbone, tmp_path_factory):
    """Returns a folder with the runs of two searches that had time for one candidate, and what the first printed."""
    folder = tmp_path_factory.mktemp("searched")
    before = os.environ.get("TF_TRANSFER_CACHE")
    os.environ["TF_TRANSFER_CACHE"] = str(folder / "cache")
    printed, err = io.StringIO(), io.StringIO()
    flags = ["--images", str(photos), "--backbone", tiny_backbone, "--augmentation", "none", "--batch-size", "8"]
    flags += ["--validation-split", "0.3", "--minutes", "0.001", "--seed", "3", "--json"]
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(err):
            for method in ("feature_extraction", "prototypes"):
                assert main(["auto", *flags, "--method", method, "--output", str(folder / method)]) == 0
    finally:
        os.environ.pop("TF_TRANSFER_CACHE") if before is None else os.environ.update(TF_TRANSFER_CACHE=before)
    return folder, printed.getvalue(), err.getvalue()


def test_a_search_leaves_the_folder_of_a_run(kept, capsys, monkeypatch):
    folder, printed, _ = kept
    found = document_of(printed[: printed.index("\n}\n") + 3])
    assert found["best"].endswith("feature extraction") and found["passed"] and found["figures"]["num_examples"] == 9
    assert "There are 21 labelled images" in found["reasons"][0] and "too good" in found["caption"]
    names = {path.name for path in (folder / "feature_extraction").iterdir()}
    of_runs = {"model.keras", "config.yaml", "history.csv", "result.json", "predictions.csv"}
    assert names == of_runs | {"tried.csv", "tried.json", "tried.png"}
    assert keras.models.load_model(folder / "feature_extraction" / "model.keras").output_shape == (None, 3)
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["runs", "list", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[1] for line in lines] == ["auto", "auto"]
    assert "search: feature extraction " in lines[0] and "search: prototypes of the classes" in lines[1]


def test_what_a_search_chose_is_trained_again_to_the_same_figures(kept, photos, capsys):
    folder, printed, _ = kept
    run = folder / "feature_extraction"
    assert main(["runs", "reproduce", str(run), "--output", str(folder / "again"), "--quiet"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("What the search chose was trained again, not the search. Reproduced: all 6 figures")
    # Nothing was chosen by the examples that it is measured on.
    history = read_run(folder / "again").history
    assert "loss" in history and "val_loss" not in history and history == read_run(run).history
    config = TrainConfig.from_yaml(run / "config.yaml")
    assert (config.images, config.seed, config.batch_size, config.epochs) == (str(photos), 3, 8, 0)
    assert main(["runs", "compare", str(run), str(folder / "again"), "--json"]) == 0
    compared = document_of(capsys.readouterr().out)
    assert compared["settings"] == {"command": ["auto", "train"]} and compared["differences"][1]["mean"] == 0


def test_a_run_that_no_configuration_repeats_says_so(kept, capsys):
    folder, _, _ = kept
    run = folder / "prototypes"
    assert main(["runs", "reproduce", str(run), "--output", str(folder / "more"), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "can't be reproduced" in said and "mean features" in said and "tf-transfer train --config" in said
    assert not (folder / "more").exists() and TrainConfig.from_yaml(run / "config.yaml").epochs == 0


def test_a_gate_that_is_missed_keeps_nothing(tiny_backbone, tmp_path, capsys):
    for index in range(8):
        folder = tmp_path / "same" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(folder / f"{index}.png", np.full((16, 16, 3), 90), scale=False)
    flags = ["--images", str(tmp_path / "same"), "--backbone", tiny_backbone, "--method", "prototypes"]
    gate = ["--minutes", "0.001", "--min-accuracy", "0.9", "--output", str(tmp_path / "run"), "--quiet"]
    assert main(["auto", *flags, *gate]) == 3
    assert "below --min-accuracy 0.9: nothing was kept" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_other_kinds_are_searched_too(reviews_and_rows, tmp_path, capsys):
    for name, flags in reviews_and_rows.items():
        run = tmp_path / name
        assert main(["auto", *flags, "--minutes", "0.001", "--folds", "2", "--output", str(run), "--quiet"]) == 0
        out = capsys.readouterr().out
        assert "training of all weights" in out and ("without a network" in out.lower()) == (name != "audio")
        assert main(["runs", "reproduce", str(run), "--output", str(tmp_path / f"{name} again"), "--quiet"]) == 0
        assert "all 6 figures" in capsys.readouterr().out
        assert main(["report", str(run), "--output", str(tmp_path / f"{name}.html"), "--quiet"]) == 0
        capsys.readouterr()
        page = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert "tf-transfer train --config" in page


@pytest.fixture
def reviews_and_rows(tmp_path):
    """Returns the flags that name a file of texts, one of rows and a folder of recordings, small ones."""
    rng = np.random.default_rng(0)
    (tmp_path / "films.csv").write_text("text,label\n" + "a good film,1\na bad film,0\n" * 15)
    rows = "\n".join(f"{rng.normal(i % 2):.2f},{'ab'[i % 2]},{i % 2}" for i in range(40))
    (tmp_path / "rows.csv").write_text(f"age,ward,sick\n{rows}\n")
    for name, hertz in (("high", 1500), ("low", 300)):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for i in range(8):
            wave = 9000 * np.sin(2 * np.pi * hertz * np.arange(1000) / 4000) + rng.normal(0, 300, 1000)
            wavfile.write(tmp_path / "tones" / name / f"{i}.wav", 4000, wave.astype(np.int16))
    return {
        "text": ["--text", str(tmp_path / "films.csv"), "--backbone", "mean"],
        "table": ["--table", str(tmp_path / "rows.csv"), "--target", "sick"],
        "audio": ["--audio", str(tmp_path / "tones"), "--sample-rate", "4000", "--seconds", "0.25"],
    }
