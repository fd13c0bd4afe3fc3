"""`decode_image`: formats, channels, sizes, and the same values in a graph."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_transfer.data import decode_image

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)


def encode(image, file_format, **options):
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "BMP"])
def test_lossless_formats_at_their_own_size_are_exact(file_format):
    np.testing.assert_array_equal(decode_image(encode(RGB, file_format), (6, 8)), RGB.astype("float32"))


def test_webp_is_decoded_too():
    np.testing.assert_array_equal(decode_image(encode(RGB, "WEBP", lossless=True), (6, 8)), RGB.astype("float32"))


def test_jpeg_is_what_pillow_decodes():
    smooth = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype("uint8")
    contents = encode(smooth, "JPEG", quality=95, subsampling=0)
    expected = np.asarray(Image.open(io.BytesIO(contents)), "float32")
    difference = np.abs(decode_image(contents, (32, 32)).numpy() - expected)
    # TensorFlow takes the fast integer cosine transform, Pillow the accurate one.
    assert difference.max() <= 4
    assert difference.mean() <= 1.5


def test_halving_averages_with_the_triangle_of_antialiasing():
    row = np.array([[0, 0, 80, 80, 160, 160]], np.uint8)
    halved = decode_image(encode(np.repeat(row, 2, axis=0), "PNG"), (1, 3), channels=1).numpy()[0, :, 0]
    # A triangle of radius 2 around each new centre weighs its neighbours 1 : 3 : 3 : 1; at the rim 3 : 3 : 1.
    np.testing.assert_allclose(halved, [80 / 7, 80, 160 - 80 / 7], atol=1e-3)


def test_height_comes_before_width():
    assert decode_image(encode(RGB, "PNG"), (3, 5)).shape == (3, 5, 3)


def test_animated_gif_gives_its_first_frame():
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    contents = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_image(contents, (4, 4)), np.full((4, 4, 3), 10.0))


def test_sixteen_bits_become_eight():
    deep = np.array([[0, 257, 41743, 65535]], np.uint16)
    image = decode_image(encode(deep, "PNG"), (1, 4), channels=1).numpy().ravel()
    np.testing.assert_array_equal(image, [0, 1, 163, 255])


def test_alpha_is_dropped_without_touching_the_colors():
    rgba = np.concatenate([RGB, RNG.integers(0, 256, (6, 8, 1), dtype=np.uint8)], axis=-1)
    contents = encode(rgba, "PNG")
    np.testing.assert_array_equal(decode_image(contents, (6, 8)), RGB.astype("float32"))
    np.testing.assert_array_equal(decode_image(contents, (6, 8), channels=4), rgba.astype("float32"))


def test_opaque_image_gets_a_full_alpha():
    np.testing.assert_array_equal(decode_image(encode(RGB, "JPEG"), (6, 8), channels=4)[..., 3], np.full((6, 8), 255.0))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "GIF"])
def test_grey_is_repeated_and_stays_grey(file_format):
    contents = encode(np.full((4, 4), 90, np.uint8), file_format)
    np.testing.assert_array_equal(decode_image(contents, (4, 4)), np.full((4, 4, 3), 90.0))
    np.testing.assert_allclose(decode_image(contents, (4, 4), channels=1), np.full((4, 4, 1), 90.0), atol=1e-4)


def test_grey_with_alpha():
    grey_alpha = RNG.integers(0, 256, (6, 8, 2), dtype=np.uint8)
    contents = encode(Image.fromarray(grey_alpha, "LA"), "PNG")
    expected = np.repeat(grey_alpha[..., :1], 3, axis=-1).astype("float32")
    np.testing.assert_array_equal(decode_image(contents, (6, 8)), expected)
    np.testing.assert_array_equal(decode_image(contents, (6, 8), channels=1), expected[..., :1])


def test_color_becomes_grey_by_luminance():
    expected = RGB @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(decode_image(encode(RGB, "PNG"), (6, 8), channels=1)[..., 0], expected, atol=1e-3)


def test_in_a_graph_it_has_a_static_shape_and_the_same_values():
    contents = encode(RGB, "JPEG")
    dataset = tf.data.Dataset.from_tensors(contents).map(lambda c: decode_image(c, (5, 7)))
    assert dataset.element_spec == tf.TensorSpec((5, 7, 3), tf.float32)
    np.testing.assert_array_equal(next(iter(dataset)), decode_image(contents, (5, 7)))


def test_bytes_that_are_no_image_raise():
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(b"not an image", (4, 4))


@pytest.mark.parametrize("image_size", [(0, 4), 224, (4, 4, 3), "ab", (4.5, 4)])
def test_wrong_image_size_is_explained(image_size):
    with pytest.raises(ValueError, match=r"`image_size` must be \(height, width\)"):
        decode_image(b"", image_size)


def test_wrong_channels_are_explained():
    with pytest.raises(ValueError, match="`channels` must be one of"):
        decode_image(b"", (4, 4), channels=2)
