"""What each public object of `tft.layers` holds beyond its docstring."""

import functools

import keras
import numpy as np

import contracts
from contract_parts import check_refuses
from contract_registry import row
from contract_toys import audio_module, folder, hub_module


@row("layers.HubLayer")
def _(hub_layer):
    x = np.random.default_rng(2).normal(size=(6, 4)).astype("float32")
    contracts.check_layer(functools.partial(hub_layer, handle=hub_module(), trainable=True), x)
    contracts.check_layer(functools.partial(hub_layer, handle=hub_module(), trainable=False), x)
    check_refuses(lambda: hub_layer("no/such/folder"), "no/such/folder")
    check_refuses(lambda: hub_layer(hub_module(), dtype="float16"), "dtype")


@row("layers.HubAudioLayer")
def _(hub_audio_layer):
    x = np.random.default_rng(2).normal(size=(6, 64)).astype("float32")
    contracts.check_layer(functools.partial(hub_audio_layer, handle=audio_module(), output_key=1, trainable=True), x)
    check_refuses(lambda: hub_audio_layer(audio_module(), output_key=7)(x), "`output_key`", "[0, 1]")
    check_refuses(lambda: hub_audio_layer(audio_module())(x), "several outputs, [0, 1]")


@row("layers.GradientReversal")
def _(gradient_reversal):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    contracts.check_layer(functools.partial(gradient_reversal, 0.5), x)
    check_refuses(lambda: gradient_reversal(-0.5), "`scale`", "at least 0")


@row("layers.StochasticNormalization")
def _(stochastic_normalization):
    x = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
    moves = ("moving_mean", "moving_variance", "seed_generator_state")
    contracts.check_layer(functools.partial(stochastic_normalization, 0.3, seed=1, momentum=0.9), x, moves)
    check_refuses(lambda: stochastic_normalization(1.5), "`rate`", "from 0.0 to 1.0")


@row("layers.SpecAugment")
def _(spec_augment):
    x = np.random.default_rng(1).normal(size=(4, 6, 9, 1)).astype("float32")
    options = {"num_frequency_masks": 1, "frequency_mask": 0.3, "num_time_masks": 3, "time_mask": 0.2, "seed": 1}
    moves = ("seed_generator_state",)
    contracts.check_layer(functools.partial(spec_augment, time_warp=0.1, sample_rate=8000, **options), x, moves)
    check_refuses(lambda: spec_augment(time_mask=1.5), "`time_mask`", "from 0.0 to 1.0")
    check_refuses(lambda: spec_augment()(x[0, 0]), "(batch, bands, frames)")


@row("layers.save_model")
def _(save_model):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    check_refuses(lambda: save_model(model, f"{folder()}/model.h5"), "ending .keras")
    check_refuses(lambda: save_model(model, f"{folder()}/model.keras", class_names=["a", "a"]), "class_names")
    check_refuses(lambda: save_model(3, f"{folder()}/model.keras"), "Received")


@row("layers.load_model")
def _(load_model):
    check_refuses(lambda: load_model("no_such.keras"), "no_such.keras")


@row("layers.resolve_handle")
def _(resolve_handle):
    check_refuses(lambda: resolve_handle("no/such/folder"), "no/such/folder")
    check_refuses(lambda: resolve_handle(3), "Received")


@row("layers.GaussianKernelFeatures")
def _(gaussian_kernel_features):
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    contracts.check_layer(functools.partial(gaussian_kernel_features, 4, width=1.5), x)
    check_refuses(lambda: gaussian_kernel_features(4, width=0.0), "`width`", "above 0")
    check_refuses(lambda: gaussian_kernel_features(4)(x[:, :, None]), "(batch, dim)")


@row("layers.NearestPointShift")
def _(nearest_point_shift):
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    contracts.check_layer(functools.partial(nearest_point_shift, num_points=4), x)
    check_refuses(lambda: nearest_point_shift(0), "`num_points`", "at least 1")


@row("layers.TextPreprocessor")
def _(text_preprocessor):
    words = keras.layers.TextVectorization(vocabulary=["good", "bad"], output_sequence_length=3)
    texts = np.array(["good film", "bad", "", "good bad good bad"], object)
    contracts.check_layer(lambda: text_preprocessor(words), texts)
    symbols = text_preprocessor(words)(keras.Input((), dtype="string"))
    assert (symbols.shape, symbols.dtype) == ((None, 3), "int64")
    check_refuses(lambda: text_preprocessor("bert"), "`preprocessor`", "'bert'")
