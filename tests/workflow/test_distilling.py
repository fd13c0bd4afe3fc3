"""A whole distillation run: a teacher and a folder of images in, a compared and exported student out."""

import csv
import json
import os
import shutil
import sys
import warnings

import keras
import numpy as np
import pytest
import yaml

import tf_transfer as tft
from tf_transfer.workflow.distill_run import LabelledAccuracy

DistillConfig, distill = tft.workflow.DistillConfig, tft.workflow.distill
COLORS = ["blue", "green", "red"]


def color_classifier(size, names=COLORS, end="softmax"):
    """Returns a classifier that is right: its logits are the means of the channels that the classes are called by."""
    image = keras.Input((size, size, 3), name="image")
    maps = keras.layers.Rescaling(1 / 32, name="maps")(image)
    order = [["red", "green", "blue"].index(name) for name in names]
    logits = keras.layers.Dense(3, use_bias=False, name="last")(keras.layers.GlobalAveragePooling2D()(maps))
    scores = keras.layers.Activation(end, name="scores")(logits)
    model = keras.Model(image, scores, name="right")
    model.get_layer("last").set_weights([np.eye(3)[:, order]])
    return model


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("teacher") / "teacher.keras"
    color_classifier(24).save(path)
    return path


@pytest.fixture
def fields(teacher_file, photos, tiny_backbone):
    """Returns the fields of a run of a few seconds; the teacher takes 24 x 24 pixels, the student 16 x 16."""
    return {
        "teacher": teacher_file,
        "images": photos,
        "student": tiny_backbone,
        "dropout": 0.0,
        "augmentation": "none",
        "batch_size": 8,
        "epochs": 2,
        "learning_rate": 0.05,
    }


def run(fields, **changes):
    return distill(DistillConfig.from_dict({**fields, **changes}), verbose=0)


def weights(model):
    return np.concatenate([np.ravel(each) for each in model.get_weights()])


