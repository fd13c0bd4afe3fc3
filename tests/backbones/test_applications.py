"""Every family builds, takes raw images, and gives what Keras' own network gives on preprocessed ones."""

import importlib
import inspect

import keras
import numpy as np
import pytest

import tf_transfer as tft
from tf_transfer.backbones.table import APPLICATIONS

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CAFFE = np.array([103.939, 116.779, 123.68])

# What an all-black and an all-white image become, per channel in the order that the network sees, from the papers.
BLACK_AND_WHITE = {
    "tf": (np.full(3, -1.0), np.full(3, 1.0)),
    "tf128": (np.full(3, -1.0), np.full(3, 255 / 128 - 1)),
    "caffe": (-CAFFE, 255 - CAFFE),
    "torch": (-MEAN / STD, (1 - MEAN) / STD),
    "efficientnet": (-MEAN / STD / np.sqrt(STD), (1 - MEAN) / STD / np.sqrt(STD)),
}
EXPECTED_MODE = {
    "convnext": "torch", "densenet": "torch", "efficientnet_b": "efficientnet", "efficientnet_v2_b": "torch",
    "efficientnet_v2_s": "tf128", "efficientnet_v2_m": "tf128", "efficientnet_v2_l": "tf128", "inception": "tf",
    "mobilenet": "tf", "nasnet": "tf", "resnet50": "caffe", "resnet101": "caffe", "resnet152": "caffe",
    "resnet50_v2": "tf", "resnet101_v2": "tf", "resnet152_v2": "tf", "vgg": "caffe", "xception": "tf",
}  # fmt: skip
QUICK = [
    "convnext_tiny", "efficientnet_b0", "mobilenet", "mobilenet_v2", "mobilenet_v3_small", "resnet50", "vgg16",
]  # fmt: skip
NAMES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in APPLICATIONS]


def expected_mode(name):
    return EXPECTED_MODE[max((key for key in EXPECTED_MODE if name.startswith(key)), key=len)]


def before_first_convolution(backbone):
    """Returns the model from raw images to what the first weighted layer, other than a normalisation, receives."""
    for layer in backbone.layers:
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            return keras.Model(backbone.input, layer.input)
    raise AssertionError("no weighted layer")


def test_the_table_has_all_forty_constructors():
    constructors = {
        name for name, item in vars(keras.applications).items() if name[0].isupper() and inspect.isfunction(item)
    }
    assert {entry.constructor for entry in APPLICATIONS.values()} == constructors
    assert len(APPLICATIONS) == 40


@pytest.mark.parametrize("name", NAMES)
def test_builds_names_its_blocks_and_preprocesses(name):
    entry = APPLICATIONS[name]
    size = max(entry.smallest_size, 96)
    backbone = tft.load_backbone(name, weights=None, input_shape=(size, size, 3))
    assert backbone.name == name and backbone.input.name == "image"
    assert len(backbone.output_shape) == 2

    blocks = tft.blocks(backbone)
    assert len(blocks) == len(set(blocks)) and 5 <= len(blocks) <= 110
    grouped = tft.backbones.block_layers(backbone)
    weighted = [layer.name for layer in backbone.layers if layer.weights]
    assert sorted(layer.name for layers in grouped.values() for layer in layers) == sorted(weighted)
    first_seen = [weighted.index(layers[0].name) for layers in grouped.values()]
    assert first_seen == sorted(first_seen), "blocks stand in the order of the graph"

    black, white = BLACK_AND_WHITE[expected_mode(name)]
    raw = np.stack([np.zeros((size, size, 3)), np.full((size, size, 3), 255.0)]).astype("float32")
    seen = before_first_convolution(backbone).predict(raw, verbose=0)[:, size // 2, size // 2]
    np.testing.assert_allclose(seen, [black, white], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_network_of_keras_applications(name, tmp_path):
    entry = APPLICATIONS[name]
    size = max(entry.smallest_size, 64)
    constructor = getattr(keras.applications, entry.constructor)
    original = constructor(weights=None, include_top=False, input_shape=(size, size, 3), pooling="avg")
    if entry.built_in:
        pytest.skip("without weights='imagenet' Keras' own network lacks its normalisation; see the pixel test")
    path = tmp_path / "original.weights.h5"
    original.save_weights(path)
    backbone = tft.load_backbone(name, weights=str(path), input_shape=(size, size, 3))
    raw = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")
    module = importlib.import_module(constructor.__module__.replace("keras.src", "keras"))
    expected = original.predict(module.preprocess_input(raw.copy()), verbose=0)
    received = backbone.predict(raw, verbose=0)
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_red_reaches_the_last_channel_of_a_bgr_network():
    backbone = tft.load_backbone("vgg16", weights=None, input_shape=(32, 32, 3))
    red = np.zeros((1, 32, 32, 3), "float32")
    red[..., 0] = 255.0
    seen = before_first_convolution(backbone).predict(red, verbose=0)[0, 16, 16]
    np.testing.assert_allclose(seen, [-103.939, -116.779, 255 - 123.68], rtol=1e-5)


def test_efficientnet_file_with_published_statistics_gets_the_missing_rescaling(tmp_path):
    original = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3))
    normalization = next(layer for layer in original.layers if isinstance(layer, keras.layers.Normalization))
    normalization.set_weights([MEAN, STD**2, np.array(0)])
    original.save_weights(tmp_path / "published.weights.h5")
    backbone = tft.load_backbone("efficientnet_b0", str(tmp_path / "published.weights.h5"), (32, 32, 3))
    seen = before_first_convolution(backbone).predict(np.full((1, 32, 32, 3), 255.0, "float32"), verbose=0)[0, 9, 9]
    np.testing.assert_allclose(seen, (1 - MEAN) / STD**1.5, rtol=1e-4)


