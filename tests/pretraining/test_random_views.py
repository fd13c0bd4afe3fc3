"""Random views: each change by itself against what it should give, and the same numbers whatever goes on around."""

import colorsys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.pretraining import RandomViews

RNG = np.random.default_rng(0)
NOISE = RNG.uniform(0, 255, (16, 12, 12, 3)).astype("float32")
ALONE = {"crop": (1.0, 1.0), "flip": False, "color": 0.0, "grayscale": 0.0}
# A picture whose pixels say where they are: rows in red, columns in green.
ROWS, COLUMNS = np.meshgrid(np.arange(32.0), np.arange(32.0), indexing="ij")
PLACES = np.tile(np.stack([ROWS, COLUMNS, np.full_like(ROWS, 100)], axis=-1), (200, 1, 1, 1)).astype("float32")


def views(images, seed=0, **changes):
    return RandomViews(**{**ALONE, "seed": seed, **changes})(images).numpy()


def test_without_any_change_images_stay_as_they_are():
    np.testing.assert_allclose(views(NOISE), NOISE, atol=1e-3)


def test_a_crop_is_a_part_of_the_image_of_the_areas_and_sides_that_were_asked_for():
    found = views(PLACES, crop=(0.25, 0.64))
    high, wide = ((found[:, -1, -1, channel] - found[:, 0, 0, channel] + 1) / 32 for channel in (0, 1))
    # From the first to the last pixel there is one step less than the length.
    high, wide = ((each * 32 - 1) / 31 for each in (high, wide))
    area = high * wide
    assert 0.24 < area.min() < 0.3 and 0.58 < area.max() < 0.65
    assert 0.74 < (wide / high).min() < 0.85 and 1.2 < (wide / high).max() < 1.35
    assert found[..., :2].min() >= 0 and found[..., :2].max() <= 31.001
    middle = found[:, 15:17, 15:17, 0].mean(axis=(1, 2))
    assert middle.min() < 12 and middle.max() > 19, "every part is seen"


def test_half_of_the_images_are_mirrored_and_no_column_is_lost():
    found = views(PLACES, flip=True)
    mirrored = found[:, 0, 0, 1] > 16
    assert 0.35 < mirrored.mean() < 0.65
    np.testing.assert_allclose(found[mirrored], PLACES[mirrored][:, :, ::-1], atol=1e-3)
    np.testing.assert_allclose(found[~mirrored], PLACES[~mirrored], atol=1e-3)


def test_a_turn_keeps_the_middle_lengths_and_right_angles():
    found = views(PLACES, rotation=30.0)[:, 15:17, 15:17, :2]
    np.testing.assert_allclose(found.mean(axis=(1, 2)), 15.5, atol=1e-3)
    along, down = found[:, 0, 1] - found[:, 0, 0], found[:, 1, 0] - found[:, 0, 0]
    np.testing.assert_allclose(np.linalg.norm([along, down], axis=-1), 1.0, atol=1e-3)
    np.testing.assert_allclose((along * down).sum(axis=-1), 0.0, atol=1e-3)
    angles = np.degrees(np.arctan2(along[:, 0], along[:, 1]))
    assert -30.1 < angles.min() < -20 and 20 < angles.max() < 30.1


def test_grey_images_have_the_luminance_of_the_colored_ones():
    found = views(NOISE, grayscale=1.0)
    expected = NOISE @ np.array([0.299, 0.587, 0.114], "float32")
    np.testing.assert_allclose(found, np.repeat(expected[..., None], 3, axis=-1), atol=0.01)


def test_colors_change_in_brightness_contrast_saturation_and_hue():
    image = np.tile(np.array([[[120.0, 90.0, 60.0], [60.0, 90.0, 110.0]]], "float32"), (400, 1, 1, 1))
    found = views(image, color=0.25)
    same = np.abs(found - image).max(axis=(1, 2, 3)) < 1e-2
    assert 0.1 < same.mean() < 0.3, "a fifth keeps its colors"
    luma = (
        found.mean(axis=(1, 2))
        @ np.array([0.299, 0.587, 0.114])
        / (image.mean(axis=(1, 2)) @ np.array([0.299, 0.587, 0.114]))
    )
    # Contrast, saturation and hue leave the mean luminance where it is.
    assert 0.79 < luma.min() < 0.85 and 1.15 < luma.max() < 1.21
    hue, saturation, _ = np.array([colorsys.rgb_to_hsv(*pixel) for pixel in found[:, 0, 0] / 255]).T
    assert 0.02 < np.std(hue[~same]) < 0.1 and saturation.min() < 0.4 < 0.55 < saturation.max()


def test_one_channel_has_brightness_and_contrast():
    grey = np.tile(np.linspace(50, 100, 8, dtype="float32")[None, :, None, None], (50, 1, 8, 1))
    found = views(grey, color=0.5, grayscale=1.0)
    slopes = (found[:, -1] - found[:, 0])[:, 0, 0] / 50
    assert 0.3 < slopes.min() < 0.9 and 1.1 < slopes.max() < 2.0
    assert 0.6 <= found.mean(axis=(1, 2, 3)).min() / 75 < 0.8


def test_blur_is_a_gaussian_of_up_to_two_pixels_and_keeps_the_mean():
    point = np.zeros((60, 21, 21, 1), "float32")
    point[:, 10, 10] = 200.0
    found = views(point, blur=1.0)[..., 0]
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 200.0, rtol=1e-4)
    squares = (np.arange(21) - 10) ** 2
    down, across = ((found.sum(axis=axis) * squares).sum(axis=1) / 200 for axis in (2, 1))
    np.testing.assert_allclose(down, across, atol=1e-3)
    assert down.min() < 0.2 and 2.0 < down.max() < 4.0
    half = views(point, blur=0.5)[..., 0].max(axis=(1, 2)) > 199
    assert 0.3 < half.mean() < 0.75


def test_the_seed_and_the_count_are_all_that_decides():
    layer, other = RandomViews(seed=1), RandomViews(seed=1)
    first, second = layer(NOISE).numpy(), layer(NOISE).numpy()
    assert np.abs(first - second).max() > 10
    graph = tf.function(other)
    np.testing.assert_allclose(graph(NOISE), first, atol=0.01)
    np.testing.assert_allclose(graph(NOISE), second, atol=0.01)
    assert np.abs(RandomViews(seed=2)(NOISE).numpy() - first).max() > 10
    assert first.min() >= 0 and first.max() <= 255


def test_the_count_is_kept_in_the_file_of_a_model(tmp_path):
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, RandomViews(seed=1)(inputs))
    model(NOISE)
    model.save(tmp_path / "views.keras")
    again = keras.models.load_model(tmp_path / "views.keras")
    np.testing.assert_array_equal(model(NOISE, training=True), again(NOISE, training=True))


@pytest.mark.parametrize("kind", ["uint8", "float64"])
def test_any_numbers_become_floats(kind):
    found = RandomViews(seed=0)(NOISE.astype(kind))
    assert found.dtype == "float32" and found.shape == NOISE.shape
