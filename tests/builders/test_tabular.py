"""Regressors on tables: standardization inside, columns by name, and parts that a target has for itself."""

import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

NAMES = ["fixed acidity", "pH", "sugar"]


def domain(shift=0.0, num_rows=96, seed=0):
    """Returns a table of which only two columns count, and the target: linear, and off by `shift`."""
    rng = np.random.default_rng(seed)
    table = {name: rng.normal(mean, std, num_rows) for name, mean, std in zip(NAMES, (8, 3, 100), (2, 0.2, 50))}
    y = 40.0 + 3.0 * (table["fixed acidity"] - 8.0) + 20.0 * (table["pH"] - 3.0) + shift
    return table, y


def adapted(**fields):
    table, y = domain()
    return tft.TabularRegressor(columns=NAMES, **{"hidden_units": [8], "seed": 0, **fields}).adapt(table, y)


@pytest.fixture(scope="module")
def source_model():
    builder = adapted(learning_rate=0.02)
    model = builder.build()
    table, y = domain()
    model.fit(builder.inputs(table), y, epochs=30, verbose=0)
    return model


def weights_of(model):
    head = model.get_layer("standardized")
    feature_map = np.concatenate([np.ravel(w) for w in model.get_layer("feature_map").get_weights()])
    return {"feature_map": feature_map, "weights": np.ravel(head.kernel), "bias": np.ravel(head.bias)}


def test_columns_are_standardized_inside_by_the_data_that_was_given():
    builder, (table, y) = adapted(), domain()
    moments = builder.columns["fixed acidity"]
    np.testing.assert_allclose(
        [moments["mean"], moments["std"]], [table["fixed acidity"].mean(), table["fixed acidity"].std()]
    )
    model = builder.build()
    inner = keras.Model(model.input, model.get_layer("standardize").output)
    standard = inner.predict(builder.inputs(table), verbose=0)
    expected = np.stack([(table[name] - table[name].mean()) / table[name].std() for name in NAMES], axis=1)
    np.testing.assert_allclose(standard, expected, atol=1e-4)
    # A new head says the mean of the targets.
    np.testing.assert_allclose(model.predict(builder.inputs(table), verbose=0), y.mean(), rtol=1e-5)


class Frame:
    """What is asked of a pandas `DataFrame`."""

    def __init__(self, table):
        self.columns, self._table = list(table), table

    def keys(self):
        return self.columns

    def __getitem__(self, name):
        return self._table[name]


