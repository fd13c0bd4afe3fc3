"""A whole search: what it returns, says and writes, and what happens when trials fail."""

import csv
import io
import json
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from tuning_toys import toy_builder, toy_data

import tf_transfer as tft

SPACE = {"epochs": tft.tuning.Choice([0, 2]), "hidden_units": tft.tuning.Choice([[], [8]])}
TRAINING = {"freeze_epochs": 2, "learning_rate": 0.03, "fine_tuning_rate": 0.01, "unfreeze": True, "seed": 0}


def search(folder, space=None, builder=None, **options):
    train, validation = toy_data()
    options = {"tuner": "grid", "verbose": 0, "directory": folder / "tuning", **TRAINING, **options}
    return tft.tuning.search(
        builder or toy_builder(folder), space or SPACE, train=train, validation=validation,
        features_cache=folder / "features", **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def result(folder, said):
    import contextlib

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        found = search(folder, verbose=1, tensorboard=folder / "logs")
    said.append(text.getvalue())
    return found


class TestResult:
    def test_all_trials_ran_and_the_best_is_the_best(self, result):
        assert [trial.values for trial in result.trials] == [
            {"epochs": 0, "hidden_units": ()}, {"epochs": 0, "hidden_units": (8,)},
            {"epochs": 2, "hidden_units": ()}, {"epochs": 2, "hidden_units": (8,)},
        ]  # fmt: skip
        assert {trial.status for trial in result.trials} == {"completed"} and not result.failed
        assert [trial.num_epochs for trial in result.trials] == [2, 2, 4, 4]
        assert result.best_score == max(trial.score for trial in result.trials)
        assert result.best_values == result.ranked()[0].values

    def test_the_best_model_scores_what_it_scored(self, result):
        _, (x, y) = toy_data()
        assert result.best_model.evaluate(x, y, return_dict=True, verbose=0)["accuracy"] == result.best_score

    def test_the_best_model_has_its_builder(self, result):
        assert result.best_model.builder == result.best_builder
        assert result.best_builder.hidden_units == result.best_values["hidden_units"]

    def test_only_the_best_model_stays_on_disk(self, result, folder):
        files = sorted((folder / "tuning").rglob("*.keras"))
        best = result.ranked()[0]
        assert [str(file) for file in files] == [f"{best.folder}/model.keras"]

    def test_table_dict_and_csv(self, result, tmp_path):
        import rich.console

        console = rich.console.Console(file=io.StringIO(), width=120)
        console.print(result.table())
        lines = console.file.getvalue().splitlines()
        assert "4 trials, 0 failed" in lines[0]
        assert f"{result.best_score:.4f}" in lines[4] and "none" in console.file.getvalue()
        assert json.loads(json.dumps(result.to_dict()))["best_builder"]["builder"] == "ImageClassifier"
        rows = list(csv.DictReader(io.StringIO(result.to_csv(tmp_path / "trials.csv"))))
        assert [row["hidden_units"] for row in rows] == ["none", "8", "none", "8"]
        assert [float(row["score"]) for row in rows] == [trial.score for trial in result.trials]
        assert (tmp_path / "trials.csv").read_text().startswith("trial,status,score,epochs,hidden_units,")

    def test_what_it_said(self, result, said):
        lines = said[0].splitlines()
        assert lines[0].startswith("Search for the highest val_accuracy in 4 trials: grid over epochs, hidden_units")
        assert [line for line in lines if line.startswith("trial")][1] == "trial 2 of 4: epochs=0 hidden_units=8"
        assert sum("the best so far" in line or "best 0." in line or "best 1." in line for line in lines) == 4

    def test_tensorboard_has_the_hyperparameters_and_the_scores(self, result, folder):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        runs = sorted(path for path in (folder / "logs").iterdir() if path.is_dir())
        assert len(runs) == 4
        events = EventAccumulator(str(runs[1]))
        events.Reload()
        started = HParamsPluginData.FromString(
            events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        ).session_start_info
        assert started.hparams["hidden_units"].string_value == "8" and started.hparams["epochs"].number_value == 0
        assert tf.make_ndarray(events.Tensors("val_accuracy")[0].tensor_proto) == pytest.approx(result.trials[1].score)


class TestGoingOn:
    def test_a_finished_search_comes_back_at_once(self, result, folder, monkeypatch):
        monkeypatch.setattr(keras.Model, "fit", None)
        again = search(folder)
        assert again.best_values == result.best_values and again.trials == result.trials
        one, other = again.best_model.get_weights(), result.best_model.get_weights()
        assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))

    def test_other_settings_are_refused(self, result, folder):
        with pytest.raises(ValueError, match=r"another space.*project_name.*overwrite"):
            search(folder, {"dropout": tft.tuning.Choice([0.0, 0.1])})
        with pytest.raises(ValueError, match="another tuner"):
            search(folder, tuner="random")
        with pytest.raises(ValueError, match="another arguments"):
            search(folder, freeze_epochs=7)


