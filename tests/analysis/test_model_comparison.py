"""Models side by side: sizes, times, accuracies and agreements that are known beforehand."""

import csv
import json
import time

import keras
import numpy as np
import pytest
import rich
import tensorflow as tf
from rich.console import Console

import tf_transfer as tft
from tf_transfer.analysis import ComparedModel, ModelComparison, compare_models

# The brightest of three inputs is the class; the second model never looks at the third.
X = np.array([[9, 1, 0], [0, 9, 1], [1, 0, 9], [9, 0, 8], [3, 4, 9], [5, 6, 0]], "float32")
Y = np.array([0, 1, 2, 0, 2, 0])


@keras.saving.register_keras_serializable(package="tests")
class Slow(keras.layers.Layer):
    """Sleeps for 20 milliseconds at each call."""

    def call(self, inputs):
        def sleep(x):
            time.sleep(0.02)
            return x

        outputs = tf.numpy_function(sleep, [inputs], tf.float32)
        outputs.set_shape(inputs.shape)
        return outputs

    def compute_output_shape(self, shape):
        return shape


def network(*layers, shape=(3,)):
    return keras.Sequential([keras.Input(shape), *layers, keras.layers.Softmax()])


@pytest.fixture(scope="module")
def comparison():
    blind = network(keras.layers.Dense(3, use_bias=False))
    blind.set_weights([np.diag([1.0, 1.0, 0.0])])
    return compare_models({"reference": network(), "blind": blind}, (X, Y), ["red", "green", "blue"])


def test_accuracy_agreement_and_parameters_are_those_worked_out_by_hand(comparison):
    # The reference says 0 1 2 0 2 1; the other, to which the third is 0: 0 1 0 0 1 1.
    first, second = comparison.rows
    assert (first.name, first.num_parameters, first.accuracy, first.agreement) == ("reference", 0, 5 / 6, 1.0)
    assert (second.num_parameters, second.accuracy, second.agreement) == (9, 3 / 6, 4 / 6)
    # 2 * true positives / (examples + predictions) of the classes: 4/6, 2/4, 0/2.
    assert second.macro_f1 == pytest.approx((4 / 6 + 2 / 4 + 0) / 3)
    assert comparison.evaluations["blind"].class_names == ("red", "green", "blue")


def test_the_size_is_that_of_the_file_whatever_the_optimizer_remembers(tmp_path):
    model = network(keras.layers.Dense(400), keras.layers.Dense(3))
    model.save(tmp_path / "plain.keras")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "with_optimizer.keras")
    expected, with_optimizer = ((tmp_path / name).stat().st_size for name in ("plain.keras", "with_optimizer.keras"))
    (row,) = compare_models({"model": model}, (X, Y)).rows
    assert row.megabytes == pytest.approx(expected / 1e6, abs=0.002)
    assert with_optimizer > expected + 20_000
    assert model.optimizer.built


def test_latency_is_in_milliseconds_of_one_example():
    quick, slow = compare_models({"quick": network(), "slow": network(Slow())}, (X, Y)).rows
    # Loose above, for the machine may have other things to do; seconds or microseconds are far off.
    assert 20 <= slow.milliseconds < 1000
    assert 0 < quick.milliseconds < slow.milliseconds


@pytest.mark.slow
def test_each_model_gets_images_of_its_own_size(photos):
    def brightest(size):
        return network(keras.layers.GlobalAveragePooling2D(), shape=(size, size, 3))

    models = {"large": brightest(32), "small": brightest(8), "any": brightest(None)}
    folder = tft.data.ImageFolder(photos, (32, 32), class_names=["red", "green", "blue"])
    rows = compare_models(models, folder).rows
    assert [(row.accuracy, row.agreement) for row in rows] == [(1.0, 1.0)] * 3
    x, y = next(iter(folder.dataset(30)))
    for data in ((x.numpy(), y.numpy()), folder.dataset(7), folder.dataset(7).unbatch()):
        assert [row.accuracy for row in compare_models(models, data, batch_size=5).rows] == [1.0] * 3
    evaluated = compare_models(models, folder).evaluations["small"]
    direct = tft.analysis.evaluate_classifier(models["small"], folder.resized((8, 8)))
    np.testing.assert_array_equal(evaluated.scores, direct.scores)


