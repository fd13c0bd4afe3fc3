"""Calibration: errors by hand, a temperature that is known beforehand, and what is exported."""

import keras
import numpy as np
import pytest
from scipy.special import expit, softmax

import tf_transfer as tft
from tf_transfer.analysis import ClassifierEvaluation, Reliability, calibrate

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 1.5, (1500, 4)).astype("float32")
# Labels that are as often what the softmax of these logits says.
LABELS = (softmax(LOGITS, axis=1).cumsum(axis=1) < RNG.uniform(size=(1500, 1))).sum(axis=1).clip(max=3)


def too_sure(factor=3.0, end="softmax"):
    layers = [keras.Input((4,)), keras.layers.Rescaling(factor), keras.layers.Activation(end)]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def calibration():
    return calibrate(too_sure(), (LOGITS, LABELS))


def test_the_error_by_loops():
    scores = softmax(RNG.normal(0, 2, (90, 3)), axis=1)
    labels = RNG.integers(0, 3, 90)
    found = Reliability(ClassifierEvaluation(scores, labels), num_bins=7)
    total, largest = 0.0, 0.0
    for low in range(7):
        rows = [i for i in range(90) if low / 7 < scores[i].max() <= (low + 1) / 7]
        if rows:
            right = np.mean([scores[i].argmax() == labels[i] for i in rows])
            gap = abs(right - np.mean([scores[i].max() for i in rows]))
            total, largest = total + len(rows) / 90 * gap, max(largest, gap)
    assert found.expected_calibration_error == pytest.approx(total)
    assert found.maximum_calibration_error == pytest.approx(largest)
    assert found.counts.sum() == 90


def test_who_is_always_sure_and_right_half_of_the_time_is_off_by_half():
    scores = np.eye(2)[[0, 0, 1, 1]]
    found = Reliability(ClassifierEvaluation(scores, np.array([0, 1, 0, 1])))
    assert found.expected_calibration_error == pytest.approx(0.5)


def test_what_chance_alone_shows_is_the_mean_distance_of_a_coin_from_a_half():
    scores = np.full((4, 2), [0.5, 0.5])
    found = Reliability(ClassifierEvaluation(scores, np.array([0, 1, 0, 1]))).error_by_chance(4000)
    # Four fair coins: 0, 1, 2, 3 or 4 heads, with 1, 4, 6, 4 and 1 sixteenths.
    assert found == pytest.approx((2 * 1 / 16 * 0.5) + (2 * 4 / 16 * 0.25), abs=0.01)
    sure = np.eye(2)[[0, 1, 0]]
    assert Reliability(ClassifierEvaluation(sure, np.array([1, 0, 1]))).error_by_chance() == 0.0
    honest = Reliability(ClassifierEvaluation(softmax(LOGITS, axis=1), LABELS))
    assert honest.expected_calibration_error < 1.5 * honest.error_by_chance()


def test_a_table_may_have_missing_values():
    table, y = {"age": np.array([1.0, 2.0, np.nan, 4.0] * 5)}, np.array([0, 0, 1, 1] * 5)
    builder = tft.TabularClassifier(num_classes=2, columns=["age"], hidden_units=[4], seed=0).adapt(table)
    model = builder.build()
    found = calibrate(model, (builder.inputs(table), y))
    assert found.before.counts.sum() == 20 and found.model.builder is builder


def test_the_temperature_undoes_what_made_the_logits_too_large(calibration):
    assert calibration.temperature == pytest.approx(3.0, rel=0.08)
    assert calibration.before.expected_calibration_error > 0.15
    assert calibration.after.expected_calibration_error < 0.04
    assert calibration.model.get_layer("temperature").scale == pytest.approx(1 / calibration.temperature)
    scores = calibration.model.predict(LOGITS, verbose=0)
    np.testing.assert_allclose(scores, softmax(3 * LOGITS / calibration.temperature, axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(scores.argmax(1), LOGITS.argmax(1))


def test_no_other_temperature_is_better(calibration):
    def loss(temperature):
        return -np.log(softmax(3 * LOGITS / temperature, axis=1)[np.arange(1500), LABELS]).mean()

    best = loss(calibration.temperature)
    assert all(loss(calibration.temperature * factor) > best for factor in (0.5, 0.97, 1.03, 2.0))


def test_one_sigmoid_unit():
    x = RNG.normal(0, 1.5, (1500, 1)).astype("float32")
    y = (RNG.uniform(size=1500) < expit(x[:, 0])).astype(int)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(2.5), keras.layers.Activation("sigmoid")])
    found = calibrate(model, (x, y))
    assert found.temperature == pytest.approx(2.5, rel=0.12)
    np.testing.assert_allclose(
        found.model.predict(x[:50], verbose=0), expit(2.5 * x[:50] / found.temperature), rtol=1e-3, atol=1e-5
    )


def test_a_model_of_logits_becomes_one_of_scores():
    found = calibrate(too_sure(end="linear"), (LOGITS, LABELS))
    np.testing.assert_allclose(found.model.predict(LOGITS[:5], verbose=0).sum(1), 1.0, rtol=1e-5)
    assert found.temperature == pytest.approx(3.0, rel=0.08)


def test_the_temperature_stays_in_the_file_and_in_what_is_exported(tiny_backbone, tmp_path):
    builder = tft.ImageClassifier(num_classes=3, class_names=["a", "b", "c"], backbone=tiny_backbone, weights=None)
    model = builder.build()
    kernel = model.get_layer("logits").kernel
    kernel.assign(RNG.normal(0, 3, kernel.shape))
    images = RNG.uniform(0, 255, (40, *model.input_shape[1:])).astype("float32")
    calibrated = calibrate(model, (images, RNG.integers(0, 3, 40))).model
    expected = calibrated.predict(images, verbose=0)
    assert np.abs(expected - model.predict(images, verbose=0)).max() > 0.1
    assert calibrated.builder == builder
    calibrated.save(tmp_path / "calibrated.keras")
    np.testing.assert_allclose(
        keras.models.load_model(tmp_path / "calibrated.keras").predict(images, verbose=0), expected, atol=1e-6
    )
    path = tft.export(calibrated, tmp_path / "served", examples=images[:8])
    served = tft.serving.load(path)
    np.testing.assert_allclose(served.predict(images)["scores"], expected, atol=1e-5)
    assert served.class_names == ["a", "b", "c"]


def test_the_diagrams_are_of_before_and_after(calibration):
    axes = calibration.plot().axes
    titles = [each.get_title() for each in axes if each.get_title()]
    assert [title.split(":")[0] for title in titles] == ["before", "after"]
    assert f"{calibration.after.expected_calibration_error:.3f}" in titles[1]
    assert len(calibration.before.plot().axes) == 2


def test_several_labels_have_no_one_temperature(tiny_backbone):
    model = tft.ImageClassifier(num_classes=3, multi_label=True, backbone=tiny_backbone, weights=None).build()
    with pytest.raises(ValueError, match="one label an example"):
        calibrate(model, (np.zeros((2, *model.input_shape[1:])), np.eye(3)[:2]))
