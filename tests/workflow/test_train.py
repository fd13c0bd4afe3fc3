"""A whole run: a folder of images in, a measured and exported classifier out."""

import json
import os
import pathlib
import shutil
import sys

import keras
import numpy as np
import pytest
from color_images import write_color_images

import tf_transfer as tft

TrainConfig, train = tft.workflow.TrainConfig, tft.workflow.train


@pytest.fixture
def fields(photos, tiny_backbone, tmp_path):
    """Returns the fields of a run that learns the colors in about a second."""
    return {
        "images": photos,
        "backbone": tiny_backbone,
        "freeze_epochs": 25,
        "epochs": 0,
        "learning_rate": 0.3,
        "dropout": 0.0,
        "features_cache": str(tmp_path / "cache"),
    }


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_run_learns_measures_saves_and_exports_what_it_trained(fields, photos, tmp_path):
    fields |= {"export": tmp_path / "served", "save_model": tmp_path / "model.keras", "min_accuracy": 0.9}
    result = train(TrainConfig.from_dict(fields), verbose=0)

    assert result.passed
    assert result.accuracy >= 0.9
    assert result.class_names == ["blue", "green", "red"]
    assert result.evaluation.support.tolist() == [2, 2, 2]
    assert [phase.name for phase in result.history.phases] == ["head"]
    assert result.export_path == str(tmp_path / "served" / "1")
    # The file that is left holds the model that was measured, and nothing else lies about.
    images = tft.data.ImageFolder(photos, (16, 16)).examples(30)
    expected = result.model.predict(images, verbose=0)
    saved = keras.models.load_model(result.saved_model)
    np.testing.assert_allclose(saved.predict(images, verbose=0), expected, atol=1e-6)
    served = tft.serving.load(tmp_path / "served")
    np.testing.assert_allclose(served.predict(images)["scores"], expected, atol=1e-5)
    assert sorted(os.listdir(tmp_path)) == ["cache", "model.keras", "served"]
    assert sorted(os.listdir(tmp_path / "served")) == ["1", "latest"]
    metadata = json.loads((tmp_path / "served/1/assets.extra/metadata.json").read_text())
    assert metadata["examples"] == {"num": 6, "source": "given"}
    assert metadata["builder"]["backbone"] == fields["backbone"]
    assert metadata["builder"]["class_names"] == ["blue", "green", "red"]
    assert metadata["metrics"]["accuracy"] == result.accuracy and metadata["metrics"]["num_examples"] == 6
    # The images that were trained on: all but the two of each class that were measured on.
    assert metadata["data"]["fingerprint"].endswith("-24")


def test_white_images_are_scaled_to_white_and_exported(fields, tmp_path):
    write_color_images(tmp_path / "grey", 4, colors={"black": (-200, -200, -200), "white": (500, 500, 500)})
    fields |= {"images": tmp_path / "grey", "freeze_epochs": 1, "export": tmp_path / "served"}
    assert train(TrainConfig.from_dict(fields), verbose=0).export_path == str(tmp_path / "served" / "1")


def test_an_accuracy_below_the_gate_keeps_nothing(fields, tmp_path):
    fields |= {"freeze_epochs": 1, "learning_rate": 0.0, "min_accuracy": 0.5}
    result = train(
        TrainConfig.from_dict(fields | {"export": tmp_path / "served", "save_model": tmp_path / "model.keras"}),
        verbose=0,
    )
    # A head that starts at zero and never learns calls every image the first class.
    assert result.accuracy == pytest.approx(1 / 3)
    assert not result.passed
    assert (result.export_path, result.saved_model) == (None, None)
    assert os.listdir(tmp_path) == ["cache"]


@pytest.mark.slow
def test_both_phases_run_and_the_builder_says_what_trains_in_the_second(photos, tmp_path):
    config = TrainConfig(
        images=photos,
        image_size=32,
        freeze_epochs=1,
        epochs=1,
        features_cache=False,
        builder={"weights": None, "backbone_options": {"alpha": 0.35}, "trainable": "block_16", "augmentation": None},
    )
    with pytest.warns(UserWarning, match="nothing is transferred"):
        result = train(config, verbose=0)
    assert [(phase.name, phase.num_epochs) for phase in result.history.phases] == [("head", 1), ("fine-tuning", 1)]
    trained = {variable.path.split("/")[0] for variable in result.model.trainable_variables}
    assert trained == {"block_16_expand", "block_16_depthwise", "block_16_project", "Conv_1", "logits"}
    assert result.export_path is None


@pytest.mark.slow
def test_the_same_seed_measures_on_the_same_images(fields):
    def labels_and_scores(seed):
        result = train(TrainConfig.from_dict({**fields, "freeze_epochs": 2, "seed": seed}), verbose=0)
        return result.evaluation.scores

    first = labels_and_scores(1)
    np.testing.assert_array_equal(labels_and_scores(1), first)
    assert np.abs(labels_and_scores(2) - first).max() > 1e-6


