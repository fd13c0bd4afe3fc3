"""What a run says of itself, for programs: result.json, and the predictions that its figures are made of."""

import csv
import datetime
import os
import platform
import time
from importlib import metadata

import numpy as np

from tf_transfer import __version__, _files
from tf_transfer.analysis import RegressionEvaluation
from tf_transfer.analysis.model_cost import machine
from tf_transfer.data import StreamFingerprint
from tf_transfer.workflow import export_record
from tf_transfer.workflow.labelled_rows import LabelledRows

FORMAT = 1
RESULT, PREDICTIONS = "result.json", "predictions.csv"
PACKAGES = ("tensorflow", "keras", "numpy")


class RunRecord:
    """Writes result.json and predictions.csv of a run; made when the run begins.

    Args:
        command: String, the workflow, such as "train".
        config: `RunConfig` of the run.
    """

    def __init__(self, command, config):
        self.command, self.config, self.began = command, config, time.perf_counter()

    def write(self, folder, result, *, method, measured, trained_on, compared=None, not_repeatable=None):
        """Writes both files into the folder of a run.

        Args:
            folder: String, where to write.
            result: Result of the run, with `model`, `builder`, `class_names` and `evaluation`, which may be None.
            method: String, how the model was trained.
            measured: The examples of the evaluation, in its order, or None.
            trained_on: Function that returns the fingerprint of the data, as an export records it.
            compared: Dict of names to evaluations of other models on the same examples. Defaults to None.
            not_repeatable: String, why its configuration does not make the same model, and what to do instead.
                Defaults to None: it does.
        """
        figures = export_record.metrics(result.evaluation)
        others = {name: export_record.metrics(each) for name, each in (compared or {}).items() if each is not None}
        content = {
            "format": FORMAT,
            "command": self.command,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self.began, 2),
            "seed": self.config.seed,
            "backbone": _backbone(self.config, result.builder),
            "method": method,
            "main": next(iter(figures), None),
            "figures": figures,
            "compared": others,
            "not_repeatable": not_repeatable,
            "class_names": result.class_names,
            "parameters": int(result.model.count_params()),
            "data_fingerprint": trained_on(),
            "inputs": input_fingerprints(self.config),
            "directory": os.getcwd(),
            "versions": versions(),
            "machine": machine(),
        }
        _files.write_json(os.path.join(folder, RESULT), content, indent=2, ensure_ascii=False)
        if result.evaluation is not None:
            write_predictions(result.evaluation, measured, os.path.join(folder, PREDICTIONS))


def versions():
    """Returns a dict of what a run depends on to its version."""
    found = {name: metadata.version(name) for name in PACKAGES}
    return {"tf-transfer": __version__, "python": platform.python_version(), **found}


def input_fingerprints(config):
    """Returns a dict of the names in a `RunConfig` of files and folders to read to texts that tell their contents."""
    return {name: path_fingerprint(path) for name, path in config.input_paths().items()}


def path_fingerprint(path):
    """Returns a text that tells a file, or the files of a folder and their names, without opening them as examples.

    Example:

    >>> import os
    >>> os.makedirs("pages", exist_ok=True)
    >>> for name in ("1.txt", "2.txt"):
    ...     with open(f"pages/{name}", "w") as file:
    ...         _ = file.write(name)
    >>> path_fingerprint("pages").endswith("-2")
    True
    """
    fingerprint = StreamFingerprint()
    for file in _files_below(path):
        name = os.path.relpath(file, path) if os.path.isdir(path) else ""
        fingerprint.update((_contents(file), np.array([name], dtype=object)))
    return fingerprint.hexdigest()


def write_predictions(evaluation, examples, path):
    """Writes what an evaluation found as CSV, a line an example: which, its label, and what was predicted.

    "digest" tells the example by its content, so that other runs find the same one.
    """
    if isinstance(evaluation, RegressionEvaluation):
        num = evaluation.targets.shape[1]
        places = [""] if num == 1 else [f"_{place + 1}" for place in range(num)]
        header = [f"{name}{place}" for name in ("target", "prediction") for place in places]
        found = np.concatenate([evaluation.targets, evaluation.predictions], axis=1).tolist()
    else:
        header, names = ["label", "predicted", "score"], evaluation.class_names
        best = evaluation.scores.max(axis=1).tolist()
        pairs = zip(evaluation.labels, evaluation.predictions, best, strict=True)
        found = [[names[label], names[predicted], f"{score:.6g}"] for label, predicted, score in pairs]
    with _files.whole_file(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["example", "digest", *header])
        rows = zip(_examples(examples), found, strict=True)
        writer.writerows([*example, *values] for example, values in rows)


def _examples(examples):
    """Yields the name and the digest of each example, in their order."""
    if isinstance(examples, LabelledRows):
        for place in range(len(examples)):
            row = slice(place, place + 1)
            x = examples.x
            yield str(place + 1), _digest({name: x[name][row] for name in x} if isinstance(x, dict) else x[row])
        return
    for file in examples.files:
        yield os.path.join(*os.path.normpath(file).split(os.sep)[-2:]), _digest(_contents(file))


def _digest(example):
    fingerprint = StreamFingerprint()
    fingerprint.update(example)
    return fingerprint.hexdigest().partition("-")[0]


def _contents(path):
    with open(path, "rb") as file:
        return np.array([file.read()], dtype=object)


def _files_below(path):
    if not os.path.isdir(path):
        return [path]
    found = []
    for parent, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _backbone(config, builder):
    name = getattr(builder, "backbone", getattr(config, "student", None))
    return None if name is None else str(name)