@pytest.mark.slow
def test_a_run_compares_three_models_and_leaves_a_folder(fields, tmp_path):
    places = {"output": tmp_path / "distilled", "export": tmp_path / "served"}
    result = run(fields, epochs=20, compare_alone=True, losses="kd,hint", loss_weights="hint=0.1", **places)
    assert result.class_names == COLORS
    assert result.history["phase"] == ["student alone"] * 20 + ["distillation"] * 20
    teacher, alone, student = result.comparison.rows
    assert [row.name for row in result.comparison.rows] == ["teacher", "student alone", "student"]
    assert (teacher.accuracy, teacher.agreement) == (1.0, 1.0)
    assert student.accuracy >= 5 / 6 and student.num_parameters == alone.num_parameters == 3 * 8 + 8 + 8 * 3 + 3
    files = ["comparison.csv", "config.yaml", "confusion.png", "history.csv", "model.keras"]
    files += ["predictions.csv", "report.html", "result.json"]
    assert sorted(os.listdir(result.output)) == files
    assert sorted(os.listdir(tmp_path)) == ["distilled", "served"]

    images = tft.data.ImageFolder(fields["images"], (16, 16)).examples(12)
    expected = result.model.predict(images, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saved = keras.models.load_model(tmp_path / "distilled" / "model.keras")
    np.testing.assert_allclose(saved.predict(images, verbose=0), expected, atol=1e-6)
    served = tft.serving.load(tmp_path / "served").predict(images)
    np.testing.assert_allclose(served["scores"], expected, atol=1e-5)
    assert set(served["labels"].tolist()) <= set(COLORS)
    metadata = json.loads((tmp_path / "served" / "1" / "assets.extra" / "metadata.json").read_text())
    assert metadata["metrics"]["accuracy"] == student.accuracy
    assert metadata["builder"]["class_names"] == COLORS

    with open(tmp_path / "distilled" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == pytest.approx(result.history["loss"])
    assert rows[0]["feature_hint_loss"] == "" and float(rows[-1]["feature_hint_loss"]) > 0
    with open(tmp_path / "distilled" / "comparison.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["agreement"]) for row in rows] == [1.0, alone.agreement, student.agreement]
    assert float(rows[0]["megabytes"]) == pytest.approx(os.path.getsize(fields["teacher"]) / 1e6, rel=0.05)
    assert DistillConfig.from_yaml(tmp_path / "distilled" / "config.yaml").losses == ("kd", "hint")
    page = (tmp_path / "distilled" / "report.html").read_text()
    assert f"{student.accuracy:.3f}" in page and "teacher.keras to " in page and "times as fast" in page


@pytest.mark.slow
def test_the_student_follows_the_teacher_and_not_the_labels_where_those_differ(fields, photos, tmp_path):
    # The teacher takes blue for green and green for blue, and all of the objective is the teacher's.
    color_classifier(24, ["green", "blue", "red"]).save(tmp_path / "wrong.keras")
    with pytest.warns(UserWarning, match="right on 0.333 .* Are its classes in the order \\['blue', 'green', 'red'\\]"):
        result = run(fields, teacher=tmp_path / "wrong.keras", weight=1.0, epochs=40, learning_rate=0.1)
    rows = {row.name: row for row in result.comparison.rows}
    assert rows["student"].agreement >= 5 / 6
    assert rows["student"].accuracy <= 1 / 2


@pytest.mark.slow
def test_with_the_order_of_the_teachers_scores_it_is_right(fields, tmp_path):
    color_classifier(24, ["red", "blue", "green"]).save(tmp_path / "other.keras")
    names = {"class_names": "red,blue,green"}
    assert run(fields, teacher=tmp_path / "other.keras", epochs=1, **names).comparison.rows[0].accuracy == 1.0
    # A run's folder records the order; it need not be said.
    (tmp_path / "config.yaml").write_text("class_names: [red, blue, green]\n")
    result = run(fields, teacher=tmp_path / "other.keras", epochs=1, output=tmp_path / "out")
    assert (result.comparison.rows[0].accuracy, result.class_names) == (1.0, ["red", "blue", "green"])
    assert yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())["class_names"] == ["red", "blue", "green"]
    again = run(fields, teacher=tmp_path / "out" / "model.keras", epochs=1)
    assert again.class_names == ["red", "blue", "green"]


@pytest.mark.slow
def test_cached_answers_train_as_the_teacher_itself_does(fields, monkeypatch):
    module = sys.modules["tf_transfer.workflow.distill_run"]
    own, calls = module.cache_teacher, []

    def counted(*args, **kwargs):
        calls.append(args)
        return own(*args, **kwargs)

    monkeypatch.setattr(module, "cache_teacher", counted)
    # One step a run and epoch, so that the order of the images is nothing.
    whole = {"batch_size": 24, "epochs": 3, "losses": "kd,hint"}
    cached, asked = run(fields, **whole), run(fields, cache=False, **whole)
    assert len(calls) == 1
    # The teacher takes 24 x 24 pixels, the student 16 x 16.
    assert calls[0][1].element_spec[0].shape == (None, 24, 24, 3)
    np.testing.assert_allclose(weights(cached.model), weights(asked.model), atol=1e-4)
    assert cached.history["loss"] == pytest.approx(asked.history["loss"], abs=1e-4)
    recipes, augment = [], module.augment
    monkeypatch.setattr(
        module, "augment", lambda data, recipe, **kw: recipes.append(recipe) or augment(data, recipe, **kw)
    )
    run(fields, augmentation="flip", epochs=1, compare_alone=True)
    assert (len(calls), recipes) == (1, ["flip", "flip"])


@pytest.mark.slow
def test_images_without_labels_are_learned_from_the_teacher_alone(fields, photos, tmp_path):
    (tmp_path / "flat").mkdir()
    for path in (photos / "red").iterdir():
        shutil.copy(path, tmp_path / "flat")
    result = run(fields, unlabeled=tmp_path / "flat", losses="kd,dkd", epochs=2, compare_alone=True)
    assert result.history["phase"] == ["student alone"] * 2 + ["distillation"] * 2
    # Two epochs of 34 images in batches of 8, for the student alone too, though 24 of the images have a label.
    assert int(result.student_alone.optimizer.iterations) == 2 * 5
    assert result.history["distillation_weight"][:3] == [None, None, pytest.approx(0.9)]
    # The even predictions of an untrained head cost log(3) where there is a label, and nothing where there is none.
    result = run(fields, unlabeled=tmp_path / "flat", batch_size=34, learning_rate=0.0, epochs=1)
    assert result.history["classification_loss"] == pytest.approx([np.log(3) * 24 / 34], rel=1e-4)
    assert result.history["accuracy"] == pytest.approx([1 / 3])


def test_accuracy_counts_examples_with_a_label_alone():
    metric = LabelledAccuracy()
    metric.update_state(np.array([[1.0, 0], [0, 1], [0, 0], [0, 0]]), np.array([[0.9, 0.1]] * 4))
    assert float(metric.result()) == 0.5


@pytest.mark.slow
def test_a_student_from_a_file_goes_on_learning(fields, photos, tmp_path):
    color_classifier(12).save(tmp_path / "small.keras")
    fields = {name: value for name, value in fields.items() if name != "dropout"}
    result = run(fields, student=tmp_path / "small.keras", learning_rate=0.0, epochs=1, compare_alone=True)
    assert (result.builder, result.model.input_shape[1:3]) == (None, (12, 12))
    assert [row.accuracy for row in result.comparison.rows] == [1.0] * 3
    trained = run(fields, student=tmp_path / "small.keras", epochs=1, label_smoothing=0.1, augmentation="mixup")
    assert np.abs(weights(trained.model) - weights(result.model)).max() > 1e-4


def test_a_teacher_that_gives_logits_or_takes_any_size(fields, tmp_path):
    color_classifier(None, end="linear").save(tmp_path / "logits.keras")
    result = run(fields, teacher=f"file:{tmp_path / 'logits.keras'}", epochs=1, losses="kd,similarity")
    assert (result.comparison.rows[0].accuracy, result.teacher.count_params()) == (1.0, 9)


def save_wrong(folder):
    """Saves models that can't teach or learn."""
    color_classifier(24).save(folder / "teacher.keras")
    keras.Sequential([keras.Input((24,)), keras.layers.Dense(3, "softmax")]).save(folder / "vectors.keras")
    flat = keras.layers.Flatten
    keras.Sequential([keras.Input((8, 8, 3)), flat(), keras.layers.Dense(4, "softmax")]).save(folder / "four.keras")
    keras.Sequential([keras.Input((8, 8, 3)), flat(), keras.layers.Dense(3)]).save(folder / "logits.keras")
    keras.Sequential([keras.Input((8, 8, 1)), flat(), keras.layers.Dense(3, "softmax")]).save(folder / "grey.keras")
    (folder / "run").mkdir()
    shutil.copy(folder / "teacher.keras", folder / "run")
    (folder / "run" / "config.yaml").write_text("class_names: [blue, green, yellow]\n")
    (folder / "broken.keras").write_text("no archive")


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"teacher": "nowhere.keras"}, FileNotFoundError, "no model at 'nowhere.keras'"),
        ({"teacher": "broken.keras"}, ValueError, "no `.keras` file"),
        ({"teacher": "run"}, ValueError, "The teacher must be a `.keras` file.*the file that it was made from"),
        ({"teacher": "vectors.keras"}, ValueError, "no classifier of images: it takes .*24"),
        ({"teacher": "four.keras"}, ValueError, r"tells 4 classes apart, and the images have 3: \['blue'"),
        ({"teacher": "run/teacher.keras"}, ValueError, r"are \['blue', 'green', 'yellow'\], the folders .*'red'"),
        ({"teacher": "run/teacher.keras", "class_names": "red,green,blue"}, ValueError, "in this order. Received"),
        ({"class_names": "blue,red"}, ValueError, "tells 3 classes apart, and the images have 2"),
        ({"channels": 1}, ValueError, "The teacher takes images of 3 channels"),
        ({"student": "four.keras", "dropout": None}, ValueError, "each of the teacher's 3 classes.*4 outputs"),
        ({"student": "logits.keras", "dropout": None}, ValueError, "3 outputs from 'linear'"),
        ({"student": "grey.keras", "dropout": None}, ValueError, "3 channels, the student of 1"),
        ({"student": "mobilnet"}, ValueError, "Did you mean 'mobilenet'"),
        ({"student": "mobilenet", "image_size": 16}, ValueError, "at least 32"),
        ({"images": "nowhere"}, FileNotFoundError, "nowhere"),
        ({"unlabeled": "nowhere"}, FileNotFoundError, "nowhere"),
        ({"losses": "hint", "teacher_layer": "mapps"}, ValueError, "Did you mean 'maps'"),
        ({"output": "run"}, FileExistsError, "must be a new folder"),
        ({"output": "no/where"}, FileNotFoundError, "`output`: there is no folder"),
        ({"export": "broken.keras"}, NotADirectoryError, "is a file"),
    ],
)
def test_what_can_not_work_is_said_before_training(fields, changes, kind, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_wrong(tmp_path)
    before = sorted(os.listdir())
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("training began"))
    changed = {name: value for name, value in {**fields, **changes}.items() if value is not None}
    with pytest.raises(kind, match=sentence):
        run(changed)
    assert sorted(os.listdir()) == before


def test_a_run_that_fails_while_writing_leaves_no_half_of_anything(fields, tmp_path, monkeypatch):
    (tmp_path / "distilled").mkdir()

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["tf_transfer.workflow.distill_results"], "curves", stop)
    with pytest.raises(KeyboardInterrupt, match=r"The trained model is in .*distilled_rescued\.keras"):
        run(fields, output=tmp_path / "distilled", epochs=1)
    assert sorted(os.listdir(tmp_path)) == ["distilled", "distilled_rescued.keras"]
    assert os.listdir(tmp_path / "distilled") == []


def test_a_run_that_is_stopped_while_exporting_says_what_is_kept(fields, tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["tf_transfer.workflow.run_export"], "export", stop)
    with pytest.raises(
        KeyboardInterrupt, match=r"nothing was exported. The trained model is in .*distilled.model\.keras"
    ):
        run(fields, output=tmp_path / "distilled", export=tmp_path / "served", epochs=1)
    assert os.listdir(tmp_path) == ["distilled"]
    assert "model.keras" in os.listdir(tmp_path / "distilled")
