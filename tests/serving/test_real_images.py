"""Photographs through a pretrained backbone with a trained head: Keras, the reloaded model, the C API, JPEG bytes."""

import os
import pathlib

import keras
import numpy as np
import pytest

from tf_transfer import serving
from tf_transfer.data import decode_image

_DATA = os.environ.get("TF_TRANSFER_DATA")
pytestmark = pytest.mark.skipif(not _DATA, reason="TF_TRANSFER_DATA does not name the folder of real images")


def read_images(num_train, num_test):
    """JPEG bytes and labels: as many of either class of the training part, then of the validation part."""
    with np.load(pathlib.Path(_DATA, "hymenoptera", "hymenoptera_160px.npz")) as file:
        jpeg, offsets, label, domain = (file[name] for name in ("jpeg", "offsets", "label", "domain"))
    picked = [
        np.flatnonzero((domain == part) & (label == kind))[: num // 2]
        for part, num in ((0, num_train), (1, num_test))
        for kind in (0, 1)
    ]
    index = np.concatenate(picked)
    return [jpeg[offsets[i] : offsets[i + 1]].tobytes() for i in index], label[index]


@pytest.mark.slow
def test_ants_and_bees(tmp_path):
    files, labels = read_images(num_train=160, num_test=60)
    pixels = np.stack([decode_image(file, (128, 128)).numpy() for file in files])
    weights = pathlib.Path(_DATA, "weights", "mobilenet_v1_0.25_224_imagenet_notop.weights.h5")
    backbone = keras.applications.MobileNet(
        (128, 128, 3), alpha=0.25, include_top=False, pooling="avg", weights=str(weights)
    )
    image = keras.Input((128, 128, 3), name="image")
    features = backbone(keras.layers.Rescaling(1 / 127.5, -1)(image), training=False)
    head = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dense(2, activation="softmax")])
    model = keras.Model(image, head(features))
    head.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    cached = keras.Model(image, features).predict(pixels[:160], verbose=0)
    head.fit(cached, labels[:160], epochs=30, verbose=0)

    expected = model.predict(pixels[160:], verbose=0)
    accuracy = np.mean(expected.argmax(-1) == labels[160:])
    assert accuracy > 0.7 and np.ptp(expected[:, 0]) > 0.8

    path = serving.export(model, tmp_path / "insects", class_names=["ant", "bee"], examples=pixels[160:])
    served = serving.load(path)
    from_pixels, from_bytes = served.predict(pixels[160:]), served.predict_bytes(files[160:])
    in_c = serving.verify(path, pixels[160:], expected)
    in_c_from_bytes = serving.verify(path, files[160:], expected, signature="serving_bytes")
    for scores in (
        from_pixels["scores"],
        from_bytes["scores"],
        in_c.outputs["scores"],
        in_c_from_bytes.outputs["scores"],
    ):
        assert np.abs(scores - expected).max() <= 1e-5
    assert np.mean(in_c_from_bytes.outputs["labels"] == np.array(["ant", "bee"])[labels[160:]]) == accuracy
