"""Runs side by side: which settings differ, and whether the figures differ by more than chance."""

import dataclasses

import numpy as np

from tf_transfer.analysis import Difference
from tf_transfer.analysis.differences import paired_accuracies, paired_errors
from tf_transfer.workflow.run_settings import differing
from tf_transfer.workflow.runs import Run, as_run, written

_CURVES = ("loss", "val_loss", "accuracy", "val_accuracy")
_MOST_CURVES = 6


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RunComparison:
    """Runs side by side, the first of which the others are held against.

    Args:
        runs: Tuple of `tft.workflow.Run`, at least two.

    Attributes:
        settings: Dict of the names of settings that differ to the list of their values, one a run; None for a name
            that a run does not have.
        differences: List of one a run: None for the first; for another a `tft.analysis.Difference` of its main figure
            from that of the first, with its uncertainty, where both were measured on the same examples, else None.
    """

    runs: tuple[Run, ...]

    def __repr__(self):
        return f"<RunComparison of {', '.join(run.name for run in self.runs)}>"

    @property
    def settings(self):
        return differing(self.runs)

    @property
    def differences(self):
        return [None, *(difference(run, self.runs[0]) for run in self.runs[1:])]

    @property
    def names(self):
        """List of strings that tell the runs apart: the names of their folders, or their paths."""
        names = [run.name for run in self.runs]
        return names if len(set(names)) == len(names) else [run.path for run in self.runs]

    def figures_table(self):
        """Returns a `rich.table.Table` with a row a run."""
        figures = list(dict.fromkeys(name for run in self.runs for name in run.figures if "_95_" not in name))
        table = _table("run", *figures, f"against {self.names[0]} (95% interval)")
        for name, run, found in zip(self.names, self.runs, self.differences, strict=True):
            cells = [_figure(run, figure) for figure in figures]
            table.add_row(*_texts(name, *cells, "" if run is self.runs[0] else _in_words(run, found)))
        return table

    def settings_table(self):
        """Returns a `rich.table.Table` with a row a setting that differs."""
        table = _table("setting", *self.names)
        for name, values in self.settings.items():
            table.add_row(*_texts(name, *("" if value is None else str(value) for value in values)))
        return table

    def to_dict(self):
        """Returns plain data: "runs", "settings" and "differences"."""
        differences = [None if found is None else found._asdict() for found in self.differences]
        return {"runs": [run.to_dict() for run in self.runs], "settings": self.settings, "differences": differences}

    def plot(self):
        """Draws the learning curves, a line a run, and returns the `matplotlib` figure.

        Raises:
            ValueError: When none of the runs has a history.
        """
        from matplotlib.figure import Figure

        entries = self._entries()
        rows = -(-len(entries) // 2)
        figure = Figure(figsize=(9.0 if len(entries) > 1 else 5.0, 3.2 * rows), layout="constrained")
        grid = figure.subplots(rows, min(2, len(entries)), squeeze=False).ravel()
        for axes, entry in zip(grid, entries):
            for name, run in zip(self.names, self.runs, strict=True):
                values = [float("nan") if value is None else value for value in run.history.get(entry, ())]
                # Without a line in one of the plots a run keeps its color in the others.
                axes.plot(range(1, len(values) + 1), values, label=name, marker="." if len(values) < 25 else "")
            axes.set(title=entry, xlabel="epoch")
        for axes in grid[len(entries) :]:
            axes.axis("off")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
        return figure

    def _entries(self):
        """Returns the names of the entries to draw: those that most trainings have, else the first ones."""
        found = dict.fromkeys(name for run in self.runs for name in run.history if name not in ("phase", "epoch"))
        if not found:
            raise ValueError("None of the runs has a history of epochs to draw: a search has its trials in trials.csv.")
        return [name for name in _CURVES if name in found] or list(found)[:_MOST_CURVES]


def compare_runs(runs):
    """Puts runs side by side: settings that differ, figures, and how far they are apart on the same examples.

    Args:
        runs: Sequence of at least two `tft.workflow.Run`, or of their folders. The others are held against the first.

    Returns:
        A `RunComparison`.

    Raises:
        ValueError: For fewer than two runs, or folders of something else.

    Example:

    >>> compare_runs(["only_one"])
    Traceback (most recent call last):
    ValueError: `runs` must be two or more. Received: 1.
    """
    if isinstance(runs, str) or len(runs) < 2:
        raise ValueError(f"`runs` must be two or more. Received: {1 if isinstance(runs, str) else len(runs)}.")
    return RunComparison(tuple(map(as_run, runs)))


def difference(run, first):
    """Returns how far the main figure of a run is above that of another, a `Difference`.

    None where they were not measured on the same examples, which are told by their content and label.
    """
    pairs = _paired(run, first)
    if pairs is None:
        return None
    if run.main == "accuracy":
        return paired_accuracies(*(np.array([row["label"] == row["predicted"] for row in rows]) for rows in pairs))
    ahead = paired_errors(*map(_errors, pairs))
    # An error that is smaller is ahead, but its figure is below.
    return Difference(-ahead.mean, -ahead.high, -ahead.low, ahead.p_value)


def _paired(run, first):
    """Returns the predictions of both runs in one order of the examples, or None."""
    if run.main is None or run.main != first.main:
        return None
    sorted_rows = [sorted(each.predictions, key=_example) for each in (run, first)]
    same = [_example(row) for row in sorted_rows[0]] == [_example(row) for row in sorted_rows[1]]
    return sorted_rows if same and sorted_rows[0] else None


def _example(row):
    targets = [value for name, value in row.items() if name == "label" or name.startswith("target")]
    return [row["digest"], *targets]


def _errors(rows):
    targets, predictions = (
        np.array([[float(row[name]) for name in row if name.startswith(kind)] for row in rows])
        for kind in ("target", "prediction")
    )
    return np.abs(targets - predictions).mean(axis=1)


def _figure(run, name):
    if name not in run.figures:
        return ""
    value = run.figures[name]
    text = str(int(value)) if name == "num_examples" else written(value)
    return f"{text} ({written(run.interval[0])} to {written(run.interval[1])})" if _has(run, name) else text


def _has(run, name):
    return name == run.main and run.interval is not None


def _in_words(run, found):
    if found is None:
        return "not measured" if run.main is None else "other examples"
    return f"{found.mean:+.3g} ({found.low:+.3g} to {found.high:+.3g}), p {found.p_value:.2g}"


def _table(first, *others):
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in _texts(*others):
        table.add_column(name, overflow="fold")
    return table


def _texts(*cells):
    from rich.text import Text

    # As text, so that brackets in a name are not taken for markup.
    return [Text(cell, overflow="fold") for cell in cells]
