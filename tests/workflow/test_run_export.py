"""A trained model outlives what fails after its training, and its file knows its classes."""

import dataclasses
import errno
import os
import sys

import keras
import numpy as np
import pytest

import tf_transfer as tft
from tf_transfer.cli import main
from tf_transfer.layers.keras_files import read_class_names
from tf_transfer.workflow import run_export

NAMES = ["cat", "dog"]


@dataclasses.dataclass(frozen=True)
class Config:
    output: str | None = None
    export: str | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    model: keras.Model
    class_names: list
    builder: object = None
    evaluation: object = None
    output: str | None = None
    export_path: str | None = None


class Examples:
    def examples(self, num):
        return np.eye(4, dtype="float32")


@pytest.fixture
def result():
    model = keras.Sequential([keras.Input((4,), name="features"), keras.layers.Dense(2, activation="softmax")])
    return Result(model, NAMES)


@pytest.fixture
def failing(monkeypatch):
    """Returns a function that makes exports raise an error."""

    def fail(error):
        def export(*args, **kwargs):
            raise error

        monkeypatch.setattr(run_export, "export", export)

    return fail


def run(result, config, write=None):
    return run_export.write_and_export(config, result, write, Examples(), lambda: "data")


def assert_is_that_of(path, result):
    found = tft.load_model(path)
    np.testing.assert_array_equal(found.predict(np.eye(4), verbose=0), result.model.predict(np.eye(4), verbose=0))
    assert read_class_names(path) == NAMES


def test_a_failed_export_leaves_the_model_beside_it(result, tmp_path, failing):
    failing(RuntimeError("The predictions differ."))
    kept = tmp_path / "my models" / "pets_rescued.keras"
    message = rf"Nothing was exported: The predictions differ\. The trained model is in '{kept}'; `tf-transfer export`"
    with pytest.raises(RuntimeError, match=message):
        run(result, Config(export=tmp_path / "my models" / "pets"))
    assert os.listdir(tmp_path / "my models") == ["pets_rescued.keras"]
    assert_is_that_of(kept, result)
    # What was kept before is not written over.
    with pytest.raises(RuntimeError, match=r"pets_rescued_2\.keras"):
        run(result, Config(export=tmp_path / "my models" / "pets"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("no"), ValueError), (TypeError("no"), RuntimeError), (OSError(errno.ENOSPC, "full"), OSError)],
)
def test_the_kind_of_the_error_stays_where_the_command_line_knows_it(result, tmp_path, failing, error, kind):
    failing(error)
    with pytest.raises(kind, match=r"Nothing was exported: (no|full)\. The trained model is in"):
        run(result, Config(export=tmp_path / "pets"))


def test_where_nothing_can_be_written_it_goes_where_something_can(result, tmp_path, failing, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    failing(OSError(errno.EROFS, "the file system is read-only"))
    # Nobody can make a folder in a file, whoever runs the tests.
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"here.pets_rescued\.keras"):
        run(result, Config(export=tmp_path / "file" / "pets"))
    assert_is_that_of("pets_rescued.keras", result)
    monkeypatch.setattr(run_export, "save_model", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="The trained model could not be saved anywhere either"):
        run(result, Config(export=tmp_path / "pets"))


def test_what_was_saved_before_is_named_and_not_saved_again(result, tmp_path, failing):
    output = str(tmp_path / "run")

    def write():
        os.mkdir(output)
        tft.save_model(result.model, os.path.join(output, "model.keras"), result.class_names)
        return output

    failing(RuntimeError("no"))
    with pytest.raises(RuntimeError, match=r"The trained model is in '.*run.model\.keras'"):
        run(result, Config(output=output, export=tmp_path / "pets"), write)
    assert os.listdir(tmp_path) == ["run"]


def test_a_folder_that_cannot_be_written_leaves_the_model_too(result, tmp_path):
    def write():
        raise OSError(errno.ENOSPC, "the disk is full")

    with pytest.raises(OSError, match=r"'.*run' was not written: the disk is full\. .*run_rescued\.keras"):
        run(result, Config(output=str(tmp_path / "run"), export=tmp_path / "pets"), write)
    assert os.listdir(tmp_path) == ["run_rescued.keras"]


def test_who_stops_an_export_keeps_the_model(result, tmp_path, failing):
    failing(KeyboardInterrupt())
    with pytest.raises(
        KeyboardInterrupt, match=r"Stopped while exporting: nothing was exported\. .*pets_rescued\.keras"
    ):
        run(result, Config(export=tmp_path / "pets"))
    assert_is_that_of(tmp_path / "pets_rescued.keras", result)


def test_a_training_whose_export_fails_is_exported_from_what_was_kept(photos, tiny_backbone, tmp_path, monkeypatch):
    fields = {"images": photos, "backbone": tiny_backbone, "image_size": 16, "freeze_epochs": 1, "epochs": 0}
    served, kept = tmp_path / "served", tmp_path / "served_rescued.keras"
    with monkeypatch.context() as broken:
        broken.setattr(run_export, "export", lambda *args, **kwargs: (_ for _ in ()).throw(RuntimeError("no.")))
        with pytest.raises(RuntimeError, match=r"served_rescued\.keras"):
            tft.workflow.train(tft.workflow.TrainConfig.from_dict({**fields, "export": served}), verbose=0)
    assert read_class_names(kept) == ["blue", "green", "red"]
    (row,) = tft.workflow.predict(kept, photos / "red" / "0.jpg", verbose=0)
    assert {label for label, _ in row.top} == {"blue", "green", "red"}
    with pytest.raises(ValueError, match="has class names of its own"):
        tft.workflow.predict(kept, photos / "red" / "0.jpg", class_names=["a", "b", "c"], verbose=0)
    assert main(["export", str(kept), str(served), "--examples", str(photos / "red")]) == 0
    assert tft.serving.load(served).class_names == ["blue", "green", "red"]


def test_a_distillation_takes_the_names_of_the_teachers_file(photos, tiny_backbone, tmp_path):
    image = keras.Input((16, 16, 3), name="image")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 32)(image))
    # The channels are red, green, blue; the sorted folders would say blue, green, red.
    teacher = keras.Model(image, keras.layers.Softmax(name="scores")(means))
    tft.save_model(teacher, tmp_path / "teacher.keras", class_names=["red", "green", "blue"])
    module = sys.modules["tf_transfer.workflow.distill_models"]
    config = tft.workflow.DistillConfig.from_dict(
        {"teacher": tmp_path / "teacher.keras", "images": photos, "student": tiny_backbone, "epochs": 1}
    )
    assert module.agreed_class_names(config, module.read_teacher(config)) == ["red", "green", "blue"]
