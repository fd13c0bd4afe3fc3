"""Files in, labels and scores out."""

import shutil

import keras
import numpy as np
import pytest
from PIL import Image

import tf_transfer as tft

predict = tft.workflow.predict


@pytest.fixture(scope="module")
def model():
    """Returns a classifier that is sure of the color that is brightest."""
    image = keras.Input((16, 16, 3), name="image")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 50)(image))
    return keras.Model(image, keras.layers.Softmax(name="scores")(means))


@pytest.fixture(scope="module")
def places(model, tmp_path_factory):
    """Returns the paths of the model as a `.keras` file and as an export. Channel 0 is red."""
    folder = tmp_path_factory.mktemp("models")
    model.save(folder / "model.keras")
    tft.export(model, folder / "served", class_names=["red", "green", "blue"])
    return {"keras": folder / "model.keras", "export": folder / "served"}


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_an_export_names_the_color_of_every_image(places, photos, batch_size):
    rows = predict(places["export"], photos, batch_size=batch_size, verbose=0)
    assert len(rows) == 30
    assert [row.file for row in rows] == sorted(str(path) for path in photos.rglob("*.*"))
    assert all(row.label == row.file.split("/")[-2] for row in rows)


def test_scores_are_those_of_the_model_and_the_best_come_first(places, model, photos):
    row = predict(places["export"] / "1", photos / "green" / "3.png", top_k=2, verbose=0)[0]
    image = keras.utils.img_to_array(Image.open(photos / "green" / "3.png"))[None]
    image = keras.ops.image.resize(image, (16, 16), interpolation="bilinear", antialias=True)
    scores = model.predict(image, verbose=0)[0]
    assert row.score == pytest.approx(scores[1], abs=1e-5)
    assert [label for label, _ in row.top] == ["green", "blue" if scores[2] > scores[0] else "red"]
    assert [score for _, score in row.top] == pytest.approx(sorted(scores, reverse=True)[:2], abs=1e-5)


def test_a_keras_file_says_the_same_as_its_export(places, photos):
    names = ["red", "green", "blue"]
    exported = predict(places["export"], photos / "blue", verbose=0)
    saved = predict(places["keras"], photos / "blue", class_names=names, verbose=0)
    assert [row.label for row in saved] == [row.label for row in exported]
    np.testing.assert_allclose([row.score for row in saved], [row.score for row in exported], atol=1e-6)
    assert predict(places["keras"], photos / "blue" / "0.jpg", verbose=0)[0].label == "2"


def test_one_sigmoid_unit_gives_two_scores(photos, tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    red = keras.layers.Lambda(lambda x: x[..., :1] - x[..., 1:2], output_shape=(8, 8, 1))(image)
    score = keras.layers.Activation("sigmoid")(keras.layers.GlobalAveragePooling2D()(red))
    tft.export(keras.Model(image, score), tmp_path / "served", class_names=["other", "red"])
    rows = predict(tmp_path / "served", [photos / "red" / "0.jpg", photos / "green" / "0.jpg"], verbose=0)
    assert [row.label for row in rows] == ["red", "other"]
    assert min(row.score for row in rows) > 0.5
    assert rows[1].top[0][0] == "other"


def test_an_image_may_have_several_labels_or_none(photos, tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    means = keras.layers.Rescaling(1.0, offset=-100)(keras.layers.GlobalAveragePooling2D()(image))
    model = keras.Model(image, keras.layers.Activation("sigmoid")(means))
    tft.export(model, tmp_path / "served", class_names=["red", "green", "blue"])
    Image.new("RGB", (8, 8), (250, 250, 0)).save(tmp_path / "yellow.png")
    Image.new("RGB", (8, 8), (0, 0, 0)).save(tmp_path / "black.png")
    rows = predict(tmp_path / "served", [tmp_path / "yellow.png", tmp_path / "black.png"], verbose=0)
    assert [row.label for row in rows] == ["red, green", ""]


def test_bad_images_are_named_and_left_out_only_when_asked(places, photos, tmp_path):
    shutil.copytree(photos / "red", tmp_path / "mixed")
    (tmp_path / "mixed" / "empty.png").write_bytes(b"")
    (tmp_path / "mixed" / "half.jpg").write_bytes((photos / "red" / "0.jpg").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"(?s)2 of 12 images .*empty.png: is empty.*half.jpg"):
        predict(places["export"], tmp_path / "mixed", verbose=0)
    with pytest.warns(UserWarning, match="Left out 2 of 12"):
        rows = predict(places["export"], tmp_path / "mixed", skip_bad=True, verbose=0)
    assert {row.label for row in rows} == {"red"}
    assert len(rows) == 10


def test_what_is_no_model_or_no_image_is_said(places, photos, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model .*servd.* Did you mean 'served'"):
        predict(places["export"].with_name("servd"), photos)
    with pytest.raises(FileNotFoundError, match="no image"):
        predict(places["export"], photos / "nowhere.jpg")
    with pytest.raises(ValueError, match="an exported folder or a"):
        predict(photos / "red" / "0.jpg", photos)
    with pytest.raises(FileNotFoundError, match="no version folder"):
        predict(photos, photos / "red")
    with pytest.raises(ValueError, match="own class names"):
        predict(places["export"], photos / "red", class_names=["a", "b", "c"], verbose=0)
    with pytest.raises(ValueError, match="one name for each of the model's 3"):
        predict(places["keras"], photos / "red", class_names=["a", "b"], verbose=0)
    with pytest.raises(ValueError, match="`top_k` must be an integer of at least 1"):
        predict(places["export"], photos, top_k=0)
    image = keras.Input((8, 8, 3), name="image")
    keras.Model(image, image).save(tmp_path / "pictures.keras")
    with pytest.raises(ValueError, match=r"'predictions' of shape.*Received.*, 8, 8, 3\)"):
        predict(tmp_path / "pictures.keras", photos / "red", verbose=0)


def test_a_model_of_numbers_answers_with_numbers(photos, tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(image)).save(tmp_path / "means.keras")
    found = predict(tmp_path / "means.keras", photos / "red", verbose=0)
    assert isinstance(found[0], tft.workflow.PredictedNumbers) and found[0].file.endswith("0.jpg")
    for row in found:
        red, green, blue = row.values
        assert red > 150 > 90 > max(green, blue)