def test_a_frame_and_a_dict_are_one_table_and_further_columns_are_left_aside():
    builder, (table, _) = adapted(), domain()
    frame = Frame({"label": ["red"] * 96, **dict(reversed(table.items()))})
    assert builder.adapt(frame) == builder
    for name, values in builder.inputs(frame).items():
        np.testing.assert_array_equal(values, builder.inputs(table)[name])
    assert list(builder.inputs(table)) == ["fixed_acidity", "pH", "sugar"]
    assert builder.inputs(table)["pH"].shape == (96, 1) and builder.inputs(table)["pH"].dtype == "float32"


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"pH": None}, "no column 'pH'"),
        ({"pH": [3.0] * 90 + ["acid"] * 6}, "Column 'pH' must hold texts only. Received: 3.0 in row 0"),
        ({"sugar": np.where(np.arange(96) == 7, np.inf, 1.0)}, "'sugar' has an infinite value in row 7"),
        ({"sugar": np.ones(96)}, "'sugar' has one value in all of its 96 rows"),
        ({"sugar": np.ones(95)}, "as many rows each.*'sugar': 95"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_by_column_and_row(change, sentence):
    table = {name: values for name, values in {**domain()[0], **change}.items() if values is not None}
    with pytest.raises(ValueError, match=sentence):
        tft.TabularRegressor(columns=NAMES).adapt(table)
    with pytest.raises(ValueError, match="Did you mean 'fixed acidity'"):
        tft.TabularRegressor(columns=["fixed acidty"]).inputs(domain()[0])


def test_a_builder_that_saw_no_data_says_how_to_show_it_some():
    with pytest.raises(ValueError, match=r"standardize the columns \['fixed acidity', 'pH', 'sugar'\].*adapt\(table"):
        tft.TabularRegressor(columns=NAMES).build()
    with pytest.raises(ValueError, match="share the name of an input, 'p_H'"):
        tft.TabularRegressor(columns=["p H", "p-H"])


@pytest.mark.slow
def test_learns_serves_and_opens_where_the_package_is_not_imported(source_model, tmp_path):
    table, y = domain(seed=1)
    inputs = source_model.builder.inputs(table)
    predictions = source_model.predict(inputs, verbose=0)
    assert np.mean((predictions[:, 0] - y) ** 2) < 0.2 * y.var()
    source_model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "inputs.npz", **inputs)
    code = (
        "import keras, numpy, sys; model = keras.models.load_model(sys.argv[1] + '/model.keras');"
        "inputs = dict(numpy.load(sys.argv[1] + '/inputs.npz'));"
        "assert 'tf_transfer' not in sys.modules;"
        "numpy.save(sys.argv[1] + '/out.npy', model.predict(inputs, verbose=0))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), predictions, rtol=1e-6)
    source_model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served")).signatures["serving_default"]
    (answer,) = served(**{name: tf.constant(values) for name, values in inputs.items()}).values()
    np.testing.assert_allclose(answer, predictions, rtol=1e-5)


@pytest.mark.parametrize(
    "parts", [["bias"], ["weights"], ["feature_map"], ["weights", "bias"], ["bias", "feature_map"]]
)
def test_the_target_has_its_parts_for_itself_and_shares_the_others(source_model, parts):
    builder = dataclasses.replace(source_model.builder, target_parts=parts)
    before = weights_of(source_model)
    target_model = builder.for_target(source_model)
    assert all(np.array_equal(before[part], weights_of(target_model)[part]) for part in before)
    table, y = domain(shift=5.0, num_rows=20, seed=2)
    target_model.fit(builder.inputs(table), y, epochs=2, verbose=0)
    after = weights_of(target_model)
    assert {part for part in before if not np.array_equal(before[part], after[part])} == set(parts)
    assert all(np.array_equal(before[part], weights_of(source_model)[part]) for part in before)


def test_a_shifted_target_needs_its_bias_only_and_the_penalty_holds_it(source_model):
    table, y = domain(shift=10.0, num_rows=16, seed=2)
    errors, moved = [], []
    for beta in (0.0, 1e3):
        holding = tft.L2SP(0.0, beta, head="source")
        builder = dataclasses.replace(
            source_model.builder, target_parts=["bias"], target_regularizer=holding, learning_rate=0.1
        )
        target_model = builder.for_target(source_model)
        stream = tf.data.Dataset.from_tensors((builder.inputs(table), y)).repeat()
        holding = [builder.target_regularizer.callback(target_model)]
        target_model.fit(stream, steps_per_epoch=60, callbacks=holding, shuffle=False, verbose=0)
        new, new_y = domain(shift=10.0, seed=3)
        errors.append(abs(target_model.predict(builder.inputs(new), verbose=0)[:, 0] - new_y).mean())
        moved.append(abs(weights_of(target_model)["bias"] - weights_of(source_model)["bias"]).item())
    assert errors[0] < 4.0 and errors[1] > 8.0
    # Least squares with beta/2 b^2 added moves the bias b of standardized outputs by 2 s r / (2 s^2 + beta).
    residuals = y - source_model.predict(source_model.builder.inputs(table), verbose=0)[:, 0]
    scale = source_model.builder.target_std
    np.testing.assert_allclose(moved[1], 2 * scale * residuals.mean() / (2 * scale**2 + 1e3), rtol=5e-2)
    np.testing.assert_allclose(moved[0], residuals.mean() / scale, rtol=2e-2)


def test_its_parts_are_what_methods_of_adaptation_take(source_model):
    encoder, head = source_model.builder.parts(source_model)
    table, y = domain()
    inputs, target = source_model.builder.inputs(table), source_model.builder.inputs(domain(seed=1)[0])
    np.testing.assert_allclose(head(encoder(inputs)), source_model(inputs), rtol=1e-6)
    method = tft.DAREGRAM(*source_model.builder.parts(source_model.builder.for_target(source_model)))
    method.compile("adam", "mse")
    history = method.fit(tft.data.pair_domains((inputs, y), target, batch_size=16, seed=0), verbose=0).history
    assert np.isfinite(history["dare_gram_loss"]).all()
    assert method.deployable().predict(target, verbose=0).shape == (96, 1)


@pytest.mark.parametrize("features_cache", [True, False])
def test_fine_tuning_takes_it_as_any_model_and_does_not_hold_what_is_random(features_cache):
    builder, (table, y) = adapted(), domain()
    model = builder.build()
    options = dict(freeze_epochs=1, epochs=1, features_cache=features_cache, verbose=0)
    history = tft.fine_tune(model, (builder.inputs(table), y), validation_data=(builder.inputs(table), y), **options)
    assert np.isfinite(history.history["loss"]).all() and "l2_sp_loss" not in history.history
