"""What a search for the best way found: the model, and the table of what was tried."""

import csv
import dataclasses

import keras
import numpy as np

from tf_transfer import _files
from tf_transfer.analysis import CrossValidation
from tf_transfer.builders import Builder
from tf_transfer.choosing.search import LOWER_IS_BETTER
from tf_transfer.choosing.trials import Trial
from tf_transfer.workflow.run_config import RunConfig


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AutoResult:
    """What `tft.auto` found.

    Attributes:
        model: The `keras.Model`, trained on all examples in the way that scored best.
        builder: The builder that made it.
        trials: Tuple of `tft.choosing.Trial`, in the order in which they were tried.
        ranked: Tuple of those that were finished, the best first, a candidate once, with the most epochs it had.
        config: The configuration of the best way as a run, or None where no file can hold its backbone or its method.
        metric: String, what the scores are.
        num_folds: Integer, the parts that the data were divided into.
        minutes: Float, the time that was given.
        seconds: Float, the time that it took, the final training included.
        class_names: Tuple of strings, or None.
        ranking: `tft.analysis.BackboneRanking`, or None.
        history: `tft.fine_tuning.FineTuningHistory` of the final training, or None where nothing had to be trained.
        reasons: Tuple of sentences: what there is, and why these candidates.
        baselines: Tuple of `tft.choosing.Trial` of what needs no network, on the same parts: of texts and tables.
    """

    model: keras.Model
    builder: Builder
    trials: tuple
    ranked: tuple
    config: RunConfig | None
    metric: str
    num_folds: int
    minutes: float
    seconds: float
    class_names: tuple | None = None
    ranking: object = None
    history: object = None
    reasons: tuple = ()
    baselines: tuple = ()

    def __repr__(self):
        return f"<AutoResult: {self.best.name}, {self.metric} {self.best.score:.3f} by cross-validation>"

    @property
    def best(self):
        """`tft.choosing.Trial`, the one that scored best."""
        return self.ranked[0]

    @property
    def cross_validation(self):
        """`tft.analysis.CrossValidation` of the candidates that were finished, on the parts that all of them had."""
        scores = {each.name: np.array(each.scores[: self.num_folds]) for each in self.ranked}
        return CrossValidation(scores, self.metric, self.metric not in LOWER_IS_BETTER, 1 / (self.num_folds - 1))

    def ahead(self):
        """Returns the `Difference` of the best and the runner-up on all parts that both had, or None for one alone."""
        if len(self.ranked) < 2:
            return None
        num = min(len(each.scores) for each in self.ranked[:2])
        scores = {each.name: np.array(each.scores[:num]) for each in self.ranked[:2]}
        higher = self.metric not in LOWER_IS_BETTER
        found = CrossValidation(scores, self.metric, higher, 1 / (self.num_folds - 1))
        return found.difference(*(each.name for each in self.ranked[:2]))

    @property
    def caption(self):
        """String, how much the score of the best is worth."""
        tried = len({each.name for each in self.trials})
        said = (
            f"{self.metric} by cross-validation, {self.num_folds} parts the same for all; {self.seconds:.0f} of "
            f"{60 * self.minutes:.0f} s. The best was chosen by this score out of {tried}, so it is too good by "
            "some of its luck: measure the model on examples that were not in the search."
        )
        ahead = self.ahead()
        if ahead is not None:
            chance = "which chance alone may explain" if ahead.p_value > 0.05 else "more than chance explains"
            said += (
                f" It is {ahead.mean:.3f} ({ahead.low:.3f} to {ahead.high:.3f}) ahead of the runner-up, {chance} "
                f"(p = {ahead.p_value:.2f})."
            )
        return f"{said} {self.without_networks}".rstrip()

    @property
    def without_networks(self):
        """String, how the best of the `baselines` does beside the best candidate; empty where there is none."""
        if not self.baselines:
            return ""
        lower = self.metric in LOWER_IS_BETTER
        first = (min if lower else max)(self.baselines, key=lambda each: each.score)
        said = f"Without a network it is {first.score:.3f} ({first.name}), with the best one {self.best.score:.3f}"
        if first.score >= self.best.score if lower else first.score <= self.best.score:
            return f"{said}."
        return f"{said}: the networks add nothing. Take the simpler model, or find a pretrained one or more labels."

    def table(self):
        """Returns a `rich.table.Table`: what was tried, the best first, and what there was no time to finish."""
        from rich.table import Table
        from rich.text import Text

        table = Table("tried", caption=self.caption, caption_justify="left", box=None, pad_edge=False)
        for name in ("rung", "epochs", f"{self.metric} (95% interval)", "parts", "seconds"):
            table.add_column(name, justify="left" if name == "rung" else "right")
        others = [each for each in self.trials if each not in self.ranked]
        for trial in [*self.ranked, *others, *self.baselines]:
            table.add_row(*map(Text, self._cells(trial)))
        return table

    def to_dict(self):
        """Returns plain data: the best, its configuration, and every trial with the score of each part."""
        return {
            "best": self.best.name,
            "metric": self.metric,
            "num_folds": self.num_folds,
            "minutes": self.minutes,
            "seconds": round(self.seconds, 1),
            "ahead": None if self.ahead() is None else self.ahead()._asdict(),
            "caption": self.caption,
            "reasons": list(self.reasons),
            "trials": [_plain(each) for each in self.trials],
            "baselines": [_plain(each) for each in self.baselines],
            "config": None if self.config is None else self.config.to_dict(),
        }

    def to_csv(self, path):
        """Writes one line a trial and part."""
        with _files.whole_file(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["tried", "backbone", "method", "rung", "epochs", "part", self.metric, "log_loss"])
            for each in [*self.trials, *self.baselines]:
                for part, scores in enumerate(zip(each.scores, each.log_losses, strict=True), start=1):
                    writer.writerow([each.name, each.backbone, each.method, each.rung, each.epochs, part, *scores])

    def plot(self):
        """Draws each candidate's score over the time of the search; returns a `matplotlib.figure.Figure`."""
        from tf_transfer.choosing.auto_plot import plot_trials

        return plot_trials(self)

    def _cells(self, trial: Trial):
        score = f"{trial.score:.3f}"
        if trial.finished:
            scores = {trial.name: np.array(trial.scores)}
            higher = self.metric not in LOWER_IS_BETTER
            low, high = CrossValidation(scores, self.metric, higher, 1 / (self.num_folds - 1)).interval(trial.name)
            score += f" ({low:.3f} to {high:.3f})"
        rung = trial.rung if trial.finished else f"{trial.rung}, stopped"
        return [trial.name, rung, str(trial.epochs or "-"), score, str(len(trial.scores)), f"{trial.seconds:.0f}"]


def _plain(trial):
    return dataclasses.asdict(trial) | {"score": trial.score}
