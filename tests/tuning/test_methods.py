"""Searches over methods: a function that makes models, a domain-adversarial builder, and scores without labels."""

import keras
import numpy as np
import pytest
from small_models import colour_images
from tuning_toys import toy_builder

import tf_transfer as tft


class Fixed:
    """Stands for a model whose predictions are given."""

    def __init__(self, scores):
        self.scores = np.asarray(scores, "float32")

    def predict(self, x, **options):
        return self.scores


class TestCriteria:
    def test_worked_out_by_hand(self):
        model = Fixed([[0.9, 0.1], [0.2, 0.8]])
        each = [-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)), -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))]
        overall = -(0.55 * np.log(0.55) + 0.45 * np.log(0.45))
        assert tft.tuning.TargetEntropy(None)(model) == pytest.approx(np.mean(each), rel=1e-5)
        assert tft.tuning.TargetInformation(None)(model) == pytest.approx(overall - np.mean(each), rel=1e-5)

    def test_one_class_for_everything_is_certain_and_tells_nothing(self):
        model = Fixed([[1.0, 0.0, 0.0]] * 5)
        assert tft.tuning.TargetEntropy(None)(model) == 0
        assert tft.tuning.TargetInformation(None)(model) == 0

    def test_logits_become_probabilities(self):
        assert tft.tuning.TargetEntropy(None)(Fixed([[3.0, 3.0]])) == pytest.approx(np.log(2))


def make(values):
    """Returns a linear model that learns from zero at the rate of the trial."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax", kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(values["rate"]), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.array([[3.0, 0.0], [0.0, 3.0]] * 8)
    return model, {"x": x, "y": np.array([0, 1] * 8), "validation_data": (x, np.array([0, 1] * 8)), "epochs": 2}


@pytest.mark.slow
def test_a_function_scored_without_labels(tmp_path):
    x = np.array([[3.0, 0.0], [0.0, 3.0]])
    result = tft.tuning.search(
        make, {"rate": tft.tuning.Choice([0.0, 1.0])}, tuner="grid", objective=tft.tuning.TargetInformation(x),
        directory=tmp_path, verbose=0,
    )  # fmt: skip
    assert result.best_values == {"rate": 1.0} and result.best_builder is None
    assert result.trials[0].score == pytest.approx(0, abs=1e-6)
    assert (result.objective, result.direction) == ("target_information", "max")
    assert tft.tuning.TargetInformation(x)(result.best_model) == pytest.approx(result.best_score)
    assert result.trials[1].metrics["val_accuracy"] == 1.0


def test_a_function_that_returns_no_pair_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="must return \\(model, arguments of fit\\)"):
        tft.tuning.search(
            lambda values: make(values)[0], {"rate": tft.tuning.Choice([0.0, 1.0])}, tuner="grid",
            directory=tmp_path, verbose=0,
        )  # fmt: skip


@pytest.mark.slow
def test_the_weight_of_an_adversary(tmp_path):
    small = toy_builder(tmp_path).to_dict()
    small.pop("builder")
    builder = tft.DomainAdversarialClassifier(**small | {"hidden_units": (8,)})
    source, target = colour_images(12), colour_images(12, seed=1)[0]
    pairs = tft.data.pair_domains(source, target, batch_size=6, seed=0)
    result = tft.tuning.search(
        builder, {"adaptation_weight": tft.tuning.Choice([0.0, 1.0])}, train=pairs, epochs=1, tuner="grid",
        objective=tft.tuning.TargetEntropy(target), directory=tmp_path / "tuning", verbose=0,
    )  # fmt: skip
    assert [trial.status for trial in result.trials] == ["completed"] * 2, result.failed
    assert result.best_model.builder == result.best_builder
    assert result.best_builder.adaptation_weight == result.best_values["adaptation_weight"]
    assert tft.tuning.TargetEntropy(target)(result.best_model) == pytest.approx(result.best_score, rel=1e-5)
    assert result.best_model.deployable().predict(target, verbose=0).shape == (12, 3)
