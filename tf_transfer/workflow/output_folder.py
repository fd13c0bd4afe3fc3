"""The folder that a run leaves, with the history of the training as lines and as curves."""

import csv
import dataclasses
import os

from tf_transfer import _files
from tf_transfer.layers import save_model

DPI = 144
MODEL, CONFIG, HISTORY = "model.keras", "config.yaml", "history.csv"


def write_run(config, result, history, record, *, more=None, **said):
    """Writes the folder of a run, whole or not at all, and returns its path.

    Args:
        config: `RunConfig` with `output`.
        result: Result of the run, with `model`, `class_names` and `evaluation`.
        history: Dict that `joined` returns.
        record: `RunRecord` of the run.
        more: Function of the folder that writes what this kind of run has beside that. Defaults to none.
        **said: What `RunRecord.write` takes.
    """
    with _files.whole_folder(config.output) as draft:
        write_model_and_config(config, result, draft)
        write_history(history, os.path.join(draft, HISTORY))
        if more is not None:
            more(draft)
        record.write(draft, result, **said)
    return os.fspath(config.output)


def write_model_and_config(config, result, folder):
    """Writes model.keras and config.yaml into the folder of a run."""
    save_model(result.model, os.path.join(folder, MODEL), result.class_names)
    write_config(config, result.class_names, os.path.join(folder, CONFIG))


def check_output(path):
    """Raises when a run could not make the folder `path` for its results; None is none."""
    if path is None:
        return
    path = os.path.abspath(path)
    if os.path.exists(path) and not (os.path.isdir(path) and not os.listdir(path)):
        raise FileExistsError(
            f"`output` must be a new folder, but {path!r} is there already. Name another, or move it."
        )
    _check_parent(path, "output", "to make {!r} in")


def check_file(path, name):
    """Raises when the file `path`, given as `name`, could not be written."""
    path = os.path.abspath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"`{name}` must be a file, but {path!r} is a folder.")
    _check_parent(path, name, "to write {!r} to")


def _check_parent(path, name, purpose):
    folder, last = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"`{name}`: there is no folder {folder!r} {purpose.format(last)}.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"`{name}`: cannot write in {folder!r}: no permission.")


def write_config(config, class_names, path):
    """Writes a `RunConfig` as YAML, with the classes in the order of the scores of the model beside it."""
    if class_names is not None:
        config = dataclasses.replace(config, builder={**config.builder, "class_names": list(class_names)})
    config.to_yaml(path)


def joined(phases):
    """Returns one history of several: a dict of lists, one value an epoch, None where a phase has no such entry.

    Args:
        phases: List of pairs (name, history), a history being a dict of lists of equal length.
    """
    names = list(dict.fromkeys(name for _, history in phases for name in history))
    rows = [
        {"phase": phase, "epoch": epoch + 1, **{name: values[epoch] for name, values in history.items()}}
        for phase, history in phases
        for epoch in range(len(next(iter(history.values()), [])))
    ]
    return {name: [row.get(name) for row in rows] for name in ["phase", "epoch", *names]}


def phases_of(history):
    """Returns a `FineTuningHistory` as `joined` takes it, a list of pairs (name, history of that phase)."""
    phases = []
    for phase in history.phases:
        epochs = slice(phase.first_epoch, phase.first_epoch + phase.num_epochs)
        phases.append((phase.name, {name: values[epochs] for name, values in history.history.items()}))
    return phases


def write_history(history, path):
    """Writes a joined history as CSV, a line an epoch, without a word where there is no value."""
    history = {name: [None if value != value else value for value in values] for name, values in history.items()}
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(history)
        writer.writerows(zip(*history.values()))


def curves(history, *, apart=False):
    """Draws each entry of a joined history over the epochs and returns the `matplotlib` figure.

    Args:
        history: Dict that `joined` returns.
        apart: Boolean, whether the phases are trainings of different models, each with a line of its own from epoch 1,
            instead of one that goes on. Defaults to False.
    """
    from matplotlib.figure import Figure

    names = [name for name in history if name not in ("phase", "epoch")]
    phases = dict.fromkeys(history["phase"]) if apart else [None]
    figure = Figure(figsize=(8.0, 2.0 * -(-len(names) // 3)), layout="constrained")
    grid = figure.subplots(-(-len(names) // 3), 3, squeeze=False).ravel()
    for axes, name in zip(grid, names):
        longest = 1
        for phase, color in zip(phases, ("#2f6db3", "#d97b29")):
            values = [value for value, of in zip(history[name], history["phase"]) if phase in (None, of)]
            known = [float("nan") if value is None else value for value in values]
            axes.plot(range(1, len(values) + 1), known, color=color, label=phase)
            longest = max(longest, len(values))
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.set_xlim(0.5, longest + 0.5)
    if len(phases) > 1:
        grid[0].legend(fontsize=7)
    for axes in grid[len(names) :]:
        axes.axis("off")
    return figure
