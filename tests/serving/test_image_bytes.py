"""Encoded images in, the same predictions out."""

import io

import keras
import numpy as np
import PIL.Image
import pytest
from serving_models import CLASS_NAMES, conv_net, encode, toy_images, train

from tf_transfer import serving


def test_png_equals_pixels(classifier, exported, images):
    files = [encode(image, "PNG") for image in images]
    served = serving.load(exported).predict_bytes(files)
    expected = classifier.predict(images, verbose=0)
    np.testing.assert_allclose(served["scores"], expected, atol=1e-5)
    assert served["labels"].tolist() == [CLASS_NAMES[index] for index in expected.argmax(-1)]
    verification = serving.verify(exported, files, expected, signature="serving_bytes")
    assert verification.max_difference <= 1e-5


@pytest.mark.parametrize(
    ("mode", "image_format"),
    [("RGB", "JPEG"), ("RGB", "BMP"), ("L", "PNG"), ("L", "JPEG"), ("RGBA", "PNG"), ("P", "GIF")],
)
def test_formats_equal_what_pillow_reads(classifier, exported, images, mode, image_format):
    file = io.BytesIO()
    picture = PIL.Image.fromarray(images[0].astype("uint8")).convert(mode)
    picture.save(file, image_format)
    expected = np.asarray(PIL.Image.open(file).convert("RGB"), "float32")[None]
    # Two JPEG decoders may round a pixel differently; all else is lossless.
    tolerance = 0.02 if image_format == "JPEG" else 1e-5
    expected = classifier.predict(expected, verbose=0)
    served = serving.load(exported).predict_bytes([file.getvalue()])
    np.testing.assert_allclose(served["scores"], expected, atol=tolerance)
    assert serving.verify(exported, [file.getvalue()], expected, signature="serving_bytes", tolerance=tolerance)


def test_files_of_many_sizes_in_one_batch_are_resized(exported):
    colors = np.eye(3) * 200
    sizes = [(24, 24), (7, 90), (300, 200)]
    files = [encode(np.broadcast_to(c, (*size, 3)), "PNG") for c, size in zip(colors, sizes, strict=True)]
    assert serving.load(exported).predict_bytes(files)["labels"].tolist() == CLASS_NAMES


def test_one_channel(tmp_path):
    x, _ = toy_images(128, channels=1)
    bright = x.mean((1, 2, 3)) > np.median(x.mean((1, 2, 3)))
    model = train(conv_net(2, "softmax", channels=1), x, bright, "sparse_categorical_crossentropy")
    path = serving.export(model, tmp_path / "net", examples=x[:16])
    served = serving.load(path).predict_bytes([encode(image, "PNG") for image in x[:16]])
    np.testing.assert_allclose(served["scores"], model.predict(x[:16], verbose=0), atol=1e-5)


def test_whole_numbers_stay_whole(tmp_path):
    image = keras.Input((24, 24, 3), name="image", dtype="uint8")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    x_train, y_train = toy_images(96)
    model = train(
        keras.Model(image, keras.layers.Dense(3, activation="softmax")(x)),
        x_train.astype("uint8"),
        y_train,
        "sparse_categorical_crossentropy",
        epochs=3,
    )
    path = serving.export(model, tmp_path / "net", examples=x_train[:8])
    files = [encode(image, "PNG") for image in x_train[:8]]
    np.testing.assert_allclose(
        serving.load(path).predict_bytes(files)["scores"],
        model.predict(x_train[:8].astype("uint8"), verbose=0),
        atol=1e-5,
    )


def test_a_file_that_is_no_image_is_named(exported, images):
    good = encode(images[0], "PNG")
    for bad in (b"", b"no image", good[: len(good) // 2]):
        with pytest.raises(ValueError, match="Image 1 of 3 cannot be decoded"):
            serving.load(exported).predict_bytes([good, bad, good])


def test_no_files_are_told(exported):
    with pytest.raises(ValueError, match="at least 1"):
        serving.load(exported).predict_bytes([])