def test_a_folder_to_measure_on_is_not_trained_on(fields, photos, tmp_path):
    # Measured on images whose names are exchanged, what was learned is wrong.
    for name, other in (("blue", "red"), ("green", "blue"), ("red", "green")):
        shutil.copytree(photos / other, tmp_path / "other" / name)
    result = train(TrainConfig.from_dict(fields | {"validation": tmp_path / "other"}), verbose=0)
    assert result.evaluation.support.tolist() == [10, 10, 10]
    assert result.history.history["accuracy"][-1] >= 0.9
    assert result.history.history["val_accuracy"][-1] <= 0.1


def test_class_weights_by_name_reach_the_training_by_index(fields):
    def mean_scores(class_weight):
        values = {"freeze_epochs": 3, "learning_rate": 0.05, "class_weight": class_weight}
        return train(TrainConfig.from_dict(fields | values), verbose=0).evaluation.scores.mean(axis=0)

    assert mean_scores({"blue": 0, "green": 1, "red": 0}).argmax() == 1
    assert mean_scores("blue=0,green=0,red=1").argmax() == 2
    with pytest.raises(ValueError, match=r"a weight for each of .* Received: \{'blue': 1.0\}"):
        mean_scores({"blue": 1})


def test_a_module_says_itself_what_images_it_takes(fields, tmp_path):
    image = keras.Input((12, 20, 1))
    flat = keras.layers.Flatten()(keras.layers.Conv2D(2, 4, strides=4)(image))
    module = tft.backbones.export_reusable(keras.Model(image, flat), tmp_path / "module")
    result = train(TrainConfig.from_dict(fields | {"backbone": f"hub:{module}", "freeze_epochs": 1}), verbose=0)
    assert result.builder.input_shape == (12, 20, 1)
    assert result.model.input_shape == (None, 12, 20, 1)


def test_classes_come_in_the_order_that_is_asked_for(fields):
    result = train(TrainConfig.from_dict(fields | {"class_names": ["red", "green", "blue"]}), verbose=0)
    assert result.class_names == ["red", "green", "blue"]
    assert result.accuracy >= 0.9


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"backbone": "mobilnet_v2"}, ValueError, "Did you mean 'mobilenet_v2'"),
        ({"backbone": "xception", "image_size": 64}, ValueError, "at least 71 x 71"),
        ({"backbone": "mobilenet_v2", "weights": "nowhere.weights.h5"}, ValueError, "'imagenet', None or the path"),
        ({"backbone": "file:nowhere.keras"}, FileNotFoundError, "nowhere.keras"),
        ({"save_model": "nowhere/model.keras"}, FileNotFoundError, "no folder"),
        ({"export": "file.txt"}, NotADirectoryError, "is a file"),
        ({"save_model": "folder.keras"}, IsADirectoryError, "is a folder"),
    ],
)
def test_what_can_not_work_is_said_before_an_image_is_read(fields, changes, kind, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file.txt").write_text("")
    pathlib.Path("folder.keras").mkdir()
    before = written(tmp_path)
    with pytest.raises(kind, match=sentence):
        train(TrainConfig.from_dict({**fields, "images": "never looked at", **changes}), verbose=0)
    assert written(tmp_path) == before


def test_a_block_that_is_not_there_is_said_before_training(fields, monkeypatch):
    # The package has the function of this name where the module would be.
    module = sys.modules["tf_transfer.workflow.train"]
    monkeypatch.setattr(module, "fine_tune", lambda *args, **kwargs: pytest.fail("training began"))
    changes = {"trainable": "block_99", "epochs": 1, "weights": None, "image_size": 32, "backbone": "mobilenet_v2"}
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="no block 'block_99'"):
        train(TrainConfig.from_dict(fields | changes), verbose=0)


def test_a_run_that_fails_while_exporting_leaves_no_half_of_anything(fields, tmp_path, monkeypatch):
    module = sys.modules["tf_transfer.workflow.run_export"]

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "export", stop)
    fields |= {"freeze_epochs": 1, "export": tmp_path / "served", "save_model": tmp_path / "model.keras"}
    with pytest.raises(KeyboardInterrupt, match=r"nothing was exported. The trained model is in .*model.keras"):
        train(TrainConfig.from_dict(fields), verbose=0)
    assert sorted(os.listdir(tmp_path)) == ["cache", "model.keras"]

    monkeypatch.setattr(keras.Model, "save", stop)
    os.remove(tmp_path / "model.keras")
    with pytest.raises(KeyboardInterrupt):
        train(TrainConfig.from_dict(fields), verbose=0)
    assert os.listdir(tmp_path) == ["cache"]