def test_a_folder_is_read_in_another_size_without_a_second_check(photos, monkeypatch):
    folder = tft.data.ImageFolder(photos, (32, 32))
    monkeypatch.setattr("tf_transfer.data.class_folder.find_bad", lambda *_: pytest.fail("checked again"))
    small = folder.resized((8, 6), channels=1)
    assert next(iter(small.dataset(4)))[0].shape == (4, 8, 6, 1)
    assert next(iter(folder.dataset(4)))[0].shape == (4, 32, 32, 3)
    assert (small.files, small.labels.tolist()) == (folder.files, folder.labels.tolist())
    with pytest.raises(ValueError, match="`channels` must be one of"):
        folder.resized((8, 8), channels=2)


def test_the_table_is_what_the_rows_say(comparison, capsys):
    console = Console(width=160)
    with console.capture() as captured:
        console.print(comparison.table())
    lines = captured.get().splitlines()
    header = " ".join(lines[0].split())
    assert header == "model parameters file in MB latency in ms accuracy (95% interval) macro-F1 agrees with reference"
    blind = lines[2].split()
    assert (blind[:2], blind[4], blind[-1]) == (["blind", "9"], "0.500", "0.667")
    assert "Measured on 6 examples" in " ".join(lines) and comparison.machine in " ".join(lines)
    odd = ModelComparison(
        (comparison.rows[0]._replace(name="[bold]"),), {"[bold]": comparison.evaluations["blind"]}, ""
    )
    rich.print(odd.table())
    assert "[bold]" in capsys.readouterr().out


def test_figures_are_written_with_three_digits(comparison):
    row = ComparedModel("reference", 1234567, 14.0321, 0.012345, 0.5, 0.5, 1.0)
    written = ModelComparison((row,), comparison.evaluations, "CPU").cells()[0]
    assert written[1:4] == ["1,234,567", "14.0", "0.0123"]
    written = ModelComparison((row._replace(megabytes=1402.1, milliseconds=145.6),), comparison.evaluations, "").cells()
    assert written[0][2:4] == ["1402", "146"]


def test_plain_data_and_csv_hold_the_figures(comparison, tmp_path):
    written = json.loads(json.dumps(comparison.to_dict()))
    assert [model["agreement"] for model in written["models"]] == [1.0, pytest.approx(4 / 6)]
    assert (written["num_examples"], written["machine"]) == (6, comparison.machine)
    comparison.to_csv(tmp_path / "comparison.csv")
    with open(tmp_path / "comparison.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["reference", "blind"]
    assert float(rows[1]["agreement"]) == pytest.approx(4 / 6)
    assert list(rows[0]) == list(ComparedModel._fields)


def test_data_in_another_order_each_time_and_other_classes_are_refused(photos):
    shuffled = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(6, seed=1).batch(2)
    with pytest.raises(ValueError, match="in the same order in each pass"):
        compare_models({"a": network(), "b": network()}, shuffled)
    fewer = network(keras.layers.Dense(2))
    with pytest.raises(ValueError, match="'a' with 3, 'b' with 2"):
        compare_models({"a": network(), "b": fewer}, (X, Y % 2))
    grey = network(keras.layers.Flatten(), keras.layers.Dense(3), shape=(8, 8, 1))
    folder = tft.data.ImageFolder(photos, (8, 8))
    assert compare_models({"grey": grey}, folder).rows[0].num_parameters == 64 * 3 + 3
    with pytest.raises(ValueError, match="Class names must agree"):
        compare_models({"grey": grey}, folder, ["x", "y", "z"])
