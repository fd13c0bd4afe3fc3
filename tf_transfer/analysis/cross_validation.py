"""Methods side by side on the same parts of the data, and whether their difference is more than chance."""

import csv
import dataclasses

import keras
import numpy as np

from tf_transfer import _checks, _files
from tf_transfer.analysis.differences import Difference
from tf_transfer.analysis.evaluation import evaluate_classifier, evaluate_regressor
from tf_transfer.data import folds

_LIMITS = {"accuracy": (0.0, 1.0), "macro_f1": (0.0, 1.0), "r2": (-np.inf, 1.0)}
_METRICS = {
    "accuracy": (evaluate_classifier, True),
    "macro_f1": (evaluate_classifier, True),
    "log_loss": (evaluate_classifier, False),
    "mae": (evaluate_regressor, False),
    "rmse": (evaluate_regressor, False),
    "r2": (evaluate_regressor, True),
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """Scores of methods on the same parts of the data, as `tft.analysis.cross_validate` finds them.

    How far one is ahead of another, and whether that may be chance, a `Difference` says.

    Args:
        scores: Dict of names to float arrays of shape `(num_parts,)`, in the same order of parts.
        metric: String, what the scores are.
        higher_is_better: Boolean.
        held_out_ratio: Float, examples held out over examples trained on. The parts share most of what they train on,
            so their scores are not independent; intervals and tests are corrected for that.

    Example:

    >>> scores = {"plain": np.array([0.70, 0.72, 0.71, 0.69, 0.73]), "tuned": np.array([0.80, 0.83, 0.80, 0.79, 0.82])}
    >>> found = tft.analysis.CrossValidation(scores, "accuracy", True, 0.25)
    >>> found.best, round(found.difference("tuned", "plain").mean, 3), found.difference("tuned", "plain").p_value < 0.01
    ('tuned', 0.098, True)

    Reference:
        Nadeau and Bengio, 2003, https://doi.org/10.1023/A:1024068626366
    """

    scores: dict
    metric: str
    higher_is_better: bool
    held_out_ratio: float

    def __repr__(self):
        shown = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in self.scores.items())
        return f"<CrossValidation of {self.metric}: {shown}>"

    @property
    def best(self):
        """String, the name of the method with the best mean."""
        choose = max if self.higher_is_better else min
        return choose(self.scores, key=lambda name: self.scores[name].mean())

    def interval(self, name, confidence=0.95):
        """Returns (low, high), the interval of a method's mean score on data of this kind."""
        values = self.scores[_checks.one_of(name, "name", list(self.scores))]
        low, high = self._interval(values, confidence)
        least, most = _LIMITS.get(self.metric, (0.0, np.inf))
        return max(low, least), min(high, most)

    def difference(self, name, other):
        """Returns the `Difference` of two methods, from their scores on the same parts.

        Args:
            name: String, a method.
            other: String, the one that it is compared with.
        """
        from scipy.stats import t

        both = [self.scores[_checks.one_of(each, "name", list(self.scores))] for each in (name, other)]
        values = (both[0] - both[1]) * (1 if self.higher_is_better else -1)
        error = self._error(values)
        if error == 0:
            p_value = 1.0 if values.mean() == 0 else 0.0
        else:
            p_value = float(2 * t.sf(abs(values.mean()) / error, len(values) - 1))
        return Difference(float(values.mean()), *self._interval(values, 0.95), p_value)

    def table(self):
        """Returns a `rich.table.Table`: each method, and how far it is behind the best."""
        from rich.table import Table
        from rich.text import Text

        caption = f"{len(self.scores[self.best])} parts, the same for all; p of a difference this large by chance."
        table = Table("method", caption=caption, caption_justify="left", box=None, pad_edge=False)
        for name in (f"{self.metric} (95% interval)", "behind the best", "p"):
            table.add_column(name, justify="right")
        order = sorted(self.scores, key=lambda name: self.scores[name].mean(), reverse=self.higher_is_better)
        for name in order:
            low, high = self.interval(name)
            cells = [name, f"{self.scores[name].mean():.3f} ({low:.3f} to {high:.3f})", "", ""]
            if name != self.best:
                behind = self.difference(self.best, name)
                cells[2:] = [f"{behind.mean:.3f} ({behind.low:.3f} to {behind.high:.3f})", f"{behind.p_value:.3f}"]
            table.add_row(*map(Text, cells))
        return table

    def to_csv(self, path):
        """Writes one line a method and part."""
        with _files.whole_file(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["method", "part", self.metric])
            for name, values in self.scores.items():
                writer.writerows([name, part, value] for part, value in enumerate(values, start=1))

    def plot(self):
        """Draws each method's scores with its interval; returns a `matplotlib.figure.Figure`."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 1.4 + 0.5 * len(self.scores)), layout="constrained")
        axes = figure.subplots()
        for row, (name, values) in enumerate(self.scores.items()):
            low, high = self.interval(name)
            axes.plot([low, high], [row, row], color="#6b8fb8", linewidth=5, alpha=0.5, solid_capstyle="round")
            axes.scatter(values, np.full(len(values), row), color="0.35", s=10, zorder=2)
            axes.scatter(values.mean(), row, color="#e0752d", s=42, zorder=3)
        axes.set_yticks(range(len(self.scores)), list(self.scores))
        axes.set(xlabel=f"{self.metric}, its mean and 95% interval", ylim=(len(self.scores) - 0.5, -0.5))
        axes.spines[["top", "right"]].set_visible(False)
        return figure

    def _error(self, values):
        # Of independent scores it would be variance / n alone.
        return float(np.sqrt(np.var(values, ddof=1) * (1 / len(values) + self.held_out_ratio)))

    def _interval(self, values, confidence):
        from scipy.stats import t

        _checks.number(confidence, "confidence", 0.0, 1.0)
        half = t.ppf((1 + confidence) / 2, len(values) - 1) * self._error(values)
        return float(values.mean() - half), float(values.mean() + half)


def cross_validate(methods, data, *, num_folds=5, num_repeats=1, metric="accuracy", seed=0, batch_size=None, verbose=1):
    """Trains each method on the same parts of the data and scores it on the rest.

    Args:
        methods: Dict of names to functions of a part of the data and a seed, which return a trained model, such as
            `lambda train, seed: fine_tuned(builder, train, seed)`. Each call must begin anew.
        data: Labelled examples: arrays `(x, y)`, an `ImageFolder` or `AudioFolder`, or a `LabelledText`.
        num_folds: Integer, as in `tft.data.folds`. Defaults to 5.
        num_repeats: Integer, as in `tft.data.folds`. Defaults to 1.
        metric: "accuracy", "macro_f1" or "log_loss" of a classifier, "mae", "rmse" or "r2" of a regressor. Defaults to
            "accuracy".
        seed: Integer, of the parts, and from which the methods' seeds are drawn: the same for all on one part.
            Defaults to 0.
        batch_size: Integer, of the evaluation. Defaults to None.
        verbose: 0 or 1, whether to show progress and the table. Defaults to 1.

    Returns:
        A `CrossValidation`.

    Raises:
        ValueError: When there is no method, or a class has fewer examples than folds.

    Example:

    >>> def method(scale):
    ...     def train(data, seed):
    ...         return keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(scale), keras.layers.Softmax()])
    ...     return train
    >>> x, y = np.eye(2)[np.arange(20) % 2], np.arange(20) % 2
    >>> tft.analysis.cross_validate({"right": method(1.0), "wrong": method(-1.0)}, (x, y), verbose=0)
    <CrossValidation of accuracy: right 1.000, wrong 0.000>
    """
    if not isinstance(methods, dict) or not methods or not all(callable(each) for each in methods.values()):
        raise ValueError(f"`methods` must be a dict of names to functions of (train, seed). Received: {methods!r}.")
    evaluate, higher_is_better = _METRICS[_checks.one_of(metric, "metric", list(_METRICS))]
    parts = list(folds(data, num_folds, num_repeats=num_repeats, seed=seed))
    seeds = np.random.default_rng(seed).integers(0, 2**31 - 1, len(parts))
    progress = keras.utils.Progbar(len(parts) * len(methods), verbose=verbose, unit_name="training")
    scores = {name: [] for name in methods}
    for (train, held_out), own_seed in zip(parts, seeds, strict=True):
        for name, method in methods.items():
            evaluation = evaluate(method(train, int(own_seed)), held_out, batch_size=batch_size)
            scores[name].append(float(getattr(evaluation, metric)))
            progress.add(1)
    scores = {name: np.array(values) for name, values in scores.items()}
    found = CrossValidation(scores, metric, higher_is_better, 1 / (num_folds - 1))
    if verbose:
        from rich import print as rich_print

        rich_print(found.table())
    return found
