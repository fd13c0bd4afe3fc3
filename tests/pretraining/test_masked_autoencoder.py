"""Masked images: how much is hidden, what the loss counts, and what the encoder sees, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.pretraining import MaskedAutoencoder

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (6, 12, 8, 3)).astype("float32")


def encoder(*last):
    draw = keras.initializers.GlorotUniform(seed=3)
    convolution = keras.layers.Conv2D(5, 4, strides=4, kernel_initializer=draw)
    return keras.Sequential([keras.Input((12, 8, 3)), keras.layers.Rescaling(1 / 255), convolution, *last])


def masked(**options):
    return MaskedAutoencoder(encoder(), **{"patch_size": 4, "decoder_width": 4, "seed": 0, **options})


def patches(images, size=4):
    """Returns the values of each patch, with loops."""
    rows, columns = images.shape[1] // size, images.shape[2] // size
    return np.stack(
        [
            [
                each[row * size : (row + 1) * size, column * size : (column + 1) * size].ravel()
                for row in range(rows)
                for column in range(columns)
            ]
            for each in images
        ]
    )


def by_hand(asked, normalize):
    """Returns the mean squared error of hidden patches, one by one."""
    painted, hidden = np.array(asked["painted"]), np.array(asked["hidden"])
    errors = []
    for image, values in enumerate(patches(IMAGES / 127.5 - 1)):
        for place, value in enumerate(values):
            if hidden[image, place]:
                wanted = (value - value.mean()) / value.std() if normalize else value
                errors.append(np.mean((painted[image, place] - wanted) ** 2))
    return np.mean(errors)


@pytest.mark.parametrize("normalize", [True, False])
def test_the_loss_is_the_error_of_the_hidden_patches(normalize):
    model = masked(normalize_patches=normalize)
    asked = model.question(IMAGES, False)
    expected = by_hand(asked, normalize)
    assert float(model.objective(asked, False)) == pytest.approx(expected, rel=1e-4)
    model.compile(keras.optimizers.SGD(0.0))
    evaluated = model.evaluate(IMAGES, batch_size=6, verbose=0)
    assert evaluated == model.evaluate(IMAGES, batch_size=6, verbose=0), "evaluation asks the same each time"


def test_as_many_patches_of_each_image_are_hidden_and_others_each_time():
    model = masked(mask_ratio=0.5)
    draws = np.stack([model.question(IMAGES, True)["hidden"] for _ in range(60)])
    assert set(draws.sum(axis=-1).ravel()) == {3.0}
    assert np.abs(draws.mean(axis=(0, 1)) - 0.5).max() < 0.1, "every place is hidden as often"
    again = masked(mask_ratio=0.5)
    np.testing.assert_array_equal(again.question(IMAGES, True)["hidden"], draws[0])
    assert len(np.unique(draws[0], axis=0)) > 1, "images have masks of their own"


def test_what_is_seen_has_no_part_in_the_loss_and_what_is_hidden_none_in_what_is_seen():
    model = masked()
    asked = model.question(IMAGES, False)
    with tf.GradientTape() as tape:
        tape.watch(asked["painted"])
        loss = model.objective(asked, False)
    slope = np.abs(tape.gradient(loss, asked["painted"])).max(axis=-1)
    np.testing.assert_array_equal(slope > 0, np.array(asked["hidden"]) > 0)

    hidden = np.array(asked["hidden"]).reshape(6, 3, 2).repeat(4, axis=1).repeat(4, axis=2)[..., None]
    seen = np.array(model._masked(tf.constant(IMAGES), asked["hidden"]))
    np.testing.assert_allclose(seen * (1 - hidden), IMAGES * (1 - hidden), rtol=1e-6)
    for image, mask, found in zip(IMAGES, hidden[..., 0], seen):
        np.testing.assert_allclose(found[mask == 1], np.tile(image[mask == 0].mean(0), (int(mask.sum()), 1)), rtol=1e-4)
    other = np.array(model._masked(tf.constant(IMAGES + 50 * hidden), asked["hidden"]))
    np.testing.assert_allclose(seen, other, rtol=1e-6)


def test_a_painted_image_is_the_image_where_it_was_seen():
    model = masked(normalize_patches=False)
    seen, painted = model.reconstruct(IMAGES)
    same = np.isclose(painted, IMAGES, atol=1e-3).all(axis=-1)
    blocks = same.reshape(6, 3, 4, 2, 4).all(axis=(2, 4))
    np.testing.assert_array_equal(blocks.sum(axis=(1, 2)), [2] * 6)
    hidden = np.array(model.maps(seen))
    expected = np.clip((np.array(model.decoder(hidden)) + 1) * 127.5, 0, 255)
    np.testing.assert_allclose(painted[~same], expected[~same], atol=0.01)


def test_pooled_maps_tokens_and_maps_that_do_not_divide_the_image():
    pooled = MaskedAutoencoder(encoder(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)), patch_size=4)
    assert pooled.maps.output_shape == (None, 3, 2, 5)
    inputs = keras.Input((16, 16, 3))
    tokens = keras.layers.Reshape((16, 5))(keras.layers.Conv2D(5, 4, strides=4)(inputs))
    assert MaskedAutoencoder(keras.Model(inputs, tokens), patch_size=8).maps.output_shape == (None, 4, 4, 5)
    odd = MaskedAutoencoder(keras.Sequential([inputs, keras.layers.Conv2D(5, 4, strides=3)]), patch_size=8)
    assert odd.maps.output_shape[1:3] == (5, 5) and odd.decoder.output_shape == (None, 16, 16, 3)
    assert np.isfinite(float(odd.objective(odd.question(np.ones((2, 16, 16, 3)), False), False)))


@pytest.mark.slow
def test_it_learns_to_paint_what_can_be_told_from_around_it():
    # Stripes: what is hidden of an image stands in what is seen.
    phases = RNG.uniform(0, 6, (128, 1, 1, 1))
    columns = np.arange(16)[None, None, :, None]
    stripes = (127 + 100 * np.sin(columns * 0.9 + phases)) * np.ones((1, 16, 1, 1))
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 5, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(32, 5, padding="same", activation="relu")(x)
    model = MaskedAutoencoder(keras.Model(inputs, x), mask_ratio=0.5, patch_size=4, normalize_patches=False, seed=0)
    model.compile(keras.optimizers.Adam(3e-3))
    history = model.fit(stripes[:96], batch_size=32, epochs=40, validation_data=stripes[96:], verbose=0).history
    variance = np.var(stripes / 127.5 - 1)
    assert history["val_loss"][-1] < 0.25 * variance, (history["val_loss"][-1], variance)
