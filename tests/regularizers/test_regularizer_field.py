"""A regularizer as data: a field of the builders, what `fine_tune` makes of it, runs from files and flags."""

import dataclasses

import numpy as np
import pytest
from small_models import colour_images, small_backbone

import tf_transfer as tft

ADAPTING = {"num_classes": 2, "trainable": True, "weights": None, "input_shape": (32, 32, 3)}
METHODS = [
    tft.L2SP(0.2, beta=0.03),
    tft.DELTA(layers=("conv_1",), attention="supervised"),
    tft.BSS(0.01, k=2, layer="conv_1"),
    tft.StochNorm(0.25, seed=4),
    tft.CoTuning(temperature=1.5, source="source.keras"),
    tft.LearningWithoutForgetting(temperature=3.0, source="source.keras"),
]


def builder(**fields):
    return tft.ImageClassifier(num_classes=3, weights=None, **fields)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_builder_with_a_regularizer_survives_dict_and_yaml(method, tmp_path):
    made = builder(regularizer=method)
    assert made.regularizer == method
    assert made.to_dict()["regularizer"] == method.to_dict()
    assert tft.ImageClassifier.from_dict(made.to_dict()) == made
    made.to_yaml(tmp_path / "builder.yaml")
    assert tft.ImageClassifier.from_yaml(tmp_path / "builder.yaml") == made


def test_a_name_is_the_regularizer_with_its_defaults():
    assert builder(regularizer="L2SP").regularizer == tft.L2SP()
    assert tft.ImageRegressor(weights=None, regularizer={"regularizer": "BSS", "k": 3}).regularizer == tft.BSS(k=3)
    assert dataclasses.replace(builder(regularizer="BSS"), regularizer=None).regularizer is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("L2-SP", "Did you mean 'L2SP'"),
        ({"regularizer": "L2SP", "alfa": 1}, "Did you mean 'alpha'"),
        ({"alpha": 1}, "under 'regularizer'"),
        ({"regularizer": "L2SP", "alpha": -1}, "`alpha`"),
        ("CoTuning", "CoTuning needs `source`"),
        (["L2SP"], "one of tft's"),
        (0.1, "one of tft's"),
    ],
)
def test_what_can_not_be_is_refused_when_the_builder_is_made(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        builder(regularizer=given)


def test_a_model_as_source_can_not_be_written():
    made = builder(regularizer=tft.L2SP(source=small_backbone()))
    with pytest.raises(ValueError, match=r"source='PATH\.keras'"):
        made.to_yaml()


def fine_tuned(epochs=1, fields=None, **options):
    made = tft.ImageClassifier(
        num_classes=3, backbone=small_backbone(), augmentation=None, seed=0, **(fields or {"regularizer": "L2SP"})
    )
    model, data = made.build(), colour_images(24)
    settings = {"freeze_epochs": 1, "epochs": epochs, "features_cache": False, "verbose": 0, "seed": 0}
    history = tft.fine_tune(model, data, data, unfreeze=True, **settings, **options)
    return set(history.history)


@pytest.mark.slow
def test_fine_tune_takes_the_regularizer_of_the_builder():
    assert {"l2_sp_loss", "l2_sp_head_loss", "compiled_loss"} < fine_tuned()
    assert {name for name in fine_tuned(regularizer=tft.BSS()) if "l2_sp" in name or "bss" in name} == {"bss_loss"}
    assert fine_tuned(regularizer=()) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert "compiled_loss" not in fine_tuned(fields={"dropout": 0.1})


def test_feature_extraction_leaves_the_regularizer_of_the_builder_out_and_refuses_one_of_its_own():
    assert "l2_sp_loss" not in fine_tuned(epochs=0)
    with pytest.raises(ValueError, match="`epochs=0`"):
        fine_tuned(epochs=0, regularizer="L2SP")


def test_plain_fit_takes_it_as_a_callback():
    model = tft.ImageClassifier(
        num_classes=3, backbone=small_backbone(), trainable=True, regularizer="L2SP", augmentation=None
    ).build()
    x, y = colour_images(8)
    assert "l2_sp_loss" not in model.fit(x, y, verbose=0).history
    history = model.fit(x, y, verbose=0, callbacks=[model.builder.regularizer.callback(model)]).history
    np.testing.assert_array_equal(history["l2_sp_loss"], [0.0])


def test_a_run_takes_it_from_a_file_and_from_a_flag(tmp_path):
    config = tft.workflow.TrainConfig
    for given in ("regularizer=L2SP,alpha=0.2", {"regularizer": "L2SP", "alpha": 0.2}, tft.L2SP(0.2)):
        run = config.from_dict({"images": "photos", "regularizer": given})
        assert run.make_builder(["ant", "bee"], (32, 32, 3)).regularizer == tft.L2SP(0.2)
        run.to_yaml(tmp_path / "run.yaml")
        assert config.from_yaml(tmp_path / "run.yaml") == run
    assert config.from_dict({"images": "photos"}, regularizer="BSS").builder == {"regularizer": "BSS"}
    with pytest.raises(ValueError, match="epochs=0 leaves that out"):
        config.from_dict({"images": "photos", "regularizer": "BSS", "epochs": 0})
    with pytest.raises(ValueError, match="Did you mean 'BSS'"):
        config.from_dict({"images": "photos", "regularizer": "BS"})


def test_a_domain_adversarial_classifier_has_an_objective_of_its_own():
    with pytest.raises(ValueError, match="takes no `regularizer`"):
        tft.DomainAdversarialClassifier(**ADAPTING, regularizer="L2SP")
    run = {"source": "a", "target": "b", **tft.DomainAdversarialClassifier(**ADAPTING).to_dict()}
    assert run["regularizer"] is None
    assert "regularizer" not in tft.workflow.AdaptConfig.from_dict(run).builder
    with pytest.raises(ValueError, match="no field 'regularizer'"):
        tft.workflow.AdaptConfig.from_dict({**run, "regularizer": "L2SP"})
