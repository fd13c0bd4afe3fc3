"""`tf-transfer runs`: two trainings are kept, listed, compared and run again."""

import json
import os
import shutil

import keras
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


@pytest.fixture(scope="module")
def kept(photos, tiny_backbone, tmp_path_factory):
    """Returns a folder with the runs "blind", which learned nothing, and "seeing", and their images."""
    folder = tmp_path_factory.mktemp("kept")
    shutil.copytree(photos, folder / "photos")
    argv = ["train", "--images", "photos", "--backbone", tiny_backbone, "--freeze-epochs", "20", "--epochs", "0"]
    argv += ["--validation-split", "0.4", "--dropout", "0", "--features-cache", "cache", "--quiet"]
    before = os.getcwd()
    os.chdir(folder)
    try:
        for name, rate in (("blind", "0"), ("seeing", "0.3")):
            assert main([*argv, "--learning-rate", rate, "--output", name]) == 0
    finally:
        os.chdir(before)
    return folder


def test_runs_are_listed_with_what_they_were(kept, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    code, out, err = run(capsys, "runs", "list", kept)
    lines = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, "") and [line[0] for line in lines[1:]] == [f"{kept}/blind", f"{kept}/seeing"]
    assert "accuracy 0.333 (" in out and "accuracy 1.000 (" in out and lines[1][1] == "train" and lines[1][-1] == "0"
    runs = document_of(run(capsys, "runs", "list", kept, "--json")[1])["runs"]
    assert [each["figures"]["accuracy"] for each in runs] == [pytest.approx(1 / 3), 1.0]


def test_runs_are_compared_on_the_same_examples_and_drawn(kept, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    argv = ["runs", "compare", kept / "blind", kept / "seeing", "--plot", tmp_path / "curves.png"]
    code, out, _ = run(capsys, *argv)
    lines = [line.split() for line in out.splitlines()]
    assert code == 0 and ["learning_rate", "0.0", "0.3"] in lines and "against blind (95% interval)" in out
    assert "+0.667 (" in out and len([line for line in lines if line]) == 5
    assert np.ptp(keras.utils.img_to_array(keras.utils.load_img(tmp_path / "curves.png"))) > 100
    document = document_of(run(capsys, *argv[:-2], "--json")[1])
    assert document["settings"] == {"learning_rate": [0.0, 0.3]} and document["differences"][0] is None
    difference = document["differences"][1]
    assert difference["low"] > 0 and difference["p_value"] == pytest.approx(2 * 0.5**8)
    assert run(capsys, "runs", "compare", kept / "blind")[2] == "error: `runs` must be two or more. Received: 1.\n"


def test_a_run_is_reproduced_from_anywhere_until_its_data_change(kept, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(kept, "kept")
    code, out, err = run(capsys, "runs", "reproduce", "kept/seeing", "--output", "again", "--quiet")
    assert code == 0 and "warning" not in err
    assert out.splitlines()[-1].startswith("Reproduced: all 6 figures are those that were recorded")
    assert tft.workflow.read_run("again").predictions == tft.workflow.read_run("kept/seeing").predictions

    # The images of two classes change places in the data that the run was recorded on.
    result = json.loads((tmp_path / "kept/seeing/result.json").read_text())
    (tmp_path / "kept/seeing/result.json").write_text(json.dumps({**result, "directory": str(tmp_path / "kept")}))
    for index in range(10):
        names = [next((tmp_path / "kept/photos" / color).glob(f"{index}.*")) for color in ("red", "blue")]
        names[0].rename("moved")
        names[1].rename(names[0])
        os.rename("moved", names[1])
    code, out, err = run(capsys, "runs", "reproduce", "kept/seeing", "--output", "changed", "--json", "--quiet")
    document = document_of(out)
    assert document["changed"]["inputs"] == ["images"] and "Not as they were when the run was recorded: images" in err
    assert document["exit_code"] == code == 3 and document["agreement"] == "no"
