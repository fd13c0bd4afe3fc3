"""`tft.auto` end to end: a model at the end of any time, a table, a picture, and a configuration."""

import csv
import dataclasses
import io

import keras
import numpy as np
import pytest
import rich
from small_models import colour_images, small_backbone

import tf_transfer as tft
from tf_transfer.choosing import stand_in
from tf_transfer.choosing.auto_result import AutoResult
from tf_transfer.choosing.examples import read_examples
from tf_transfer.choosing.methods import make_candidate
from tf_transfer.choosing.trials import Trial


def test_almost_no_time_ends_with_a_model(photos, tiny_backbone, tmp_path, capsys):
    methods = ["prototypes", "feature_extraction"]
    options = {"backbones": [tiny_backbone], "methods": methods, "cache": tmp_path, "resume": tmp_path / "kept"}
    found = tft.auto(photos, minutes=0.001, **options)
    assert [(each.method, each.rung, len(each.scores)) for each in found.trials] == [("prototypes", "frozen", 3)]
    assert found.model.class_names == ["blue", "green", "red"] and not (tmp_path / "kept").exists()
    # Such a model is made in one pass, which no configuration of a training says.
    assert found.config is None and found.to_dict()["config"] is None
    data = tft.data.ImageFolder(photos, (16, 16))
    assert tft.analysis.evaluate_classifier(found.model, data).accuracy > 0.9 and found.best.score > 0.9
    printed = " ".join(capsys.readouterr().out.split())
    assert "not tried" in printed and "too good by some of its luck" in printed


@pytest.fixture(scope="module")
def result():
    scores = {"a": (0.8, 0.9, 0.85), "b": (0.7, 0.9, 0.8, 0.7, 0.6, 0.8)}
    trials = [Trial(name, "net", "l2_sp", "long", 12, each, each, 9.0) for name, each in scores.items()]
    stopped = Trial("c", "net", "fine_tuning", "short", 4, (0.9,), (0.9,), 3.0, finished=False)
    return AutoResult(None, None, (*trials, stopped), tuple(trials), None, "accuracy", 3, 2.0, 100.0)


def test_the_table_is_honest(result, tmp_path):
    # Only the parts that both had: 0.1, 0.0 and 0.05 apart.
    assert result.ahead().mean == pytest.approx(0.05) and result.ahead().p_value > 0.05
    assert "out of 3" in result.caption and "chance alone may explain" in result.caption
    console = rich.console.Console(width=200, record=True, file=io.StringIO())
    console.print(result.table())
    lines = console.export_text().splitlines()
    assert lines[1].split()[:4] == ["a", "long", "12", "0.850"] and "short, stopped" in lines[3]
    plain = result.to_dict()
    assert plain["best"] == "a" and plain["trials"][1]["scores"] == result.trials[1].scores
    result.to_csv(tmp_path / "tried.csv")
    with open(tmp_path / "tried.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 + 6 + 1 and rows[0]["accuracy"] == "0.8"


def test_the_picture(result):
    axes = result.plot().axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["trained short", "trained long"]
    assert result.plot().legends[0].get_texts()[0].get_text() == "a (best)"


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_head_on_features_learns_what_the_whole_model_learns(label_smoothing, monkeypatch):
    # Of the batches of 5 the last is smaller, and several executions make the training.
    monkeypatch.setattr(stand_in, "_MOST_AT_ONCE", 7)
    x, y = colour_images(12)
    backbone = small_backbone()
    smooth = {"label_smoothing": label_smoothing, "dropout": 0.0}
    builder = tft.ImageClassifier(num_classes=3, backbone=backbone, augmentation=None, **smooth)
    whole = make_candidate("feature_extraction", builder, "small", 12)
    whole = dataclasses.replace(whole, phases={**whole.phases, "freeze_epochs": 8})
    features = backbone.predict(x, verbose=0)
    options = {"seed": 1, "batch_size": 5}
    models = [whole.train((x, y), **options), stand_in.train_on_features(whole, (features, y), **options)]
    answers = [model.predict(each, verbose=0) for model, each in zip(models, (x, features), strict=True)]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
    assert np.abs(answers[0] - 1 / 3).max() > 0.01


def test_a_head_that_learns_nan_is_an_error():
    builder = tft.ImageClassifier(num_classes=2, backbone=small_backbone(), augmentation=None)
    candidate = make_candidate("feature_extraction", builder, "small", 8)
    candidate = dataclasses.replace(candidate, phases={**candidate.phases, "learning_rate": float("inf")})
    with pytest.raises(tft.training.NaNLoss):
        stand_in.train_on_features(candidate, (np.ones((8, 16), "float32"), np.arange(8) % 2))


@pytest.mark.slow
def test_a_whole_search_finds_the_backbone_that_sees_and_leaves_models_as_they_were(tmp_path):
    x, y = colour_images(48)
    x = np.clip(x + np.random.default_rng(0).normal(0, 60, x.shape), 0, 255).astype("float32")
    seeing = small_backbone()
    grey = keras.Input((16, 16, 3))
    blind = keras.Model(grey, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(0.0 * grey)), name="blind")
    before = [weight.copy() for weight in blind.get_weights()]
    found = tft.auto(
        (x, y), minutes=4, backbones=[blind, seeing], cache=tmp_path / "cache", augmentation=None, verbose=0
    )
    assert found.best.backbone == "small" and found.best.score > 0.6
    # Of so few images a training of a third of the epochs would say nothing.
    rungs = {each.rung for each in found.trials}
    assert "frozen" in rungs and "short" not in rungs
    assert all(np.array_equal(*pair) for pair in zip(before, blind.get_weights(), strict=True))
    assert found.seconds < 60 * 4 * 1.25 and found.builder.augmentation is None
    assert tft.analysis.evaluate_classifier(found.model, (x, y)).accuracy > 0.6


@pytest.mark.slow
def test_builders_of_another_kind():
    rng = np.random.default_rng(0)
    table, y = {"a": rng.normal(size=60), "b": rng.normal(size=60)}, np.arange(60) % 2
    table["a"][y == 1] += 3
    make = tft.TabularClassifier(columns=["a", "b"], num_classes=2, hidden_units=[8]).adapt(table)
    found = tft.auto((table, y), minutes=1, builders={"narrow": make}, cache=False, verbose=0)
    assert found.best.method == "from_scratch" and found.best.score > 0.8
    assert read_examples((table, y)).kind == "rows"


@pytest.mark.slow
def test_a_pretrained_encoder_of_texts_is_tried_frozen_and_held():
    texts = np.array([f"a {word} film {i}" for i in range(8) for word in ("good", "bad")], object)
    encoder = tft.TextEncoder(architecture="mean", dim=8, seed=0).adapt(texts, verbose=0).build()
    found = tft.auto(
        (texts, np.arange(16) % 2),
        minutes=10,
        backbones={"own": encoder},
        methods=["feature_extraction", "l2_sp"],
        num_folds=2,
        cache=False,
        # Time stands still, so that all is tried on any machine.
        clock=lambda: 0.0,
        verbose=0,
    )
    assert {each.method for each in found.trials} == {"feature_extraction", "l2_sp"} and found.config is None
    assert found.best.score > 0.8 and "named" in found.reasons[1]
    assert [each.name for each in found.baselines] == ["logistic regression on tf-idf"]
