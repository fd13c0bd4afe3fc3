"""Runs as their folders tell of them: one, or all below a folder."""

import csv
import dataclasses
import functools
import json
import os
import warnings

from tf_transfer.workflow.output_folder import CONFIG, HISTORY, MODEL
from tf_transfer.workflow.run_config import read_fields
from tf_transfer.workflow.run_record import FORMAT, PREDICTIONS, RESULT


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What a run left in its folder.

    Args:
        path: String, the folder.
        result: Dict, the content of result.json, see docs/command_line.md.
        settings: Dict of the names and values of config.yaml.

    Attributes:
        name: String, the name of the folder.
        command: String, such as "train".
        created: String, when it ended (UTC, ISO 8601).
        seed: Integer.
        method: String, how the model was trained.
        backbone: String, or None.
        main: String, the name of the figure that counts, or None where nothing was measured.
        figures: Dict of names to numbers.
        interval: Pair of floats, the 95% interval of the main figure, or None.
        model_path: String, the `.keras` file.
        history: Dict of "phase", "epoch" and the entries of the training to lists of one value an epoch; None where a
            phase has no such entry. Empty for a search.
        predictions: List of dicts of strings, the lines of predictions.csv. Empty where nothing was measured.
    """

    path: str
    result: dict
    settings: dict

    name = property(lambda self: os.path.basename(os.path.abspath(self.path)))
    command = property(lambda self: self.result["command"])
    created = property(lambda self: self.result["created"])
    seed = property(lambda self: self.result["seed"])
    method = property(lambda self: self.result["method"])
    backbone = property(lambda self: self.result["backbone"])
    main = property(lambda self: self.result["main"])
    figures = property(lambda self: self.result["figures"])
    model_path = property(lambda self: os.path.join(self.path, MODEL))

    def __repr__(self):
        return f"<Run {self.path}: {self.command}, {self.method}, {self.describe()}>"

    @property
    def interval(self):
        ends = [self.figures.get(f"{self.main}_95_{end}") for end in ("low", "high")]
        return None if None in ends else tuple(ends)

    @functools.cached_property
    def history(self):
        rows = _read_csv(os.path.join(self.path, HISTORY))
        return {name: [_value(name, row[name]) for row in rows] for name in (rows[0] if rows else ())}

    @functools.cached_property
    def predictions(self):
        return _read_csv(os.path.join(self.path, PREDICTIONS))

    def describe(self):
        """Returns the main figure in words, such as "accuracy 0.900 (0.850 to 0.934)"."""
        if self.main is None:
            return "not measured"
        low_to_high = "" if self.interval is None else " ({} to {})".format(*map(written, self.interval))
        return f"{self.main} {written(self.figures[self.main])}{low_to_high}"

    def to_dict(self):
        """Returns plain data: "name", "path", the names of result.json, and "settings"."""
        return {"name": self.name, "path": self.path, **self.result, "settings": self.settings}


def read_run(path):
    """Reads the folder that a run left with `output`.

    Args:
        path: String or path.

    Returns:
        A `Run`.

    Raises:
        FileNotFoundError: When there is no such folder.
        ValueError: When it is not that of a run, or of a newer version.

    Example:

    >>> read_run("no_such_run")
    Traceback (most recent call last):
    FileNotFoundError: There is no folder 'no_such_run'.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        raise FileNotFoundError(f"There is no folder {path!r}.")
    if not is_run(path):
        raise ValueError(
            f"{path!r} is not the folder of a run: it has no {RESULT} and {CONFIG}, which --output of train, auto, "
            "adapt, distill and tune writes."
        )
    result = _read_result(os.path.join(path, RESULT))
    return Run(path, result, read_fields(os.path.join(path, CONFIG)))


def list_runs(folder):
    """Reads all runs in a folder and below, the oldest first; what can't be read is left out with a warning.

    Args:
        folder: String or path.

    Returns:
        List of `Run`.

    Raises:
        FileNotFoundError: When there is no such folder.

    Example:

    >>> import os
    >>> os.makedirs("experiments", exist_ok=True)
    >>> list_runs("experiments")
    []
    """
    folder, runs = os.fspath(folder), []
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no folder {folder!r}.")
    for parent, folders, _ in os.walk(folder):
        # A search has the folders of its trials in it.
        folders[:] = [] if is_run(parent) else sorted(name for name in folders if not name.startswith("."))
        if is_run(parent):
            try:
                runs.append(read_run(os.path.normpath(parent)))
            except (ValueError, OSError) as error:
                warnings.warn(f"Left out a run: {error}", stacklevel=2)
    return sorted(runs, key=lambda run: run.created)


def is_run(path):
    """Returns whether a folder looks like that of a run."""
    return all(os.path.isfile(os.path.join(path, name)) for name in (RESULT, CONFIG))


def as_run(run):
    """Returns a `Run` from one, or from its path."""
    return run if isinstance(run, Run) else read_run(run)


def written(value):
    """Returns a figure as short text: shares with three decimals, others with four digits."""
    return f"{value:.3f}" if abs(value) <= 1 else f"{value:.4g}"


def _read_result(path):
    with open(path, encoding="utf-8") as file:
        try:
            result = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path!r} is not a JSON file: {error}") from error
    if not isinstance(result, dict) or not {"format", "command", "created", "figures"} <= result.keys():
        raise ValueError(f"{path!r} says nothing of a run. Expected the names of docs/command_line.md.")
    if result["format"] > FORMAT:
        raise ValueError(
            f"{path!r} has format {result['format']}, and this version reads up to {FORMAT}: update tf-transfer."
        )
    return result


def _read_csv(path):
    if not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _value(name, text):
    if name == "phase":
        return text
    return (int if name == "epoch" else float)(text) if text else None
