"""Small trained models, their first version and images, shared by the tests of serving."""

import keras
import numpy as np
import pytest
from serving_models import CLASS_NAMES, conv_net, toy_images, train


@pytest.fixture(scope="session")
def images():
    return toy_images(40, seed=1)[0]


@pytest.fixture(scope="session")
def classifier():
    x, y = toy_images(192)
    return train(conv_net(3, "softmax"), x, y, "sparse_categorical_crossentropy")


@pytest.fixture(scope="session")
def exported(classifier, images, tmp_path_factory):
    """The classifier's first version; tests that write export elsewhere."""
    from tf_transfer import serving

    path = tmp_path_factory.mktemp("served") / "colors"
    return serving.export(classifier, path, class_names=CLASS_NAMES, examples=images)


@pytest.fixture(scope="session")
def dense_classifier():
    """The quickest model to export."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    inputs = keras.Input((4,), name="features")
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
    return train(model, x, y, "sparse_categorical_crossentropy")
