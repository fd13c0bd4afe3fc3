"""Runs from their folders: read, listed, compared, and run again; the folders are written by hand."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import ttest_rel

import tf_transfer as tft
from tf_transfer.analysis.differences import paired_errors
from tf_transfer.workflow import run_reproduction
from tf_transfer.workflow.run_record import versions

IMAGES = "photos"


def write_run(folder, *, right=(1, 1, 1, 0), created="2026-01-01T10:00:00+00:00", figures=None, **changes):
    """Writes the folder of a training that was measured on four examples, or on numbers where `figures` says so."""
    folder.mkdir(parents=True)
    found = {"accuracy": float(np.mean(right)), "accuracy_95_low": 0.1, "accuracy_95_high": 0.9}
    result = {
        "format": 1, "command": "train", "created": created, "seed": 0, "backbone": "mobilenet_v2", "method": "head",
        "main": "accuracy", "figures": figures or found,
        "inputs": {}, "versions": versions(), "directory": str(folder.parent),
    }  # fmt: skip
    settings = {
        "images": IMAGES,
        "epochs": 0,
        "learning_rate": 0.003,
        "output": str(folder),
        **changes.pop("settings", {}),
    }
    (folder / "result.json").write_text(json.dumps({**result, **changes}))
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    rows = [(f"cat/{i}.png", f"{i:032x}", "cat", "cat" if good else "dog", "0.9") for i, good in enumerate(right)]
    write_csv(folder / "predictions.csv", ["example", "digest", "label", "predicted", "score"], rows)
    write_csv(
        folder / "history.csv", ["phase", "epoch", "loss", "val_loss"], [("head", 1, 2.0, ""), ("head", 2, 1.5, 1.0)]
    )
    return folder


def write_csv(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_a_run_is_read_as_it_was_written(tmp_path):
    run = tft.workflow.read_run(write_run(tmp_path / "first"))
    assert (run.name, run.command, run.method, run.seed, run.interval) == ("first", "train", "head", 0, (0.1, 0.9))
    assert run.history == {"phase": ["head"] * 2, "epoch": [1, 2], "loss": [2.0, 1.5], "val_loss": [None, 1.0]}
    assert [row["predicted"] for row in run.predictions] == ["cat", "cat", "cat", "dog"]
    assert repr(run).endswith("first: train, head, accuracy 0.750 (0.100 to 0.900)>")
    assert run.to_dict()["settings"]["learning_rate"] == 0.003 and run.to_dict()["name"] == "first"


def test_runs_are_found_at_any_depth_the_oldest_first_and_not_inside_each_other(tmp_path):
    write_run(tmp_path / "b" / "new", created="2026-03-01T10:00:00+00:00")
    write_run(tmp_path / "old", created="2025-03-01T10:00:00+00:00")
    write_run(tmp_path / "old" / "trial_0")
    write_run(tmp_path / ".hidden")
    write_run(tmp_path / "later", format=2)
    (tmp_path / "config.yaml").write_text("a: b")
    with pytest.warns(UserWarning, match="format 2, and this version reads up to 1"):
        runs = tft.workflow.list_runs(tmp_path)
    assert [run.name for run in runs] == ["old", "new"]


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}'])
def test_what_is_no_result_is_a_sentence(tmp_path, content):
    folder = write_run(tmp_path / "run")
    (folder / "result.json").write_text(content)
    with pytest.raises(ValueError, match=r"JSON|says nothing of a run"):
        tft.workflow.read_run(folder)


def test_settings_that_differ_are_found_also_against_defaults(tmp_path):
    first = write_run(tmp_path / "first", settings={"dropout": 0.2, "trainable": ["block_3", "top"]})
    second = write_run(tmp_path / "second", settings={"learning_rate": 0.1, "label_smoothing": 0.1})
    comparison = tft.workflow.compare_runs([first, second])
    # 0.2 is the default, and places differ always.
    assert comparison.settings == {
        "learning_rate": [0.003, 0.1],
        "trainable": [["block_3", "top"], False],
        "label_smoothing": [0.0, 0.1],
    }
    assert comparison.settings_table().row_count == 3 and comparison.figures_table().row_count == 2


def test_a_difference_has_its_uncertainty_on_the_same_examples_only(tmp_path):
    right, others = np.arange(40) % 5 > 0, np.arange(40) % 2 > 0
    runs = [write_run(tmp_path / name, right=each) for name, each in (("first", others), ("second", right))]
    (found,) = tft.workflow.compare_runs(runs).differences[1:]
    assert found.mean == pytest.approx(right.mean() - others.mean()) and found.low < found.mean < found.high
    assert found == tft.analysis.ClassifierEvaluation(
        np.stack([right, ~right], 1).astype(float), np.zeros(40, int)
    ).difference(tft.analysis.ClassifierEvaluation(np.stack([others, ~others], 1).astype(float), np.zeros(40, int)))

    # In another order they are the same examples; with another label, or one more, they are not.
    rows = tft.workflow.read_run(runs[1]).predictions
    for change, expected in ((rows[::-1], found), ([{**rows[0], "label": "dog"}, *rows[1:]], None), (rows[1:], None)):
        write_csv(runs[1] / "predictions.csv", list(rows[0]), [list(row.values()) for row in change])
        assert tft.workflow.compare_runs(runs).differences == [None, expected]
    assert "other examples" in tft.workflow.compare_runs(runs).figures_table().columns[-1]._cells[1].plain


def test_errors_are_compared_in_the_unit_of_the_target(tmp_path):
    targets, paths = np.arange(6.0), []
    for name, noise in (("first", [1, -1, 2, 1, 0, 1]), ("second", [0.5, 0, 1, 0.5, 0.5, 0])):
        path = write_run(tmp_path / name, main="mae", figures={"mae": float(np.abs(noise).mean())})
        rows = [(i, f"{i:032x}", target, target + noise[i]) for i, target in enumerate(targets)]
        write_csv(path / "predictions.csv", ["example", "digest", "target", "prediction"], rows)
        paths.append(path)
    (found,) = tft.workflow.compare_runs(paths).differences[1:]
    expected = ttest_rel([0.5, 0, 1, 0.5, 0.5, 0], [1, 1, 2, 1, 0, 1])
    low, high = expected.confidence_interval(0.95)
    assert found.mean == pytest.approx(2.5 / 6 - 1) and found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_errors_that_differ_by_a_constant_have_no_spread():
    assert tuple(paired_errors(np.ones(3), np.ones(3))) == (0.0, 0.0, 0.0, 1.0)
    found = paired_errors(np.ones(4), np.full(4, 3.0))
    assert (found.mean, found.low, found.high) == (2.0, 2.0, 2.0) and found.p_value < 1


def test_curves_have_a_line_a_run_and_its_name(tmp_path):
    runs = [write_run(tmp_path / "a" / "run"), write_run(tmp_path / "b" / "run")]
    comparison = tft.workflow.compare_runs(runs)
    # Names that are the same tell nothing apart.
    assert comparison.names == [str(run) for run in runs]
    loss, val_loss = comparison.plot().axes
    assert [axes.get_title() for axes in (loss, val_loss)] == ["loss", "val_loss"]
    assert [line.get_label() for line in loss.lines] == comparison.names
    np.testing.assert_equal(val_loss.lines[0].get_ydata(), [np.nan, 1.0])
    for run in runs:
        os.remove(run / "history.csv")
    with pytest.raises(ValueError, match="None of the runs has a history"):
        tft.workflow.compare_runs(runs).plot()


@pytest.fixture
def again(monkeypatch):
    """Returns a function that says what the next training leaves, and a list of the configurations and folders."""
    seen = []

    def leaves(**content):
        def train(config, *, verbose):
            seen.append((config, os.getcwd()))
            write_run(Path(config.output), **content)

        kinds = run_reproduction.WORKFLOWS["train"][1]
        monkeypatch.setitem(run_reproduction.WORKFLOWS, "train", (train, kinds))
        return seen

    return leaves


def test_a_run_again_is_the_recorded_one_in_another_folder(tmp_path, again, monkeypatch):
    (tmp_path / "there" / IMAGES).mkdir(parents=True)
    settings = {"export": "served", "min_accuracy": 0.99, "dropout": 0.4}
    write_run(tmp_path / "there" / "run", settings=settings)
    monkeypatch.chdir(tmp_path)
    seen = again()
    found = tft.workflow.reproduce_run("there/run", "new", verbose=0)
    ((config, directory),) = seen
    assert (config.output, config.export, config.min_accuracy) == (str(tmp_path / "new"), None, None)
    assert (config.images, config.builder["dropout"]) == (IMAGES, 0.4)
    # Paths count from where the recorded run was started, that of the new one from where it is asked for.
    assert directory == str(tmp_path / "there") and os.getcwd() == str(tmp_path)
    assert found.agreement == "exactly" and found.agrees and found.changed == {"inputs": [], "versions": []}
    assert found.conclusion == "Reproduced: all 3 figures are those that were recorded, to 1e-06."
    with pytest.raises(FileExistsError, match="must be a new folder"):
        tft.workflow.reproduce_run("there/run", "new", verbose=0)


@pytest.mark.parametrize(
    ("right", "agreement", "words"),
    [
        ([1] * 40, "exactly", "all 3 figures"),
        ([1] * 39 + [0], "within chance", "a difference of -0.025"),
        ([1] * 10 + [0] * 30, "no", "more than chance"),
        ([1] * 39, "no", "not measured on the same examples"),
    ],
)
def test_it_says_whether_figures_agree_and_within_what(tmp_path, again, right, agreement, words):
    write_run(tmp_path / "run", right=[1] * 40)
    figures = {"accuracy": 0.9} if len(right) == 39 else None
    again(right=right, figures=figures)
    found = tft.workflow.reproduce_run(tmp_path / "run", tmp_path / "new")
    assert found.agreement == agreement and words in found.conclusion
    assert found.agrees == (agreement != "no") and found.to_dict()["agreement"] == agreement
    assert found.table().row_count == 3


def test_it_warns_of_data_and_versions_that_have_changed(tmp_path, again):
    (tmp_path / IMAGES).mkdir()
    (tmp_path / IMAGES / "1.png").write_text("x")
    write_run(tmp_path / "run", inputs={"images": "0-9"}, versions={**versions(), "keras": "3.0.0"})
    again()
    with pytest.warns(UserWarning) as said:
        found = tft.workflow.reproduce_run(tmp_path / "run", tmp_path / "new")
    assert found.changed == {"inputs": ["images"], "versions": ["keras"]}
    assert f"images ({IMAGES})" in str(said[0].message) and "keras 3.0.0 (now" in str(said[1].message)


def test_nothing_measured_is_nothing_to_compare(tmp_path, again):
    write_run(tmp_path / "run", main=None, figures={"other": 1.0})
    again(main=None)
    assert tft.workflow.reproduce_run(tmp_path / "run", tmp_path / "new").agreement == "unknown"


def test_a_run_of_something_else_is_refused(tmp_path):
    write_run(tmp_path / "run", command="knit")
    with pytest.raises(ValueError, match="a run of 'knit', not one of"):
        tft.workflow.reproduce_run(tmp_path / "run", tmp_path / "new")
