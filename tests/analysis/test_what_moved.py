"""How far blocks and features moved: values by hand, and blocks that were frozen."""

import csv

import keras
import numpy as np
import pytest

import tf_transfer as tft
from tf_transfer.analysis import cka, what_moved

RNG = np.random.default_rng(0)


def by_kernels(x, y):
    """Returns the ratio of Hilbert-Schmidt criteria of linear kernels, with the centring matrix."""
    centre = np.eye(len(x)) - 1 / len(x)
    k, m = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    return np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))


@pytest.mark.parametrize("widths", [(4, 7), (4, 90), (60, 80)])
def test_cka_is_the_alignment_of_centred_kernels(widths):
    x, y = (RNG.normal(size=(40, width)) + 3.0 for width in widths)
    assert cka(x, y) == pytest.approx(by_kernels(x, y))
    assert cka(x, y) == pytest.approx(cka(y, x))


def test_cka_knows_rotations_and_scales_and_no_others():
    x = RNG.normal(size=(200, 5)) * [1, 2, 3, 4, 5]
    rotation = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    assert cka(x, 0.3 * x @ rotation + 7) == pytest.approx(1.0)
    assert cka(x, x / [1, 2, 3, 4, 5]) < 0.9
    assert cka(x, RNG.normal(size=(200, 5))) < 0.1


def backbone():
    convolutions = [
        keras.layers.Conv2D(
            4, 3, activation="relu", name=name, kernel_initializer=keras.initializers.GlorotUniform(seed)
        )
        for seed, name in enumerate(("one", "two", "three"))
    ]
    layers = [keras.Input((10, 10, 3)), keras.layers.Rescaling(1 / 255), *convolutions]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()], name="backbone")


@pytest.fixture
def pair():
    """A classifier before and after a fine-tuning from the last block on."""
    made = []
    for _ in range(2):
        builder = tft.ImageClassifier(
            num_classes=2, backbone=backbone(), trainable=1, batch_norm="trainable", dropout=0.0,
            learning_rate=0.05, augmentation=None, seed=0,
        )  # fmt: skip
        made.append(builder.build())
    size = made[0].input_shape[1:]
    x, y = RNG.uniform(0, 255, (24, *size)).astype("float32"), np.arange(24) % 2
    made[1].fit(x, y, epochs=3, verbose=0)
    return *made, (x, y)


def test_frozen_blocks_stay_and_the_last_moves(pair, tmp_path):
    before, after, data = pair
    moved = what_moved(before, after, data, source=data)
    assert [row.block for row in moved.rows] == tft.blocks(before)
    *frozen, last = moved.rows
    assert all(row.weight_change == 0 and row.cka == pytest.approx(1.0) for row in frozen) and frozen
    kernels = [
        np.concatenate([w.numpy().ravel() for w in tft.backbones.find_backbone(model).trainable_weights])
        for model in (before, after)
    ]
    assert last.weight_change == pytest.approx(np.linalg.norm(kernels[1] - kernels[0]) / np.linalg.norm(kernels[0]))
    assert 0 <= last.cka < 1
    scores = [np.mean(model.predict(data[0], verbose=0).argmax(1) == data[1]) for model in (before, after)]
    assert moved.source_accuracy == pytest.approx(tuple(scores))
    moved.to_csv(tmp_path / "moved.csv")
    with open(tmp_path / "moved.csv", newline="") as file:
        assert [row["block"] for row in csv.DictReader(file)] == tft.blocks(before)
    assert moved.table().row_count == len(moved.rows) and "before" in moved.table().caption
    labels = [text.get_text() for text in moved.plot().axes[0].get_yticklabels()]
    assert labels == tft.blocks(before)


def test_a_backbone_alone_against_the_model_that_it_is_in(pair):
    before, after, data = pair
    alone = what_moved(tft.backbones.find_backbone(before), after, data, max_examples=10)
    assert [row.weight_change for row in alone.rows] == [row.weight_change for row in what_moved(*pair).rows]


def test_other_networks_are_refused(pair):
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="the same backbone"):
        what_moved(pair[0], other, pair[2])
    with pytest.raises(ValueError, match="the very same backbone"):
        what_moved(pair[0], tft.backbones.find_backbone(pair[0]), pair[2])