@pytest.mark.slow
def test_efficientnet_weights_survive_being_saved_and_loaded_by_us(tmp_path):
    first = tft.load_backbone("efficientnet_b0", None, (32, 32, 3))
    first.save_weights(tmp_path / "ours.weights.h5")
    second = tft.load_backbone("efficientnet_b0", str(tmp_path / "ours.weights.h5"), (32, 32, 3))
    images = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        second.predict(images, verbose=0), first.predict(images, verbose=0), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("mobilenet", 1e-5), ("mobilenet_v2", 1e-5), ("mobilenet_v3_small", 1e-5),
        pytest.param("convnext_tiny", 1e-4, marks=pytest.mark.slow),
        # Zero padding before the first convolution: only the border differs, by the difference of the channel means.
        ("resnet50", 0.03), pytest.param("densenet121", 0.02, marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", 0.05, marks=pytest.mark.slow),
        pytest.param("efficientnet_v2_b0", 0.05, marks=pytest.mark.slow),
    ],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 4])
def test_equal_channels_give_what_rgb_gave(name, tolerance, channels, tmp_path):
    rgb = tft.load_backbone(name, None, (64, 64, 3))
    rgb.save_weights(tmp_path / "rgb.weights.h5")
    other = tft.load_backbone(name, str(tmp_path / "rgb.weights.h5"), (64, 64, channels))
    gray = np.random.default_rng(2).uniform(0, 255, (2, 64, 64, 1)).astype("float32")
    expected = rgb.predict(np.repeat(gray, 3, -1), verbose=0)
    received = other.predict(np.repeat(gray, channels, -1), verbose=0)
    assert np.abs(received - expected).max() <= tolerance * np.abs(expected).max()


def test_one_channel_sums_the_first_kernel(tmp_path):
    rgb = tft.load_backbone("mobilenet_v2", None, (32, 32, 3), alpha=0.35)
    rgb.save_weights(tmp_path / "rgb.weights.h5")
    gray = tft.load_backbone("mobilenet_v2", str(tmp_path / "rgb.weights.h5"), (32, 32, 1), alpha=0.35)
    kernel = rgb.get_layer("Conv1").kernel.numpy()
    np.testing.assert_allclose(
        gray.get_layer("Conv1").kernel.numpy()[:, :, 0], kernel.sum(axis=2), rtol=1e-5, atol=1e-7
    )


class TestErrors:
    def test_too_small(self):
        with pytest.raises(ValueError, match=r"at least 71 x 71 pixels.*xception|xception.*at least 71 x 71 pixels"):
            tft.load_backbone("xception", None, (64, 64, 3))

    def test_fixed_size(self):
        with pytest.raises(ValueError, match=r"nasnet_mobile.*\(224, 224, 3\) only"):
            tft.load_backbone("nasnet_mobile", "imagenet", (96, 96, 3))

    def test_unknown_option(self):
        with pytest.raises(ValueError, match=r"no field 'alhpa'.*Did you mean 'alpha'"):
            tft.load_backbone("mobilenet_v2", None, (32, 32, 3), alhpa=0.35)

    def test_offline_weights_are_a_sentence(self, monkeypatch):
        def fail(*args, **kwargs):
            raise Exception("URL fetch failure on https://example.invalid: None -- unreachable")

        monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", fail)
        with pytest.raises(OSError, match=r"could not be downloaded.*weights=None"):
            tft.load_backbone("mobilenet_v2", "imagenet", (224, 224, 3))
