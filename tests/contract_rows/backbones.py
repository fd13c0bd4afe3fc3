"""What each public object of `tft.backbones` holds beyond its docstring."""

import inspect

import keras
import numpy as np

import tf_transfer as tft

from contract_parts import check_refuses
from contract_registry import row
from contract_toys import classifier, folder, images


@row("backbones.names")
def _(names):
    assert names("no such network") == []


@row("backbones.load_audio_backbone")
def _(load_audio_backbone):
    options = {"num_samples": 4000, "log_mel_options": {"num_mel_bins": 20}}
    backbone = load_audio_backbone("small_conv", None, 8000, pooling=None, seed=1, filters=(8, 16), **options)
    assert backbone.output_shape == (None, 5, 12, 16)
    again = load_audio_backbone("small_conv", None, 8000, pooling=None, seed=1, filters=(8, 16), **options)
    assert np.array_equal(backbone.get_weights()[0], again.get_weights()[0])
    check_refuses(lambda: load_audio_backbone("small_con"), "Did you mean 'small_conv'?")
    check_refuses(lambda: load_audio_backbone("hub:somewhere", "imagenet"), "has its own weights")
    check_refuses(lambda: load_audio_backbone(filters=(8, 9), **options), "multiples of 8")


@row("backbones.log_mel")
def _(log_mel):
    waves = np.zeros((2, 800), "float32")
    assert np.allclose(log_mel(waves, 8000, normalization=None), -60.0), "silence"
    check_refuses(lambda: log_mel(waves, 8000, max_frequency=5000.0), "from 0 to 4000", "max_frequency=5000.0")
    check_refuses(lambda: log_mel(waves, 8000, frame_seconds=0.2), "800", "Received: frames of 1600")
    check_refuses(lambda: log_mel(waves, 8000, normalization="exampel"), "`normalization`")
    check_refuses(lambda: log_mel(waves[0], 8000), "(batch, num_samples)")


@row("backbones.load_backbone")
def _(load_backbone):
    check_refuses(lambda: load_backbone("mobilenet_v22"), "Unknown backbone", "Did you mean 'mobilenet_v2'?")
    check_refuses(lambda: load_backbone("inception_v3", None, (32, 32, 3)), "75")
    check_refuses(lambda: load_backbone("mobilenet_v2", None, (96, 96)), "`input_shape`", "(96, 96)")
    check_refuses(lambda: load_backbone("mobilenet_v2", None, pooling="averge"), "`pooling`", "Received", "avg")
    check_refuses(lambda: load_backbone("file:no_such.keras"), "no_such.keras")


@row("backbones.blocks")
def _(blocks):
    check_refuses(lambda: blocks(3), "Received")


@row("backbones.find_backbone")
def _(find_backbone):
    check_refuses(lambda: find_backbone(3), "Received")


@row("backbones.split_at_backbone")
def _(split_at_backbone):
    flat = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    check_refuses(lambda: split_at_backbone(flat), "no backbone")


@row("backbones.preprocess")
def _(preprocess):
    check_refuses(lambda: preprocess(images(), "tff"), "must be one of", "Did you mean 'tf'?")


@row("backbones.set_trainable")
def _(set_trainable):
    model = classifier()
    for nothing in ("block_99", "re:no such layer", [], 0, 0.0, 99, None, {}):
        check_refuses(lambda nothing=nothing: set_trainable(model, nothing, verbose=False), "block")
    check_refuses(lambda: set_trainable(model, True, batch_norm="frosen", verbose=False), "Did you mean 'frozen'?")


@row("backbones.count_trainable")
def _(count_trainable):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.layers[0].trainable = False
    assert tuple(count_trainable(model)) == (4, 13)


@row("backbones.TrainableCount", example_in="backbones.set_trainable")
def _(trainable_count):
    assert trainable_count(1, 2)._fields == ("trainable", "total")


@row("backbones.reinitialize")
def _(reinitialize):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    first, second = (reinitialize(model, seed).get_weights()[0] for seed in (0, 1))
    assert not np.array_equal(first, second)


@row("backbones.export_reusable")
def _(export_reusable):
    check_refuses(lambda: export_reusable(3, f"{folder()}/reusable"), "Received")


@row("backbones.shipped")
def _(shipped):
    check_refuses(lambda: shipped("mnist_encodr"), "Did you mean 'mnist_encoder'?")


@row("backbones.block_layers")
def _(block_layers):
    assert list(block_layers(classifier())) == tft.blocks(classifier())


@row("backbones.APPLICATIONS")
def _(applications):
    built_in = [name for name in dir(keras.applications) if inspect.isfunction(getattr(keras.applications, name))]
    assert sorted(entry.constructor for entry in applications.values()) == sorted(built_in)
    assert {entry.preprocessing for entry in applications.values()} <= set(tft.backbones.PREPROCESSING)


@row("backbones.PREPROCESSING")
def _(preprocessing):
    for scale, _, _ in preprocessing.values():
        assert np.all(np.asarray(scale) > 0)


@row("backbones.load_text_backbone")
def _(load_text_backbone):
    check_refuses(lambda: load_text_backbone("bert"), "Unknown text backbone", "'keras_hub:...'")
    check_refuses(lambda: load_text_backbone("file:no_such.keras"), "no_such.keras")
    check_refuses(lambda: load_text_backbone("hub:no_such", pooling="max"), "`pooling`", "'first'")


@row("backbones.open_saved_model")
def _(open_saved_model):
    check_refuses(lambda: open_saved_model("."), "is a folder")
