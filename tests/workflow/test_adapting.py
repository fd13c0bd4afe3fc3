"""A whole adaptation run: two folders of images in, an adapted, measured and exported classifier out."""

import csv
import os
import shutil
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import tf_transfer as tft

AdaptConfig, adapt = tft.workflow.AdaptConfig, tft.workflow.adapt
BRIGHTNESS = {"dark": 60, "light": 180}


def write_images(folder, num_images, tint, seed):
    """Writes noisy images whose class is their brightness and whose domain is a tint, and returns the folder."""
    rng = np.random.default_rng(seed)
    for name, brightness in BRIGHTNESS.items():
        (folder / name).mkdir(parents=True)
        for index in range(num_images):
            pixels = np.clip(brightness + np.array(tint) + rng.normal(0, 20, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Returns a folder with "paper" and "street", 12 images a class each, and "flat", the images of "street"."""
    folder = tmp_path_factory.mktemp("domains")
    write_images(folder / "paper", 12, (0, 0, 0), 0)
    write_images(folder / "street", 12, (60, 0, -60), 1)
    (folder / "flat").mkdir()
    for path in (folder / "street").rglob("*.png"):
        shutil.copy(path, folder / "flat" / f"{path.parent.name}_{path.name}")
    return folder


@pytest.fixture
def fields(folders, tiny_backbone):
    """Returns the fields of a run of a few seconds."""
    return {
        "source": folders / "paper",
        "target": folders / "street",
        "backbone": tiny_backbone,
        "hidden_units": [8],
        "dropout": 0.0,
        "augmentation": "none",
        "batch_size": 8,
        "source_epochs": 2,
        "epochs": 2,
        "learning_rate": 0.01,
        "projection": "pca",
    }


def run(fields, **changes):
    return adapt(AdaptConfig.from_dict({**fields, **changes}), verbose=0)


def test_a_run_measures_before_and_after_and_leaves_a_folder(fields, folders, tmp_path):
    result = run(fields, output=tmp_path / "adapted", export=tmp_path / "served", method="mcc", epochs=3)
    assert result.class_names == ["dark", "light"]
    # A fifth of each class of the target: measured on, never adapted to.
    assert result.evaluation.support.tolist() == result.source_only.support.tolist() == [2, 2]
    assert result.history["phase"] == ["source only"] * 2 + ["adaptation"] * 3
    assert result.history["epoch"] == [1, 2, 1, 2, 3]
    assert result.history["minimum_class_confusion_loss"][:2] == [None, None]
    assert np.all(np.diff(result.history["loss"][:2]) < 0)
    names = ["config.yaml", "confusion.png", "features.png", "history.csv", "model.keras", "predictions.csv"]
    assert sorted(os.listdir(tmp_path / "adapted")) == [*names, "report.html", "result.json"]
    recorded = tft.workflow.read_run(tmp_path / "adapted")
    assert (recorded.command, recorded.method, recorded.main) == ("adapt", "mcc", "accuracy")
    assert recorded.figures["accuracy"] == result.evaluation.accuracy
    assert recorded.result["compared"]["source only"]["accuracy"] == result.source_only.accuracy
    assert recorded.history["minimum_class_confusion_loss"][:2] == [None, None]
    assert [row["label"] for row in recorded.predictions] == ["dark"] * 2 + ["light"] * 2
    assert sorted(os.listdir(tmp_path)) == ["adapted", "served"]

    images = tft.data.ImageFolder(folders / "street", (16, 16)).examples(12)
    expected = result.model.predict(images, verbose=0)
    saved = keras.models.load_model(tmp_path / "adapted" / "model.keras")
    np.testing.assert_allclose(saved.predict(images, verbose=0), expected, atol=1e-6)
    served = tft.serving.load(tmp_path / "served").predict(images)
    np.testing.assert_allclose(served["scores"], expected, atol=1e-5)
    assert set(served["labels"].tolist()) <= {"dark", "light"}
    metadata = tft.serving.load(tmp_path / "served").metadata
    assert metadata["metrics"]["accuracy"] == result.evaluation.accuracy
    assert metadata["builder"]["method"] == "mcc" and metadata["data"]["fingerprint"].startswith("source ")

    with open(tmp_path / "adapted" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == pytest.approx(result.history["loss"])
    assert rows[0]["minimum_class_confusion_loss"] == ""
    written = AdaptConfig.from_yaml(tmp_path / "adapted" / "config.yaml").builder
    assert (written["method"], written["class_names"]) == ("mcc", ("dark", "light"))
    page = (tmp_path / "adapted" / "report.html").read_text()
    assert f"{result.evaluation.accuracy:.3f}" in page and "paper to street: mcc" in page


@pytest.mark.slow
def test_what_is_adapted_and_compared_is_one_model_before_and_after(fields):
    result = run(fields)
    before, after = result.features["source only"], result.features["adapted"]
    assert [each.shape for each in before] == [each.shape for each in after] == [(24, 8), (4, 8)]
    assert np.abs(before[0] - after[0]).max() > 1e-4
    assert [len(each) for each in result.feature_labels] == [24, 4]
    # The same images in the same order: features of the adapted model give its own scores for the labels shown.
    scores = result.method.classifier.predict(after[1], verbose=0)
    accuracy = np.mean(scores.argmax(axis=1) == result.feature_labels[1])
    assert accuracy == result.evaluation.accuracy


@pytest.mark.slow
def test_the_source_is_shown_as_its_own_encoder_sees_it(fields):
    result = run(fields, method="adda")
    np.testing.assert_array_equal(result.history["epoch"], [1, 2, 1, 2])
    images, _ = next(iter(tft.data.ImageFolder(fields["source"], (16, 16)).dataset(8, shuffle=True, seed=0)))
    for each, name in ((result.method.source_encoder, "adapted"), (result.method.encoder, "target's")):
        distance = np.abs(each.predict(images, verbose=0) - result.features["adapted"][0][:8]).max()
        assert (distance < 1e-5) == (name == "adapted"), name


@pytest.mark.slow
def test_a_flat_folder_has_no_labels_to_measure_on(fields, folders, tmp_path):
    result = run(fields, target=folders / "flat", output=tmp_path / "adapted")
    assert (result.evaluation, result.source_only, result.feature_labels[1]) == (None, None, None)
    assert "confusion.png" not in os.listdir(tmp_path / "adapted")
    assert "None of the target images has a label" in (tmp_path / "adapted" / "report.html").read_text()
    measured = run(fields, target=folders / "flat", validation=folders / "street", source_epochs=0)
    assert measured.evaluation.support.tolist() == [12, 12]
    assert measured.source_only is None
    assert list(measured.features) == ["adapted"]


def test_labels_of_the_target_never_reach_the_training(fields, folders, tmp_path):
    # The same images under exchanged names: what is learned is the same, what is measured is not.
    (tmp_path / "exchanged").mkdir()
    shutil.copytree(folders / "street" / "dark", tmp_path / "exchanged" / "light")
    shutil.copytree(folders / "street" / "light", tmp_path / "exchanged" / "dark")
    flat = run(fields, target=folders / "flat", validation=folders / "street")
    other = run(fields, target=folders / "flat", validation=tmp_path / "exchanged")
    for one, another in zip(flat.model.get_weights(), other.model.get_weights()):
        np.testing.assert_array_equal(one, another)
    assert flat.evaluation.accuracy == pytest.approx(1 - other.evaluation.accuracy)


@pytest.mark.slow
def test_folders_of_the_target_that_are_no_classes_are_left_out_of_account(fields, folders, tmp_path):
    shutil.copytree(folders / "street" / "dark", tmp_path / "camera" / "monday")
    shutil.copytree(folders / "street" / "light", tmp_path / "camera" / "tuesday")
    assert run(fields, target=tmp_path / "camera").evaluation is None
    shutil.copytree(folders / "street" / "light", tmp_path / "camera" / "light")
    with pytest.raises(ValueError, match=r"named like classes, but not all.*target_labels=false"):
        run(fields, target=tmp_path / "camera")
    assert run(fields, target=tmp_path / "camera", target_labels=False).evaluation is None
    with pytest.raises(ValueError, match="has 'dark', but the folders are"):
        run(fields, target=tmp_path / "camera", target_labels=True)


@pytest.mark.slow
def test_one_hot_labels_and_mixed_images(fields):
    result = run(fields, label_smoothing=0.1, augmentation="mixup", epochs=1)
    assert np.isfinite(result.history["loss"]).all()


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"source": "nowhere"}, FileNotFoundError, "nowhere"),
        ({"target": "nowhere"}, FileNotFoundError, "nowhere"),
        ({"batch_size": 23}, ValueError, "batch_size=23 for 20 images of the target"),
        ({"output": "nowhere/adapted"}, FileNotFoundError, "`output`: there is no folder"),
        ({"output": "full"}, FileExistsError, "must be a new folder"),
        ({"export": "full/file"}, NotADirectoryError, "is a file"),
        ({"backbone": "mobilnet_v2"}, ValueError, "Did you mean 'mobilenet_v2'"),
        ({"target": "full", "validation_split": 0.5}, ValueError, "needs a target with labels"),
    ],
)
def test_what_can_not_work_is_said_before_training(fields, changes, kind, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("kept")
    module = sys.modules["tf_transfer.workflow.adapt"]
    monkeypatch.setattr(module, "_train_on_source", lambda *_: pytest.fail("training began"))
    with pytest.raises(kind, match=sentence):
        run(fields, **changes)
    assert sorted(os.listdir()) == ["full"]
    assert (tmp_path / "full" / "file").read_text() == "kept"


def test_a_run_that_fails_while_writing_leaves_no_half_of_anything(fields, tmp_path, monkeypatch):
    (tmp_path / "adapted").mkdir()
    results = sys.modules["tf_transfer.workflow.adapt_results"]

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "plot_domains", stop)
    with pytest.raises(KeyboardInterrupt, match=r"The trained model is in .*adapted_rescued\.keras"):
        run(fields, output=tmp_path / "adapted", epochs=1)
    assert sorted(os.listdir(tmp_path)) == ["adapted", "adapted_rescued.keras"]
    assert os.listdir(tmp_path / "adapted") == []
