"""What TensorBoard's HParams reads: what was tried, and what came out, from the event files."""

import json

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import EXPERIMENT_TAG, SESSION_START_INFO_TAG
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import tf_transfer as tft
from tf_transfer.reporting import write_hparams


def read(folder):
    """Returns the experiment, and a dict of the name of each row to what was tried and its metrics."""
    events = EventAccumulator(str(folder))
    events.Reload()
    experiment = HParamsPluginData.FromString(events.SummaryMetadata(EXPERIMENT_TAG).plugin_data.content).experiment
    rows = {}
    for path in sorted(each for each in folder.iterdir() if each.is_dir()):
        events = EventAccumulator(str(path))
        events.Reload()
        content = events.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
        tried = HParamsPluginData.FromString(content).session_start_info.hparams
        values = {name: value.string_value or value.number_value for name, value in tried.items()}
        figures = {
            tag: float(tf.make_ndarray(events.Tensors(tag)[0].tensor_proto))
            for tag in events.Tags()["tensors"]
            if not tag.startswith("_hparams_")
        }
        rows[path.name] = (values, figures)
    return experiment, rows


def test_a_search(tmp_path):
    record = tft.tuning.TrialRecord
    trials = (
        record(1, {"dropout": 0.5, "units": (8, 8)}, "completed", 0.75, {"val_loss": 0.5}),
        record(2, {"dropout": 0.0, "units": ()}, "completed", 0.5, {"val_loss": 0.7}),
        record(3, {"dropout": 0.1, "units": ()}, "failed", error="no memory"),
    )
    result = tft.tuning.SearchResult(None, None, {}, 0.75, trials, "val_accuracy", "max", "x")
    write_hparams(result, tmp_path)
    experiment, rows = read(tmp_path)
    assert [info.name for info in experiment.hparam_infos] == ["dropout", "units"]
    assert {info.name.tag for info in experiment.metric_infos} == {"val_accuracy", "val_loss"}
    assert rows == {
        "trial_1": ({"dropout": 0.5, "units": "8,8"}, {"val_accuracy": 0.75, "val_loss": 0.5}),
        "trial_2": ({"dropout": 0.0, "units": "none"}, {"val_accuracy": 0.5, "val_loss": pytest.approx(0.7)}),
    }


def test_a_cross_validation(tmp_path):
    scores = {"plain": np.array([0.5, 0.25]), "tuned": np.array([0.75, 1.0])}
    write_hparams(tft.analysis.CrossValidation(scores, "accuracy", True, 0.5), tmp_path)
    _, rows = read(tmp_path)
    assert rows["trial_tuned_2"] == ({"method": "tuned", "part": 2.0}, {"accuracy": 1.0}) and len(rows) == 4


def test_a_tuner_of_keras_tuner(tmp_path):
    space = keras_tuner.HyperParameters()
    space.Choice("units", [8, 16])
    objective = keras_tuner.Objective("val_loss", "min")
    oracle = keras_tuner.oracles.GridSearchOracle(objective=objective, hyperparameters=space)
    oracle._set_project_dir(tmp_path / "tuner", "search")
    for score in (0.5, 0.25):
        trial = oracle.create_trial("tuner")
        oracle.update_trial(trial.trial_id, {"val_loss": score})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    write_hparams(oracle, tmp_path / "logs")
    _, rows = read(tmp_path / "logs")
    assert sorted(rows.values(), key=str) == [
        ({"units": 16.0}, {"val_loss": 0.25}),
        ({"units": 8.0}, {"val_loss": 0.5}),
    ]


def test_runs_show_the_settings_that_differ(tmp_path):
    for name, dropout in (("one", 0.0), ("two", 0.5)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.yaml").write_text(f"images: photos\ndropout: {dropout}\noutput: {name}\n")
        result = {"format": 1, "command": "train", "created": name, "figures": {"accuracy": 1 - dropout}}
        (tmp_path / "runs" / name / "result.json").write_text(json.dumps(result))
    write_hparams(tft.workflow.list_runs(tmp_path / "runs"), tmp_path / "logs")
    _, rows = read(tmp_path / "logs")
    assert rows["trial_two"] == ({"command": "train", "dropout": 0.5}, {"accuracy": 0.5}) and len(rows) == 2


def test_without_a_score_there_is_nothing_to_show(tmp_path):
    with pytest.raises(ValueError, match="`found` must be"):
        write_hparams({"accuracy": 0.5}, tmp_path / "logs")
    trials = (tft.tuning.TrialRecord(1, {"dropout": 0.5}, "failed", error="no memory"),)
    with pytest.raises(ValueError, match="has a score"):
        write_hparams(tft.tuning.SearchResult(None, None, {}, 0, trials, "loss", "min", "x"), tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
