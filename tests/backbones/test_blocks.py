"""Blocks of known families, of other models, and of models around a backbone."""

import keras
import pytest

import tf_transfer as tft
from tf_transfer.backbones import block_layers, find_backbone

EXPECTED = {
    "mobilenet_v2": ["stem", *[f"block_{i}" for i in range(1, 17)], "top"],
    "mobilenet": ["stem", *[f"block_{i}" for i in range(1, 14)]],
    "mobilenet_v3_small": ["stem", *[f"block_{i}" for i in range(1, 11)], "top"],
    "vgg16": [f"block_{i}" for i in range(1, 6)],
    "resnet50": [
        "stem",
        *[f"conv{stage}_block_{i}" for stage, count in {2: 3, 3: 4, 4: 6, 5: 3}.items() for i in range(1, count + 1)],
    ],
    "xception": [f"block_{i}" for i in range(1, 15)],
    "inception_v3": ["stem", *[f"mixed_{i}" for i in range(11)]],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_blocks_of_known_families(name):
    size = 80 if name in ("xception", "inception_v3") else 32
    assert tft.blocks(tft.load_backbone(name, None, (size, size, 3))) == EXPECTED[name]


def test_unnamed_shortcuts_belong_to_their_block():
    grouped = block_layers(tft.load_backbone("xception", None, (80, 80, 3)))
    kinds = [type(layer).__name__ for layer in grouped["block_2"]]
    assert kinds == ["SeparableConv2D", "BatchNormalization"] * 2 + ["Conv2D", "BatchNormalization"]


def test_inception_stem_ends_at_its_second_pooling():
    grouped = block_layers(tft.load_backbone("inception_v3", None, (80, 80, 3)))
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in grouped["stem"]) == 5
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in grouped["mixed_0"]) == 7


def test_densenet_transitions_have_blocks_of_their_own():
    names = tft.blocks(tft.load_backbone("densenet121", None, (32, 32, 3)))
    assert names[0] == "stem" and names[-1] == "top"
    assert names.index("transition_2") == names.index("conv2_block_6") + 1


def test_any_other_model_has_a_block_a_layer_with_its_normalisation():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3, name="a"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Conv2D(2, 3, name="b"),
        ]
    )
    assert tft.blocks(model) == ["a", "b"]


def test_nested_backbone_is_found_whatever_the_size_of_the_head():
    backbone = tft.load_backbone("mobilenet_v2", None, (32, 32, 3), alpha=0.35)
    image = keras.Input((32, 32, 3))
    hidden = keras.layers.Dense(3000)(backbone(image))
    model = keras.Model(image, keras.layers.Dense(2)(hidden))
    assert find_backbone(model) is backbone
    assert tft.blocks(model) == tft.blocks(backbone)


def test_nested_augmentation_is_no_backbone():
    backbone = tft.load_backbone("mobilenet_v2", None, (32, 32, 3), alpha=0.35)
    augmentation = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.RandomFlip()])
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, keras.layers.Dense(2)(backbone(augmentation(image))))
    assert find_backbone(model) is backbone


def test_nested_stems_are_no_backbone():
    backbone = tft.load_backbone("convnext_tiny", None, (32, 32, 3))
    assert find_backbone(backbone) is backbone
    assert tft.blocks(backbone)[0] == "stem"


def test_names_survive_a_keras_file(tmp_path):
    model = tft.ImageClassifier(
        num_classes=2, weights=None, input_shape=(32, 32, 3), backbone_options={"alpha": 0.35}
    ).build()
    model.save(tmp_path / "model.keras")
    assert tft.blocks(keras.models.load_model(tmp_path / "model.keras")) == EXPECTED["mobilenet_v2"]
