"""`tf-transfer recommend` and `tf-transfer auto` on a folder of images: what they say, write and refuse."""

import json

import keras
import pytest

from tf_transfer.cli import main
from tf_transfer.workflow import TrainConfig


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


@pytest.mark.slow
def test_auto_keeps_what_it_is_told_to(photos, tiny_backbone, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(tmp_path / "cache"))
    run, served = tmp_path / "run", tmp_path / "served"
    flags = ["--images", str(photos), "--backbone", tiny_backbone, "--minutes", "0.01", "--augmentation", "none"]
    assert main(["auto", *flags, "--output", str(run), "--export", str(served), "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["best"].endswith("feature extraction") and found["exported"] == str(served / "1")
    assert "not tried" in printed.err and "too good" in found["caption"]
    names = {path.name for path in run.iterdir()}
    assert names == {"model.keras", "config.yaml", "tried.csv", "tried.json", "tried.png"}
    assert TrainConfig.from_yaml(run / "config.yaml").epochs == 0
    assert keras.models.load_model(run / "model.keras").output_shape == (None, 3)
