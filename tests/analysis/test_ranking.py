"""Backbones ranked for a task: features that are known beforehand, costs counted by hand, and the picture."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

import tf_transfer as tft
from tf_transfer.analysis.backbone_ranking import RankedBackbone, ranked
from tf_transfer.analysis.model_cost import num_flops

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = RNG.uniform(0, 60, (60, 12, 12, 3)).astype("float32")
X[Y == 1, :6] += 150.0
X[Y == 2, 6:] += 150.0


def encoder(*layers, shape=(12, 12, 3)):
    return keras.Sequential([keras.Input(shape), *layers, keras.layers.Flatten()])


@pytest.fixture(scope="module")
def encoders():
    """One sees which half is bright, one that some half is, one sees noise."""
    return {
        "noise": encoder(keras.layers.Cropping2D(((0, 11), (0, 11)))),
        "half": encoder(keras.layers.AveragePooling2D(12)),
        "whole": encoder(keras.layers.AveragePooling2D(6)),
    }


@pytest.fixture(scope="module")
def ranking(encoders):
    return tft.rank_backbones(encoders, (X, Y), scores=["log_me", "nleep"], cache=False, verbose=0)


def test_features_that_separate_the_classes_come_first(ranking, encoders):
    assert ranking.best == "whole" and ranking.num_examples == 60
    row = ranking.rows[0]
    features = encoders["whole"].predict(X, verbose=0)
    assert row.scores["log_me"] == pytest.approx(tft.analysis.log_me(features, Y), rel=1e-5)
    assert (row.rank, row.num_features, row.num_parameters) == (1.0, 12, 0)
    assert all(each.examples_per_second > 0 for each in ranking.rows)


def test_operations_are_twice_the_multiplications():
    plain = {"use_bias": False}
    dense = keras.Sequential([keras.Input((7,)), keras.layers.Dense(5, **plain)])
    assert num_flops(dense) == 2 * 7 * 5
    image = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, padding="same", **plain)])
    assert num_flops(keras.Model(image, inner(image))) == 2 * 8 * 8 * 9 * 3 * 4
    wise = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.DepthwiseConv2D(3, padding="same", **plain)])
    assert num_flops(wise) == 2 * 8 * 8 * 9 * 3
    assert num_flops(tft.load_backbone("mnist_encoder")) is None, "the functions of a module are not looked into"
    network = keras.applications.MobileNet(weights=None, input_shape=(224, 224, 3))
    assert num_flops(network) == pytest.approx(2 * 569e6, rel=0.03), "569 million multiply-adds, says the paper"


def test_places_are_means_over_the_scores_and_the_cheaper_of_equals_comes_first():
    def row(name, one, other, size):
        return RankedBackbone(name, 0.0, {"one": one, "other": other}, 4, size, 9, 1.0)

    rows = [row("a", 3.0, 1.0, 50), row("b", 2.0, 2.0, 20), row("c", 1.0, 3.0, 10), row("d", 0.0, 0.0, 5)]
    found = ranked(rows, 8, "a machine")
    assert [(each.name, each.rank) for each in found.rows] == [("c", 2.0), ("b", 2.0), ("a", 2.0), ("d", 4.0)]


def test_names_options_and_sizes(tmp_path):
    folder = tmp_path / "photos"
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for i in range(6):
            keras.utils.save_img(folder / name / f"{i}.png", RNG.uniform(0, 255, (20, 20, 3)), scale=False)
    saved = encoder(keras.layers.Conv2D(4, 3, name="maps"), keras.layers.MaxPooling2D(5))
    saved.save(tmp_path / "own.keras")
    given = {
        "cut": {"name": f"file:{tmp_path / 'own.keras'}", "output_layer": "maps"},
        "own": f"file:{tmp_path / 'own.keras'}",
    }
    cache = tft.FeatureCache(tmp_path / "cache")
    data = tft.data.ImageFolder(folder, (16, 16))
    ranking = tft.rank_backbones(given, data, cache=cache, max_examples=8, verbose=0)
    assert ranking.num_examples == 8
    assert {row.name: row.num_features for row in ranking.rows} == {"cut": 4, "own": 16}
    assert len(cache.entries()) == 2
    again = tft.rank_backbones(given, data, cache=cache, max_examples=8, verbose=0)
    assert len(cache.entries()) == 2, "features were computed anew"
    assert [row.scores for row in again.rows] == [row.scores for row in ranking.rows]


def test_streams_are_read_from_their_start(encoders):
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(7)
    whole = {"whole": encoders["whole"]}
    found = tft.rank_backbones(whole, stream, max_examples=30, cache=False, verbose=0)
    expected = tft.rank_backbones(whole, (X[:30], Y[:30]), cache=False, verbose=0)
    assert found.num_examples == 30
    assert found.rows[0].scores == pytest.approx(expected.rows[0].scores, rel=1e-5)


def test_what_it_writes(ranking, tmp_path):
    console = Console(width=120, record=True, file=open(tmp_path / "screen", "w"))  # noqa: SIM115
    console.print(ranking.table())
    lines = console.export_text().splitlines()
    assert lines[0].split() == ["backbone", "log_me", "nleep", "features", "parameters", "GFLOP", "examples/s"]
    assert lines[1].split()[0] == "whole" and "60 examples" in "".join(lines)
    ranking.to_csv(tmp_path / "ranking.csv")
    with open(tmp_path / "ranking.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row.name for row in ranking.rows]
    assert float(rows[0]["log_me"]) == ranking.rows[0].scores["log_me"]
    assert ranking.to_dict()["backbones"][0]["name"] == "whole"


def test_the_picture_joins_those_that_none_beats():
    def row(name, score, size):
        return RankedBackbone(name, 0.0, {"score": score}, 4, size, None, 1.0 / size)

    found = ranked([row("dear", 0.9, 90), row("beaten", 0.5, 80), row("cheap", 0.6, 10)], 8, "a machine")
    for cost, order in (("num_parameters", [10, 90]), ("examples_per_second", [1 / 10, 1 / 90])):
        axes = found.plot(cost=cost).axes[0]
        np.testing.assert_allclose(axes.lines[0].get_xdata(), order)
        assert {text.get_text() for text in axes.texts} == {"dear", "beaten", "cheap"}
    with pytest.raises(ValueError, match="No backbone has 'flops'"):
        found.plot(cost="flops")
    with pytest.raises(ValueError, match="`score` must be one of"):
        found.plot("scor")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"backbones": ["mobilenet_v2", "mobilnet"]}, "Did you mean 'mobilenet'"),
        ({"backbones": []}, "one backbone or more"),
        ({"backbones": {"a": 3}}, "'a' must be a name, a dict"),
        ({"scores": ["logme"]}, "Did you mean 'log_me'"),
        ({"scores": []}, "one score or more"),
        ({"max_examples": 1}, "`max_examples`"),
    ],
)
def test_what_can_not_be_is_said_before_anything_is_loaded(options, sentence, monkeypatch):
    monkeypatch.setattr("tf_transfer.analysis.ranking.load_backbone", lambda **_: pytest.fail("loaded"))
    with pytest.raises(ValueError, match=sentence):
        tft.rank_backbones(**{"backbones": ["mobilenet_v2"], "data": (X, Y), **options})
