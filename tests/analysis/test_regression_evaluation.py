"""How far predicted values are from true ones."""

import keras
import numpy as np
import pytest

import tf_transfer as tft

Evaluation = tft.analysis.RegressionEvaluation


def test_figures_by_hand():
    evaluation = Evaluation(np.array([1.0, 2.0, 6.0]), np.array([1.0, 3.0, 5.0]))
    assert evaluation.mae == pytest.approx(2 / 3)
    assert evaluation.rmse == pytest.approx((2 / 3) ** 0.5)
    # The residual sum of squares is 2, that about the mean of 3 is 8.
    assert evaluation.r2 == pytest.approx(1 - 2 / 8)


def test_the_mean_explains_nothing_and_a_constant_target_has_nothing_to_explain():
    targets = np.array([1.0, 2.0, 3.0])
    assert Evaluation(np.full(3, 2.0), targets).r2 == pytest.approx(0.0)
    assert np.isnan(Evaluation(targets, np.ones(3)).r2)


def test_the_interval_holds_the_true_error_as_often_as_it_says():
    rng = np.random.default_rng(0)
    true = np.sqrt(2 / np.pi)
    hits = 0
    for _ in range(200):
        low, high = Evaluation(rng.normal(size=200), np.zeros(200)).mae_interval()
        hits += low <= true <= high
    assert 0.9 <= hits / 200 <= 0.99


def test_several_outputs_count_alike():
    evaluation = Evaluation(np.array([[1.0, 10.0], [2.0, 20.0]]), np.array([[1.0, 12.0], [4.0, 20.0]]))
    assert evaluation.mae == pytest.approx(1.0)


def test_the_plot_shows_every_example_and_the_line_of_equal_values():
    axes = Evaluation(np.arange(5.0), np.arange(5.0) + 1).plot().axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.c_[np.arange(5.0) + 1, np.arange(5.0)])
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), axes.lines[0].get_ydata())


def test_a_model_with_gaps_in_its_table_is_measured():
    class Builder:
        takes_missing = True

    column = keras.Input((1,), name="age")
    filled = keras.ops.where(keras.ops.isnan(column), keras.ops.zeros_like(column), column)
    model = keras.Model({"age": column}, keras.layers.Rescaling(1.0)(filled))
    data = ({"age": np.array([[1.0], [np.nan]], "float32")}, np.array([1.0, 4.0]))
    with pytest.raises(ValueError, match="must be finite"):
        tft.analysis.evaluate_regressor(model, data)
    model.builder = Builder()
    assert tft.analysis.evaluate_regressor(model, data).mae == pytest.approx(2.0)