class TestFailedTrials:
    SPACE = {"unfreeze": tft.tuning.Choice(["block_77", True]), "epochs": 1}

    def test_are_counted_and_told(self, folder, capsys):
        options = {name: value for name, value in TRAINING.items() if name != "unfreeze"}
        train, validation = toy_data()
        result = tft.tuning.search(
            toy_builder(folder), self.SPACE, train=train, validation=validation, tuner="grid",
            directory=folder / "tuning", project_name="failing", features_cache=folder / "features", **options,
        )  # fmt: skip
        assert [trial.status for trial in result.trials] == ["failed", "completed"]
        assert "block_77" in result.failed[0].error
        assert "FAILED (1 so far)" in capsys.readouterr().out
        assert "block_77" in result.table().caption and "1 failed" in result.table().title
        assert "block_77" in result.to_csv()

    @pytest.mark.slow
    def test_when_all_fail_it_is_an_error(self, folder):
        space = {"unfreeze": tft.tuning.Choice(["block_77", "block_78"]), "epochs": 1}
        with pytest.raises(RuntimeError, match=r"All 2 trials failed.*block_77.*block_78"):
            search(folder, space, project_name="all")

    @pytest.mark.slow
    def test_three_failures_at_the_start_end_it(self, folder):
        space = {"dropout": tft.tuning.Float(0.0, 0.5)}
        with pytest.raises(RuntimeError, match=r"first 3 trials all failed.*Trial 1, 2, 3: ValueError"):
            search(folder, space, project_name="three", tuner="random", max_trials=9, unfreeze="nothing", epochs=1)

    @pytest.mark.slow
    def test_a_metric_that_is_not_there(self, folder):
        import keras_tuner

        with pytest.raises(RuntimeError, match=r"'val_accurcy'.*there are"):
            search(folder, project_name="metric", objective=keras_tuner.Objective("val_accurcy", "max"))


class TestRefusedBeforeAnyTrial:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"tuner": "bayes"}, "Did you mean 'bayesian'"),
            ({"objective": "val_nothing"}, "`objective`"),
            ({"tuner": "hyperband"}, 'Take tuner="grid"'),
            ({"tuner": "hyperband", "freeze_epochs": 0}, "to share out"),
            ({"freeze_epoch": 3}, "Did you mean 'freeze_epochs'"),
            ({"max_trials": 0}, "`max_trials`"),
            ({"space": {"dropout": tft.tuning.Float(0, 0.5)}}, "never ends"),
            ({"verbose": 3}, "`verbose`"),
        ],
    )
    def test_settings(self, tmp_path, options, words, monkeypatch):
        monkeypatch.setattr(keras.Model, "fit", None)
        with pytest.raises(ValueError, match=words.replace("(", r"\(")):
            search(tmp_path, **options)
        assert not (tmp_path / "tuning").exists()

    def test_a_callback_that_cannot_be_copied(self, tmp_path):
        callback = keras.callbacks.LambdaCallback()
        callback.lock = threading.Lock()
        with pytest.raises(ValueError, match="on_train_begin"):
            search(tmp_path, callbacks=[callback])


def test_the_oracles_draw_what_they_should():
    from tf_transfer.tuning.oracles import make_oracle, objective_of
    from tf_transfer.tuning.space import Space

    space = Space(
        {
            "a": tft.tuning.Choice(["x", "y"]),
            "b": tft.tuning.Int(1, 3, when={"a": ["y"]}),
            "c": tft.tuning.Float(0, 1, step=0.5),
        },
        ["a", "b", "c"],
        "the test",
    )
    oracle = make_oracle("grid", objective_of("val_accuracy"), None, 0, 10, space)
    space.declare(oracle.hyperparameters)
    combinations = [space.values(values) for values in oracle.combinations()]
    assert len(combinations) == 3 + 3 * 3
    assert combinations[0] == {"a": "x", "c": 0.0} and combinations[-1] == {"a": "y", "b": 3, "c": 1.0}
    bayesian = make_oracle("bayesian", objective_of("val_loss"), 20, 0, 10, space)
    assert bayesian.num_initial_points == 6, "KerasTuner's own nine would leave few trials to its model"


@pytest.mark.slow
def test_hyperband_shares_out_the_epochs(folder, capsys):
    space = {"dropout": tft.tuning.Float(0.0, 0.5), "hidden_units": tft.tuning.Choice([[], [8]])}
    options = {"freeze_epochs": 3, "epochs": 0}
    result = search(folder, space, project_name="hyperband", tuner="hyperband", verbose=1, **options)
    assert sorted(trial.num_epochs for trial in result.trials) == [1, 1, 1, 3, 3, 3]
    assert result.best_model.builder == result.best_builder
    assert "trial 1 of 6 [33% of the epochs]" in capsys.readouterr().out


@pytest.mark.slow
def test_bayesian_goes_beyond_its_random_trials(folder):
    space = {"learning_rate": tft.tuning.Float(1e-3, 1e-1, log=True), "dropout": tft.tuning.Float(0.0, 0.5)}
    options = {"freeze_epochs": 1, "epochs": 0, "max_trials": 5}
    result = search(folder, space, project_name="bayesian", tuner="bayesian", **options)
    assert [trial.status for trial in result.trials] == ["completed"] * 5
    assert len({tuple(trial.values.values()) for trial in result.trials}) == 5
