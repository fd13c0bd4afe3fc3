"""Backbones from names, Hub modules and saved models, and what is said when they can't be loaded."""

import keras
import numpy as np
import pytest
from small_models import colour_images, small_backbone

import tf_transfer as tft


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "saved.keras"
    small_backbone(seed=3).save(path)
    return path


class TestNames:
    def test_all_families_and_the_shipped_encoder(self):
        names = tft.backbones.names()
        assert len(names) == 41 and names == sorted(names) and "mnist_encoder" in names

    def test_filter(self):
        assert tft.backbones.names("resnet50") == ["resnet50", "resnet50_v2"]

    def test_unknown(self):
        with pytest.raises(ValueError, match=r"Unknown backbone 'resnet5'\. Did you mean 'resnet50'\?"):
            tft.load_backbone("resnet5")


class TestFile:
    def test_gives_what_the_saved_model_gave(self, saved):
        backbone = tft.load_backbone(f"file:{saved}")
        x, _ = colour_images(4)
        assert backbone.input.name == "image"
        expected = keras.models.load_model(saved).predict(x, verbose=0)
        np.testing.assert_array_equal(backbone.predict(x, verbose=0), expected)

    def test_is_cut_at_a_layer_and_pooled(self, saved):
        backbone = tft.load_backbone(f"file:{saved}", output_layer="relu_1", pooling="max")
        original = keras.models.load_model(saved)
        maps = keras.Model(original.input, original.get_layer("relu_1").output)
        x, _ = colour_images(4)
        np.testing.assert_allclose(
            backbone.predict(x, verbose=0), maps.predict(x, verbose=0).max(axis=(1, 2)), rtol=1e-6
        )

    def test_takes_a_preprocessing(self, saved):
        backbone = tft.load_backbone(f"file:{saved}", preprocessing="unit")
        x, _ = colour_images(4)
        expected = keras.models.load_model(saved).predict(x / 255, verbose=0)
        np.testing.assert_allclose(backbone.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)

    def test_its_blocks_train_inside_a_classifier(self, saved):
        builder = tft.ImageClassifier(num_classes=3, backbone=f"file:{saved}", trainable="conv_1", augmentation=None)
        model = builder.build()
        assert tft.blocks(model) == ["conv_0", "conv_1", "conv_2"]
        start = {variable.path: variable.numpy() for variable in model.weights}
        model.get_layer("logits").kernel.assign(np.random.default_rng(0).normal(size=(16, 3)))
        model.fit(*colour_images(24), verbose=0)
        backbone = tft.backbones.find_backbone(model)
        moved = [v.path.split("/")[0] for v in backbone.weights if not np.array_equal(start[v.path], v)]
        assert sorted(set(moved)) == ["conv_1", "conv_2"]

    def test_a_sequential_model(self, tmp_path):
        model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, name="only")])
        model.save(tmp_path / "sequential.keras")
        backbone = tft.load_backbone(f"file:{tmp_path / 'sequential.keras'}")
        x, _ = colour_images(2)
        np.testing.assert_allclose(
            backbone.predict(x, verbose=0), model.predict(x, verbose=0).mean(axis=(1, 2)), rtol=1e-5
        )
        assert tft.blocks(backbone) == ["only"]

    def test_a_classifier_of_ours_starts_another(self, tmp_path):
        first = tft.ImageClassifier(num_classes=3, backbone=small_backbone()).build()
        first.save(tmp_path / "first.keras")
        source = f"file:{tmp_path / 'first.keras'}"
        second = tft.ImageClassifier(num_classes=5, backbone=tft.load_backbone(source, output_layer="dropout")).build()
        assert tft.blocks(second) == ["conv_0", "conv_1", "conv_2"]
        assert tft.set_trainable(second, "conv_2", verbose=False).trainable == 2320 + 16 * 5 + 5

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"output_layer": "relu_9"}, r"no layer 'relu_9'.*Did you mean 'relu_"),
            ({"input_shape": (32, 32, 3)}, r"takes images of shape \(16, 16, 3\)"),
            ({"alpha": 0.5}, "no further options"),
        ],
    )
    def test_arguments_that_do_not_fit(self, saved, arguments, message):
        with pytest.raises(ValueError, match=message):
            tft.load_backbone(f"file:{saved}", **arguments)

    def test_missing_file_and_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no saved model at 'nowhere\.keras'"):
            tft.load_backbone("file:nowhere.keras")
        with pytest.raises(ValueError, match="say 'hub:"):
            tft.load_backbone(f"file:{tmp_path}")


class TestHub:
    def test_takes_raw_images(self, tmp_path):
        original = small_backbone(seed=5)
        folder = tft.backbones.export_reusable(original, tmp_path / "module")
        backbone = tft.load_backbone(f"hub:{folder}", input_shape=(16, 16, 3))
        x, _ = colour_images(4)
        np.testing.assert_allclose(backbone.predict(x, verbose=0), original.predict(x, verbose=0), rtol=1e-5, atol=1e-6)

    def test_the_shipped_encoder_by_name(self):
        backbone = tft.load_backbone("mnist_encoder")
        assert backbone.input_shape == (None, 28, 28, 1) and backbone.output_shape == (None, 96)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pooling": "average"}, "`pooling` must be one of"),
        ({"preprocessing": "caffee"}, "`preprocessing` must be one of"),
        ({"preprocessing": "caffe"}, "has its preprocessing, 'tf'"),
        ({"weights": "imagnet"}, "Did you mean 'imagenet'"),
        ({"output_layer": "top"}, "cuts a saved model"),
        ({"input_shape": (0, 32, 3)}, "three positive integers"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        tft.load_backbone("mobilenet_v2", **{"weights": None, **arguments})


@pytest.mark.parametrize("seed", [0, 1])
def test_reinitialize_draws_kernels_as_their_layers_do(seed):
    backbone = tft.load_backbone("mobilenet_v2", None, (32, 32, 3), alpha=0.35)
    before = backbone.get_weights()
    tft.backbones.reinitialize(backbone, seed)
    kernel = backbone.get_layer("Conv_1").kernel
    # Glorot uniform: bound sqrt(6 / (fan in + fan out)), of a 1x1 kernel the two channel counts.
    bound = np.sqrt(6 / (kernel.shape[2] + kernel.shape[3]))
    assert 0.98 * bound < np.abs(kernel.numpy()).max() <= bound
    changed = [not np.array_equal(a, b) for a, b in zip(before, backbone.get_weights()) if a.ndim == 4]
    assert all(changed)
