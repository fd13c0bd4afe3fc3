"""A search that is killed goes on where it was, at whatever moment it was killed."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras_tuner
import pytest

import tf_transfer as tft
from tf_transfer import _files
from tf_transfer.tuning import tuner as tuner_module
from tf_transfer.tuning.oracles import objective_of
from tf_transfer.tuning.search import Run
from tf_transfer.tuning.space import Space

SPACE = {"a": tft.tuning.Float(0.0, 1.0), "b": tft.tuning.Choice([1, 2, 3, 4])}
GRID = {"a": tft.tuning.Float(0.0, 1.0, step=0.5), "b": tft.tuning.Choice([1, 2])}


class Killed(BaseException):
    """Ends everything, as a signal does: nothing that handles an `Exception` sees it."""


class Note:
    """Stands for a model, and saves in no time."""

    score = None

    def save(self, path):
        Path(path).write_text(str(self.score))


def save_note(note, path):
    with _files.whole_file(path) as draft:
        note.save(draft)


class Quick(keras_tuner.HyperModel):
    """Trials without training: the score is a function of the values, and the model holds it."""

    most_epochs = 3

    def __init__(self, space, fits):
        super().__init__()
        self.space = Space(space, ["a", "b"], "the test")
        self.fits = fits

    def declare_hyperparameters(self, hp):
        self.space.declare(hp)

    def values(self, hp):
        return self.space.values(hp)

    def share(self, epochs):
        return 1.0 if epochs is None else epochs / 3

    def builder_for(self, values):
        return None

    def build(self, hp):
        return Note()

    def fit(self, hp, model, epochs=None, callbacks=(), **options):
        values = self.values(hp)
        self.fits.append(values)
        moment("in a trial")
        score = self.share(epochs) * (1 - (values["a"] - 0.4) ** 2) / values["b"]
        model.score = score
        history = tft.fine_tuning.FineTuningHistory()
        history.epoch, history.history = [0], {"val_accuracy": [score]}
        return history


class Clock:
    """Counts the moments at which a process may end, and ends it at one of them."""

    def __init__(self):
        self.count, self.deadline, self.names = 0, None, []

    def tick(self, name):
        self.count += 1
        self.names.append(name)
        if self.count == self.deadline:
            raise Killed(name)


CLOCK = Clock()


def moment(name):
    CLOCK.tick(name)


@pytest.fixture
def moments(monkeypatch):
    """Makes each writing of a file two moments: when the new content lies beside it, and when it is in place."""
    rename = os.replace

    def replace(source, target):
        moment(f"before {os.path.basename(target)}")
        rename(source, target)
        moment(f"after {os.path.basename(target)}")

    monkeypatch.setattr(os, "replace", replace)
    # Waiting for the disk is all that takes time here, and the process alone is killed.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    # Beside TensorFlow a collection takes longer than all the rest of such a trial.
    monkeypatch.setattr(gc, "collect", lambda: 0)
    monkeypatch.setattr(tuner_module, "average_statistics", lambda note: None)
    monkeypatch.setattr(tuner_module, "save_model", save_note)
    monkeypatch.setattr(sys.modules[Run.__module__], "load_model", lambda path: Path(path).read_text())


def run(folder, tuner, fits, deadline=None):
    CLOCK.count, CLOCK.deadline, CLOCK.names = 0, deadline, []
    space, num = (GRID, None) if tuner == "grid" else (SPACE, None if tuner == "hyperband" else 2)
    search = Run(
        Quick(space, fits), objective_of("val_accuracy"), tuner=tuner, max_trials=num, seed=5,
        directory=folder, project_name="search", overwrite=False, tensorboard=None, verbose=0,
    )  # fmt: skip
    search.settings(space="the same")
    return search.search(())


def summary(result):
    return [(trial.number, trial.values, trial.status, trial.score) for trial in result.trials]


# All moments of two trials; of longer searches one in so many, which falls on each kind of moment.
@pytest.mark.parametrize(("tuner", "every"), [("random", 1), ("grid", 3), ("hyperband", 5)])
def test_killed_at_any_moment_a_search_ends_as_if_it_had_not_been(tuner, every, tmp_path, moments):
    whole_fits = []
    expected = run(tmp_path / "whole", tuner, whole_fits)
    num_moments, names = CLOCK.count, list(CLOCK.names)
    assert {"before oracle.json", "after trial.json", "before model.keras", "in a trial"} <= set(names)
    for deadline in range(1, num_moments + 1, every):
        folder, fits = tmp_path / str(deadline), []
        with pytest.raises(Killed):
            run(folder, tuner, fits, deadline)
        result = run(folder, tuner, fits)
        where = f"killed at moment {deadline}, {names[deadline - 1]}"
        assert summary(result) == summary(expected), where
        assert len(fits) <= len(whole_fits) + 1, f"{where}: more than the running trial was lost"
        assert result.best_model == str(expected.best_score), where
        kept = [path.parent.name for path in folder.rglob("model.keras")]
        assert len(kept) == 1, f"{where}: models of {kept} are kept"


def test_killed_twice(tmp_path, moments):
    fits = []
    for deadline in (15, 9, 11):
        with pytest.raises(Killed):
            run(tmp_path / "twice", "random", fits, deadline)
    assert summary(run(tmp_path / "twice", "random", fits)) == summary(run(tmp_path / "whole", "random", []))


SCRIPT = """
import sys, time
import keras
sys.path[:0] = {paths!r}
from tuning_toys import toy_builder, toy_data
from pathlib import Path
import tf_transfer as tft

class Slow(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        Path({folder!r}, "alive").write_text("x")
        time.sleep({pause})

train, validation = toy_data()
result = tft.tuning.search(
    toy_builder(Path({folder!r})), {{"dropout": tft.tuning.Choice([0.0, 0.2, 0.4])}}, train=train,
    validation=validation, tuner="grid", freeze_epochs=2, epochs=0, seed=0, directory={folder!r},
    features_cache={folder!r} + "/features", callbacks=[Slow()])
score = result.best_model.evaluate(*validation, verbose=0)[1]
print("RESULT", [trial.status for trial in result.trials], score == result.best_score)
"""


def start(folder, pause):
    paths = [os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))]
    code = SCRIPT.format(folder=str(folder), paths=paths, pause=pause)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_a_process_killed_within_its_first_trial(tmp_path):
    process = start(tmp_path, pause=60)
    deadline = time.monotonic() + 240
    while not (tmp_path / "alive").exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "the first trial did not begin"
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    trial = json.loads((tmp_path / "search" / "trial_0000" / "trial.json").read_text())
    assert trial["status"] == "RUNNING"
    again = start(tmp_path, pause=0)
    text, _ = again.communicate(timeout=300)
    assert "RESULT ['completed', 'completed', 'completed'] True" in text, text
    assert text.count("trial 1 of 3: dropout=0 ") + text.count("trial 1 of 3: dropout=0\n") == 1, text


def test_more_trials_than_before_go_on_in_their_order(tmp_path, moments):
    fits = []
    for num in (2, 12):
        search = Run(
            Quick(SPACE, fits), objective_of("val_accuracy"), tuner="random", max_trials=num, seed=5,
            directory=tmp_path, project_name="search", overwrite=False, tensorboard=None, verbose=0,
        )  # fmt: skip
        search.settings(space="the same")
        result = search.search(())
    assert [trial.number for trial in result.trials] == list(range(1, 13)) and len(fits) == 12
    assert [trial.values for trial in result.trials] == fits
