"""`tf-transfer rank` on a folder of images: what it prints, draws, writes and refuses."""

import csv

import keras
import numpy as np
import pytest
from cli_documents import document_of

from tf_transfer.cli import main


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """Two saved encoders: the mean color, which tells the classes of `photos` apart, and a corner's brightness."""
    folder = tmp_path_factory.mktemp("encoders")
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()]).save(folder / "color.keras")
    grey = keras.layers.Conv2D(1, 1, kernel_initializer="ones")
    blind = [keras.Input((8, 8, 3)), keras.layers.Cropping2D(((7, 0), (7, 0))), grey, keras.layers.Flatten()]
    keras.Sequential(blind).save(folder / "corner.keras")
    return [f"file:{folder / name}.keras" for name in ("corner", "color")]


def rank(capsys, photos, encoders, *more):
    flags = [flag for name in encoders for flag in ("--backbone", name)]
    assert main(["rank", "--images", str(photos), *flags, *map(str, more)]) == 0
    return capsys.readouterr().out


def test_table_file_and_picture(photos, encoders, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(tmp_path / "cache"))
    more = ["--plot", tmp_path / "rank.png", "--csv", tmp_path / "rank.csv", "--max-examples", 24]
    lines = rank(capsys, photos, encoders, *more).splitlines()
    assert lines[0].split()[:4] == ["backbone", "h_score", "log_me", "nleep"]
    assert "color.keras" in lines[1] and "24 examples" in " ".join(lines)
    with open(tmp_path / "rank.csv", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == encoders[::-1]
    assert np.ptp(keras.utils.img_to_array(keras.utils.load_img(tmp_path / "rank.png"))) > 100
    figures = document_of(rank(capsys, photos, encoders, "--json", "--score", "nleep", "--image-size", "8"))
    assert [each["name"] for each in figures["backbones"]] == encoders[::-1]
    assert list(figures["backbones"][0]["scores"]) == ["nleep"] and figures["num_examples"] == 30


def test_what_it_refuses(photos, encoders, tmp_path, capsys):
    assert main(["rank", "--images", str(photos), "--backbone", "mobilnet_v2"]) == 1
    assert "Did you mean 'mobilenet_v2'" in capsys.readouterr().err
    assert main(["rank", "--images", str(photos), "--backbone", encoders[0], "--score", "leep"]) == 1
    assert "`scores` must be one of" in capsys.readouterr().err
    assert main(["rank", "--images", str(tmp_path / "nowhere"), "--backbone", encoders[0]]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert main(["rank", "--images", str(photos), "--backbone", encoders[0], "--csv", str(tmp_path / "no" / "a")]) == 1
    assert "`csv`: there is no folder" in capsys.readouterr().err
