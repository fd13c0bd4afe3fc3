"""The folder that a run left, read as it stands."""

import csv
import dataclasses
import json
import os

from tf_transfer.fine_tuning.history import FineTuningHistory, Phase

MODEL, CONFIG, HISTORY, RESULT = "model.keras", "config.yaml", "history.csv", "result.json"


@dataclasses.dataclass(frozen=True, eq=False)
class RunFolder:
    """What `tf-transfer train`, `adapt` or `distill` wrote with `--output`.

    Args:
        path: String, the folder.
        config: Dict, what config.yaml says.
        history: `FineTuningHistory` of the model, or None.
        record: Dict, what result.json says; empty where there is none.
    """

    path: str
    config: dict
    history: FineTuningHistory | None
    record: dict

    @property
    def model_path(self):
        return os.path.join(self.path, MODEL)

    @property
    def command(self):
        """String, the command that made it: "train", "adapt" or "distill"."""
        known = {"teacher": "distill", "source": "adapt"}
        return self.record.get("command") or next((known[name] for name in known if name in self.config), "train")

    def file(self, name):
        """Returns the path of a file in it, or None where it has none."""
        path = os.path.join(self.path, name)
        return path if os.path.isfile(path) else None


def is_run(path):
    """Returns whether a path is a folder with the model and the configuration of a run."""
    return all(os.path.isfile(os.path.join(path, name)) for name in (MODEL, CONFIG))


def read_run(path):
    """Reads the folder of a run, without its model.

    Raises:
        ValueError: When a file in it is not what it should be.
    """
    import yaml

    path = os.fspath(path)
    with open(os.path.join(path, CONFIG), encoding="utf-8") as file:
        config = yaml.safe_load(file)
    if not isinstance(config, dict):
        raise ValueError(f"{os.path.join(path, CONFIG)!r} must have `name: value` on each line.")
    record = _record(os.path.join(path, RESULT))
    run = RunFolder(path, config, None, record)
    history = run.file(HISTORY)
    if history is None:
        return run
    # Of a distillation, the other phases are trainings of other models.
    return dataclasses.replace(run, history=_history(history, last=run.command == "distill"))


def _record(path):
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path!r} is not JSON: {error}") from error
    return record if isinstance(record, dict) else {}


def _history(path, *, last):
    """Returns history.csv, a line an epoch and phase, as one history with its phases."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    phases = {}
    for row in rows:
        phases.setdefault(row.get("phase") or "", []).append(row)
    if last:
        phases = dict(list(phases.items())[-1:])
    history = FineTuningHistory()
    for name, lines in phases.items():
        entries = [entry for entry in lines[0] if entry not in ("phase", "epoch")]
        values = {entry: [_number(line[entry]) for line in lines] for entry in entries}
        known = {entry: each for entry, each in values.items() if any(value == value for value in each)}
        history.add(Phase(name, len(history.epoch), len(lines), float("nan"), 0), known)
    return history if rows else None


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return float("nan")
