"""`tf-transfer gap` on folders of images: what it prints, draws and refuses."""

import shutil

import keras
import numpy as np
import pytest
from cli_documents import document_of

from tf_transfer.cli import main


@pytest.fixture(scope="module")
def dark(photos, tmp_path_factory):
    """The images of `photos`, in the same folders, with a tenth of the light."""
    folder = tmp_path_factory.mktemp("dark") / "photos"
    shutil.copytree(photos, folder)
    for path in folder.rglob("*.*"):
        pixels = keras.utils.img_to_array(keras.utils.load_img(path))
        keras.utils.save_img(path, pixels / 10, scale=False)
    return folder


def gap(capsys, source, target, backbone, *more):
    assert main(["gap", "--source", str(source), "--target", str(target), "--backbone", backbone, *more]) == 0
    return capsys.readouterr().out


def test_folders_that_differ_with_their_classes_and_a_picture(photos, dark, tiny_backbone, tmp_path, capsys):
    picture = tmp_path / "gap.png"
    text = gap(capsys, photos, dark, tiny_backbone, "--plot", str(picture))
    for part in (
        "proxy A-distance",
        "A-distance, blue",
        "10 and 10 examples",
        "label shift",
        "told apart nearly always",
    ):
        assert part in text
    assert np.ptp(keras.utils.img_to_array(keras.utils.load_img(picture))) > 100


def test_a_folder_and_itself(photos, tiny_backbone, capsys):
    figures = document_of(gap(capsys, photos, photos, tiny_backbone, "--json", "--max-examples", "25"))
    assert figures["a_distance"] < 0.5 and figures["mmd_p_value"] > 0.05 and figures["label_shift"] == 0
    assert figures["num_examples"] == [25, 25] and [each["name"] for each in figures["classes"]] == [
        "blue",
        "green",
        "red",
    ]


def test_folders_of_other_classes_are_compared_as_a_whole(photos, dark, tiny_backbone, capsys):
    figures = document_of(gap(capsys, photos, dark / "red", tiny_backbone, "--json", "--image-size", "16x16"))
    assert figures["classes"] == [] and figures["label_shift"] is None
    assert figures["num_examples"] == [30, 10]


def test_what_it_refuses(photos, tiny_backbone, tmp_path, capsys):
    (tmp_path / "few").mkdir()
    shutil.copy(next(photos.rglob("*.*")), tmp_path / "few")
    arguments = ["gap", "--source", str(photos), "--target", str(tmp_path / "few"), "--backbone", tiny_backbone]
    assert main(arguments) == 1
    assert "at least 10 of them" in capsys.readouterr().err
    assert main([*arguments, "--plot", str(tmp_path / "no" / "gap.png")]) == 1
    assert "`plot`: there is no folder" in capsys.readouterr().err
