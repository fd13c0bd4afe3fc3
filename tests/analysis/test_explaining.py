"""Explanations of images: values by hand, sums that must come out, and a bright square that must be found."""

import keras
import numpy as np
import pytest

import tf_transfer as tft
from tf_transfer.analysis import grad_cam, integrated_gradients, occlusion

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (3, 12, 12, 3)).astype("float32")


def backbone():
    image = keras.Input((12, 12, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="maps",
                            kernel_initializer=keras.initializers.GlorotUniform(1))(x)  # fmt: skip
    return keras.Model(image, x, name="backbone")


@pytest.fixture(scope="module")
def nested():
    """A classifier whose maps are within a frozen backbone."""
    image, body = keras.Input((12, 12, 3), name="image"), backbone()
    body.trainable = False
    pooled = keras.layers.GlobalAveragePooling2D()(body(image))
    logits = keras.layers.Dense(3, name="logits", kernel_initializer=keras.initializers.GlorotUniform(2))(pooled)
    return keras.Model(image, keras.layers.Softmax()(logits), name="nested")


def test_grad_cam_is_the_class_activation_map_of_an_averaged_layer(nested):
    """Of a linear head on averages the gradient in a map is its weight over the number of positions."""
    found = grad_cam(nested, IMAGES, 1)
    assert found.method == "Grad-CAM at backbone/maps"
    maps = nested.get_layer("backbone").predict(IMAGES, verbose=0)
    expected = np.maximum(maps @ nested.get_layer("logits").kernel.numpy()[:, 1], 0) / 36
    enlarged = keras.ops.image.resize(expected[..., None], (12, 12))[..., 0]
    np.testing.assert_allclose(found.values, enlarged, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.scores, nested.predict(IMAGES, verbose=0)[:, 1], rtol=1e-5)


def test_the_predicted_class_is_explained_where_none_is_named(nested):
    found = grad_cam(nested, IMAGES, layer="maps", batch_size=2)
    best = nested.predict(IMAGES, verbose=0).argmax(1)
    np.testing.assert_array_equal(found.classes, best)
    np.testing.assert_allclose(found.values, grad_cam(nested, IMAGES, best).values, rtol=1e-5)


def test_gradients_along_the_way_sum_to_the_difference(nested):
    found = integrated_gradients(nested, IMAGES, 2, baseline=30.0, num_steps=60)
    _, logits = tft.training.with_logits(nested)(IMAGES)
    _, empty = tft.training.with_logits(nested)(np.full_like(IMAGES, 30.0))
    difference = (logits - empty).numpy()[:, 2]
    np.testing.assert_allclose(found.values.sum((1, 2)), difference, rtol=0.01)
    coarse = integrated_gradients(nested, IMAGES, 2, baseline=30.0, num_steps=1).values.sum((1, 2))
    assert np.abs(coarse - difference).max() > 1.5 * np.abs(found.values.sum((1, 2)) - difference).max()


def test_occlusion_by_hand(nested):
    found = occlusion(nested, IMAGES[:1], 0, patch=6, stride=6, fill=0.0)
    before = nested.predict(IMAGES[:1], verbose=0)[0, 0]
    for top in (0, 6):
        for left in (0, 6):
            covered = IMAGES[:1].copy()
            covered[:, top : top + 6, left : left + 6] = 0.0
            loss = before - nested.predict(covered, verbose=0)[0, 0]
            np.testing.assert_allclose(found.values[0, top : top + 6, left : left + 6], loss, atol=1e-5)


def test_squares_that_overlap_are_averaged_and_reach_the_end(nested):
    found = occlusion(nested, IMAGES[:1], 0, patch=5, stride=4, batch_size=3)
    assert np.isfinite(found.values).all(), "a pixel was never covered"


@pytest.mark.parametrize("method", [grad_cam, integrated_gradients, occlusion])
def test_a_bright_corner_is_found(method):
    """The first class is the mean of the upper left corner."""
    image = keras.Input((12, 12, 1))
    maps = keras.layers.Conv2D(1, 1, kernel_initializer="ones", name="maps")(image)
    corner = keras.layers.Cropping2D(((0, 6), (0, 6)))(maps)
    pooled = keras.layers.GlobalAveragePooling2D()(corner)
    logits = keras.layers.Concatenate()([pooled, keras.layers.Rescaling(-1.0)(pooled)])
    model = keras.Model(image, keras.layers.Softmax()(logits))
    images = RNG.uniform(0, 0.1, (2, 12, 12, 1))
    images[0, 1:5, 1:5] = 1.0
    # The cropped maps are no longer in the place of the image.
    options = {"layer": "maps"} if method is grad_cam else {}
    values = method(model, images, 0, **options).values[0]
    assert values[1:5, 1:5].mean() > 5 * np.abs(values[7:, 7:]).mean()


def test_builders_models_and_their_class_names(tiny_backbone):
    builder = tft.ImageClassifier(num_classes=2, class_names=["ant", "bee"], backbone=tiny_backbone, weights=None)
    model = builder.build()
    images = RNG.uniform(0, 255, (5, *model.input_shape[1:]))
    for method in (grad_cam, integrated_gradients, occlusion):
        found = method(model, images)
        assert found.values.shape == images.shape[:3] and found.class_names == ["ant", "bee"]
    figure = found.plot(max_images=5)
    titles = {axes.get_title(loc="left") for axes in figure.axes} - {""}
    assert len(titles) <= 5 and all(title.startswith(("ant, 0.", "bee, 0.")) for title in titles)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"images": IMAGES[0]}, r"shape \(12, 12, 3\)"),
        ({"classes": 3}, r"of 0\.\.2"),
        ({"classes": [0, 1]}, "one an image"),
        ({"layer": "mapz"}, "Did you mean 'maps'"),
        ({"layer": "logits"}, "must put out maps"),
    ],
)
def test_what_can_not_be_explained_is_said(nested, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        grad_cam(nested, **{"images": IMAGES, **options})
    flat = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="no layer that puts out maps"):
        grad_cam(flat, IMAGES)
