"""A recorded run, run again: do the figures come out as they were?"""

import contextlib
import dataclasses
import os
import warnings

from tf_transfer.workflow.output_folder import check_output
from tf_transfer.workflow.run_comparison import RunComparison
from tf_transfer.workflow.run_record import input_fingerprints, versions
from tf_transfer.workflow.run_settings import WORKFLOWS, config_class
from tf_transfer.workflow.runs import Run, as_run, read_run, written

# Figures are sums in floating point, whose order may be another on another day.
TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Reproduction:
    """A recorded run beside the same run again.

    Args:
        recorded: `tft.workflow.Run`.
        repeated: `tft.workflow.Run`, the new one.
        changed: Dict of "inputs" and "versions" to the list of names of what has changed between the two.

    Attributes:
        agreement: "exactly" where all figures are equal (to 1e-6), "within chance" where the 95% interval of the
            difference of the main figures on the same examples holds 0, "no" else, or "unknown" where nothing was
            measured.
    """

    recorded: Run
    repeated: Run
    changed: dict

    def __repr__(self):
        return f"<Reproduction of {self.recorded.path}: {self.conclusion}>"

    @property
    def agrees(self):
        """Boolean, whether the figures agree, exactly or within chance."""
        return self.agreement in ("exactly", "within chance")

    @property
    def agreement(self):
        pairs = self.figures.values()
        if self.recorded.main is None:
            return "unknown"
        if all(now is not None and _equal(before, now) for before, now in pairs):
            return "exactly"
        found = self.difference
        return "within chance" if found is not None and found.low <= 0 <= found.high else "no"

    @property
    def figures(self):
        """Dict of names to pairs (as recorded, now)."""
        return {name: (value, self.repeated.figures.get(name)) for name, value in self.recorded.figures.items()}

    @property
    def difference(self):
        """`tft.analysis.Difference` of the main figures on the same examples, or None."""
        return RunComparison((self.recorded, self.repeated)).differences[1]

    @property
    def conclusion(self):
        """String, a sentence or two on whether the figures agree, and within what."""
        searched = self.recorded.command == "auto"
        return ("What the search chose was trained again, not the search. " if searched else "") + self._agreement()

    def _agreement(self):
        if self.agreement == "unknown":
            return "Nothing was measured in the recorded run, so that there is nothing to compare."
        if self.agreement == "exactly":
            return f"Reproduced: all {len(self.figures)} figures are those that were recorded, to {TOLERANCE:g}."
        before, now = self.figures[self.recorded.main]
        said = f"{self.recorded.main} was {written(before)} and is {'missing' if now is None else written(now)} now"
        found = self.difference
        if found is None:
            return f"Not reproduced: {said}, not measured on the same examples."
        apart = f"{said}, a difference of {found.mean:+.3g} (95% interval {found.low:+.3g} to {found.high:+.3g})"
        if self.agrees:
            return f"Reproduced within chance: {apart}, which holds 0. Other figures differ as much as the table says."
        return f"Not reproduced: {apart}, more than chance."

    def table(self):
        """Returns a `rich.table.Table` with a row a figure."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("figure", no_wrap=True)
        for name in ("recorded", "now", "difference"):
            table.add_column(name, justify="right")
        for name, (before, now) in self.figures.items():
            apart = ("", "") if now is None else (f"{now:.6g}", f"{now - before:+.3g}")
            table.add_row(name, f"{before:.6g}", *apart)
        return table

    def to_dict(self):
        """Returns plain data: "agreement", "conclusion", "changed", "figures", "difference", "recorded", "repeated"."""
        found = self.difference
        return {
            "agreement": self.agreement,
            "conclusion": self.conclusion,
            "changed": self.changed,
            "figures": {name: {"recorded": before, "now": now} for name, (before, now) in self.figures.items()},
            "difference": None if found is None else found._asdict(),
            "recorded": self.recorded.to_dict(),
            "repeated": self.repeated.to_dict(),
        }


def reproduce_run(run, output, *, verbose=1):
    """Runs the recorded configuration of a run again and says whether the figures agree.

    What is read (images, tables, a teacher, weights from a file) is compared with what was recorded before anything is
    trained, and so are the versions of TensorFlow, Keras, NumPy, Python and this package: a warning names what has
    changed. Nothing is exported, and an accuracy below `min_accuracy` keeps the new run as well. While it runs the
    current folder is the one that the recorded run was started in, from which its paths count.

    Of a search within a time (`tf-transfer auto`) what it has chosen is trained again: the search itself goes by the
    clock, and would try other things on another day.

    Args:
        run: `tft.workflow.Run`, or its folder.
        output: String or path, a folder that is made for the new run.
        verbose: As in `tft.workflow.train`. Defaults to 1.

    Returns:
        A `Reproduction`.

    Raises:
        ValueError: For what is no run, one that can't be repeated, or input that can't be used any more.
        OSError: For folders that can't be read or written.

    Example:

    >>> import os
    >>> for name in ("dark", "light"):
    ...     for i in range(5):
    ...         os.makedirs(f"photos/{name}", exist_ok=True)
    ...         pixels = np.full((32, 32, 3), 40 * i + (80 if name == "light" else 0))
    ...         keras.utils.save_img(f"photos/{name}/{i}.png", pixels, scale=False)
    >>> keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3)], name="tiny").save("tiny.keras")
    >>> config = tft.workflow.TrainConfig.from_dict({
    ...     "images": "photos", "backbone": "file:tiny.keras", "freeze_epochs": 2, "epochs": 0, "output": "first"})
    >>> result = tft.workflow.train(config, verbose=0)
    >>> reproduce_run("first", "second", verbose=0).agreement
    'exactly'
    """
    recorded, output = as_run(run), os.path.abspath(output)
    check_output(output)
    if recorded.result.get("not_repeatable"):
        raise ValueError(f"{recorded.path!r} can't be reproduced: {recorded.result['not_repeatable']}")
    kind, workflow = config_class(recorded), WORKFLOWS[recorded.command][0]
    changes = {"output": output, "export": None, "save_model": None, "min_accuracy": None}
    changes = {name: value for name, value in changes.items() if name in kind.fields()}
    with started_in(recorded):
        config = kind.from_dict(recorded.settings, **changes)
        changed = _changed(recorded, config)
        workflow(config, verbose=verbose)
    return Reproduction(recorded, read_run(output), changed)


def started_in(run):
    """Returns a context in which the current folder is the one that a run was started in, where it is still there."""
    directory = run.result.get("directory")
    if directory is None or not os.path.isdir(directory):
        return contextlib.nullcontext()
    return contextlib.chdir(directory)


def _changed(recorded, config):
    """Returns what has changed since a run was recorded, and warns of it."""
    before, now = recorded.result["inputs"], input_fingerprints(config)
    inputs = [name for name, text in before.items() if now.get(name) != text]
    if inputs:
        said = ", ".join(f"{name} ({recorded.settings.get(name)})" for name in inputs)
        warnings.warn(f"Not as they were when the run was recorded: {said}.", stacklevel=3)
    old, new = recorded.result["versions"], versions()
    others = [name for name in old if new.get(name) != old[name]]
    if others:
        said = ", ".join(f"{name} {old[name]} (now {new.get(name, 'none')})" for name in others)
        warnings.warn(f"The run was recorded with other versions: {said}.", stacklevel=3)
    return {"inputs": inputs, "versions": others}


def _equal(before, now):
    return abs(before - now) <= TOLERANCE * max(1.0, abs(before))
