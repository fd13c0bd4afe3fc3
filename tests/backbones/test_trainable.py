"""What `set_trainable` opens and leaves shut, and that training then moves exactly that."""

import keras
import numpy as np
import pytest
from small_models import colour_images, small_backbone

import tf_transfer as tft
from tf_transfer.layers import HubLayer


def classifier(**fields):
    return tft.ImageClassifier(num_classes=3, backbone=small_backbone(), augmentation=None, **fields).build()


def opened(model):
    """Returns the backbone's layers that have trainable variables."""
    backbone = tft.backbones.find_backbone(model)
    return [layer.name for layer in backbone.layers if layer.trainable_variables]


CONVOLUTIONS = ["conv_0", "conv_1", "conv_2"]


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        (False, []),
        (True, CONVOLUTIONS),
        (1, ["conv_2"]),
        (2, ["conv_1", "conv_2"]),
        (0.5, ["conv_1", "conv_2"]),
        (1.0, CONVOLUTIONS),
        ("conv_1", ["conv_1", "conv_2"]),
        (["conv_0", "conv_2"], ["conv_0", "conv_2"]),
        ("re:conv_[01]", ["conv_0", "conv_1"]),
    ],
)
def test_selections_with_frozen_batch_norm(trainable, expected):
    model = classifier()
    tft.set_trainable(model, trainable, verbose=False)
    assert opened(model) == expected
    assert model.get_layer("logits").trainable


def test_trainable_batch_norm():
    model = classifier()
    tft.set_trainable(model, "conv_1", batch_norm="trainable", verbose=False)
    assert opened(model) == ["conv_1", "bn_1", "conv_2", "bn_2"]


def test_count_is_returned_and_printed(capsys):
    model = classifier()
    count = tft.set_trainable(model, "conv_2")
    # conv_2: 3 * 3 * 16 * 16 + 16; logits: 16 * 3 + 3.
    assert count == (2320 + 51, model.count_params())
    printed = capsys.readouterr().out
    assert "2,371 of 3,923 parameters train (60.4%)" in printed and "backbone trains conv_2" in printed


@pytest.mark.parametrize("batch_norm", ["frozen", "trainable"])
def test_training_moves_what_was_chosen_and_nothing_else(batch_norm):
    model = classifier()
    tft.set_trainable(model, "conv_1", batch_norm=batch_norm, verbose=False)
    before = {variable.path: variable.numpy() for variable in model.weights}
    x, y = colour_images(32)
    model.fit(x, y, epochs=2, verbose=0)
    moved = {
        variable.path.split("/")[0] for variable in model.weights if not np.array_equal(before[variable.path], variable)
    }
    moved -= {path.split("/")[0] for path in before if "seed" in path}
    expected = {"conv_1", "conv_2", "logits"} | ({"bn_1", "bn_2"} if batch_norm == "trainable" else set())
    assert moved == expected


def test_toggling_a_compiled_model_that_has_trained_takes_effect():
    model = classifier()
    x, y = colour_images(32)
    model.fit(x, y, verbose=0)
    kernel = model.get_layer("small").get_layer("conv_2").kernel
    before = kernel.numpy()
    tft.set_trainable(model, "conv_2", verbose=False)
    model.fit(x, y, verbose=0)
    after = kernel.numpy()
    assert not np.array_equal(before, after)
    tft.set_trainable(model, False, verbose=False)
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(after, kernel.numpy())


def test_a_frozen_model_is_opened_from_outside_in():
    model = classifier()
    model.trainable = False
    assert tft.set_trainable(model, "conv_2", verbose=False).trainable == 2371


def test_partial_freezing_survives_a_keras_file(tmp_path):
    model = classifier(trainable="conv_1")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert opened(loaded) == opened(model) == ["conv_1", "conv_2"]


def test_works_on_a_bare_backbone():
    backbone = small_backbone()
    count = tft.set_trainable(backbone, "conv_2", verbose=False)
    assert count.trainable == 2320


def test_hub_layers_open_whole_or_not_at_all(tmp_path):
    folder = tft.backbones.export_reusable(small_backbone(), tmp_path / "module")
    model = tft.ImageClassifier(num_classes=3, backbone=f"hub:{folder}", input_shape=(16, 16, 3)).build()
    backbone = tft.backbones.find_backbone(model)
    (hub,) = [layer for layer in backbone.layers if isinstance(layer, HubLayer)]
    assert tft.set_trainable(model, False, verbose=False).trainable == 51
    assert tft.set_trainable(model, True, batch_norm="trainable", verbose=False).trainable > 3000
    assert hub.trainable


class TestErrors:
    @pytest.mark.parametrize(
        ("trainable", "message"),
        [
            ("conv_7", "no block 'conv_7'.*conv_0.*Did you mean 'conv_"),
            (["conv_1", "nowhere"], "no block 'nowhere'"),
            ("re:dense", "matches no layer.*conv_0"),
            ("re:(", "not a regular expression"),
            (7, "integer from 1 to 3"),
            (0, "integer from 1 to 3"),
            (0.0, "trains none of the blocks"),
            (1.5, "from 0.0 to 1.0"),
            ([], "empty list"),
            ("re:^bn_", "nothing to train with batch_norm='frozen'"),
            ({"conv_1"}, "must be a boolean"),
        ],
    )
    def test_no_silent_no_op_and_no_change(self, trainable, message):
        model = classifier(trainable="conv_2")
        with pytest.raises(ValueError, match=message):
            tft.set_trainable(model, trainable)
        assert opened(model) == ["conv_2"]

    def test_batch_norm(self):
        with pytest.raises(ValueError, match="`batch_norm` must be one of"):
            tft.set_trainable(classifier(), True, batch_norm="freeze")
