"""What each public object of `tft.pretraining` holds beyond its docstring."""

import functools

import keras
import numpy as np

import tf_transfer as tft

import contracts
from contract_parts import check_config, check_refuses, check_saves
from contract_registry import row
from contract_toys import images


@row("pretraining.pretrain_text")
def _(pretrain_text):
    texts = ["a good film", "a bad film"]
    ahead = tft.TextEncoder(vocabulary=["a", "good"], sequence_length=4, dim=4, num_heads=1, num_blocks=1)
    check_refuses(lambda: pretrain_text(texts, ahead, "next"), "does not look ahead", "causal=True")
    check_refuses(lambda: pretrain_text(texts, ahead, "maskd"), "Did you mean 'masked'?")
    check_refuses(lambda: pretrain_text(texts, ahead, epochs=0), "`epochs`", "at least 1")
    check_refuses(lambda: pretrain_text(texts, ahead, resume="run"), "`resume` needs a `seed`")
    check_refuses(lambda: pretrain_text(["a", "b"], ahead), "two words or more")
    check_refuses(lambda: pretrain_text([]), "one text or more")
    stranger = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="only")])
    check_refuses(lambda: pretrain_text(texts, stranger), "`encoder` must be", "['only']")


def encoder(*last):
    convolution = keras.layers.Conv2D(4, 3, strides=4, padding="same")
    return keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), convolution, *last])


def fits_and_saves(made):
    """Trains a method of one step, saves it, and trains what was saved."""
    made.compile("adam")
    assert np.isfinite(made.fit(images(), batch_size=8, validation_data=images(), verbose=0).history["val_loss"][0])
    again = check_saves(made, images())
    assert int(again.optimizer.iterations) == 1
    # Both go on with the same random numbers.
    losses = [each.fit(images(), batch_size=8, verbose=0).history["loss"] for each in (made, again)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    contracts.same(made.predict(images(), verbose=0), made.deployable().predict(images(), verbose=0), 1e-6)
    check_refuses(lambda: made.fit(images(), np.zeros(8)), "images alone", "['y']")
    check_refuses(lambda: made.compile("adam", "mse"), "is that of its constructor", "['loss']")


@row("pretraining.SimCLR")
def _(sim_clr):
    views = tft.pretraining.RandomViews(flip=False, seed=3)
    made = sim_clr(encoder(), views, projection=[6, 4], temperature=0.5, seed=1)
    check_config(functools.partial(sim_clr, encoder(), views, projection=[6, 4], temperature=0.5, seed=1))
    fits_and_saves(made)
    check_refuses(lambda: sim_clr(encoder(), "standard"), "`augmentation`", "RandomViews")
    check_refuses(lambda: sim_clr(encoder(), projection=0), "`projection`", "at least 1")
    check_refuses(lambda: sim_clr(encoder(), temperature=0.0), "`temperature`", "above 0")
    flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    check_refuses(lambda: sim_clr(flat), "`encoder`", "(None, 4)")


@row("pretraining.MaskedAutoencoder")
def _(masked_autoencoder):
    options = {"mask_ratio": 0.5, "patch_size": 4, "normalize_patches": False, "decoder_width": 3, "seed": 1}
    check_config(functools.partial(masked_autoencoder, encoder(), **options))
    fits_and_saves(masked_autoencoder(encoder(keras.layers.GlobalAveragePooling2D()), **options))
    check_refuses(lambda: masked_autoencoder(encoder(), patch_size=5), "`patch_size`", "[2, 4, 8]")
    check_refuses(lambda: masked_autoencoder(encoder(), mask_ratio=0.01), "`mask_ratio`", "4 patches")
    flat = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    check_refuses(lambda: masked_autoencoder(flat, patch_size=2), "`encoder`", "maps")


@row("pretraining.RandomViews")
def _(random_views):
    made = functools.partial(random_views, [0.5, 0.9], rotation=5.0, color=0.2, grayscale=0.1, blur=0.5, seed=2)
    check_config(made)
    first, second = made()(images()), made()(images())
    contracts.same(np.asarray(first), np.asarray(second))
    contracts.same(np.asarray(made()(images(), training=False)), images())
    check_refuses(lambda: random_views(crop=0.5), "`crop`", "pair")
    check_refuses(lambda: random_views(crop=(0.9, 0.5)), "`crop`", "smaller")
    check_refuses(lambda: random_views(flip="yes"), "`flip`")
