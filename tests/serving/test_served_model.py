"""An exported model, reloaded in this process."""

import numpy as np
import pytest
import tensorflow as tf
from serving_models import CLASS_NAMES

from tf_transfer import serving


def test_it_takes_the_latest_version(exported, images):
    served = serving.load(exported.removesuffix("/1"))
    assert served.path == exported
    assert served.class_names == CLASS_NAMES == served.metadata["class_names"]
    np.testing.assert_array_equal(
        served.predict(images)["scores"], serving.load(exported).predict({"image": images})["scores"]
    )


def test_batches_change_nothing(exported, images):
    one, many = serving.ServedModel(exported, batch_size=7), serving.ServedModel(exported, batch_size=100)
    np.testing.assert_allclose(one.predict(images)["scores"], many.predict(images)["scores"], atol=1e-6)


def test_whole_numbers_are_cast(exported, images):
    served = serving.load(exported)
    expected = served.predict(images)["scores"]
    np.testing.assert_array_equal(served.predict(images.astype("uint8"))["scores"], expected)
    np.testing.assert_array_equal(served.predict(images.astype("float64"))["scores"], expected)


def test_bad_inputs_are_sentences(exported, images):
    served = serving.load(exported)
    for inputs, message in (
        (images[0], r"'image' must have the shape \(None, 24, 24, 3\). Received shape \(24, 24, 3\)"),
        ({"picture": images}, r"must have the keys \['image'\]. Received: \['picture'\]"),
        (images[:0], "at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            served.predict(inputs)
    with pytest.raises(ValueError, match="no signature 'other'"):
        served.run(images, signature="other")


def test_a_saved_model_from_elsewhere(tmp_path):
    module = tf.Module()
    module.double = tf.function(lambda x: {"doubled": 2 * x}, input_signature=[tf.TensorSpec((None, 2), name="x")])
    tf.saved_model.save(module, str(tmp_path), signatures=module.double)
    served = serving.load(tmp_path)
    assert served.metadata == {} and served.class_names is None
    assert served.predict(np.ones((3, 2)))["doubled"].tolist() == [[2, 2]] * 3
    with pytest.raises(ValueError, match="no signature 'serving_bytes'"):
        served.predict_bytes([b""])
