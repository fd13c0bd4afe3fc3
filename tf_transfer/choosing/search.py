"""Successive halving within a time: frozen backbones first, then short trainings of the best, then long ones."""

import dataclasses
import math
import time

import numpy as np

from tf_transfer.choosing.trials import Trial
from tf_transfer.training import NaNLoss

SHORT = 1 / 3
LOWER_IS_BETTER = ("log_loss",)
# Of what is left, for short trainings at first.
_SHARE_OF_SHORT = 0.5
_MOST_DIVISIONS = 5


class Search:
    """Has candidates trained on the same parts of the data, the promising ones longer, and keeps count of the time.

    Args:
        candidates: List of `Candidate`s.
        trainer: `Trainer`.
        forecast: `Forecast`.
        book: `Book`.
        seconds: Float, the time for all, the final training included.
        num_folds: Integer.
        metric: String, "accuracy", "macro_f1" or "log_loss".
        say: Function of a line of text.
        clock: Function that returns seconds. Defaults to the machine's.
    """

    def __init__(
        self, candidates, trainer, forecast, book, *, seconds, num_folds, metric, say, clock=time.perf_counter
    ):
        self.candidates, self.trainer, self.forecast, self.book = candidates, trainer, forecast, book
        self.num_folds, self.metric, self._seconds = num_folds, metric, seconds
        # What a search that was stopped had spent is spent.
        self._say, self._clock, self._start = say, clock, clock() - book.seconds
        self.trials, self._tried = {}, {}

    @property
    def spent(self):
        """Float, seconds since the search began."""
        return self._clock() - self._start

    def run(self):
        """Tries the candidates, rung by rung; `trials` has what was found.

        Raises:
            RuntimeError: When no candidate could be trained.
        """
        frozen = [each for each in self.candidates if each.is_frozen]
        self._rung("frozen", frozen, self._seconds)
        tuned = [each for each in self.candidates if not each.is_frozen and each.backbone in self._best_backbones()]
        # Some of the time is kept for long trainings; what of it they don't need is there for those left out.
        for share in (_SHARE_OF_SHORT, 1.0):
            tried = {trial.name for trial in self.trials.values()}
            left_out = [each for each in self._in_order(tuned) if each.name not in tried]
            until = self.spent + share * (self._seconds - self.spent)
            pairs = [(each, each.shortened(SHORT)) for each in left_out]
            self._rung("short", [short for each, short in pairs if short is not each], until)
            self._rung("long", [each for each, short in pairs if short is each], until)
            self._rung("long", self._to_go_on_with(tuned), self._seconds)
            if self.spent >= self._seconds:
                break
        if not self.ranked():
            raise RuntimeError("No candidate could be trained: the loss of each was not a number. Look at the data.")
        finalists = [self.candidate(trial) for trial in self.ranked()[:2]]
        for division in range(1, _MOST_DIVISIONS):
            if len(finalists) < 2 or not self._again(finalists, division):
                break

    def ranked(self):
        """Returns the finished trials, the best first; of a candidate the one that went on longest.

        The finalists, which were the best on the parts that all had, stay in front whatever they score on others.
        """
        latest = {trial.name: trial for trial in self.trials.values() if trial.finished}
        sign = 1 if self.metric in LOWER_IS_BETTER else -1

        def order(trial):
            return trial.rung != "again", sign * trial.score, np.mean(trial.log_losses), trial.seconds

        return sorted(latest.values(), key=order)

    def candidate(self, trial):
        """Returns the `Candidate` of a trial, with the epochs that it was tried with."""
        return self._tried[trial.name, trial.epochs]

    def _rung(self, name, candidates, until):
        if candidates:
            self._say(f"{name}: {len(candidates)} to try, {max(0.0, self._seconds - self.spent):.0f} s left")
        for candidate in candidates:
            # The first is tried whatever it takes: a search always ends with a model.
            must = not self.ranked()
            expected = self.forecast.part(candidate) * self.num_folds + self.forecast.whole(candidate)
            if not must and self.spent + expected > until:
                self._say(f"  {candidate.name}: not tried, would take about {expected:.0f} s")
                continue
            trial = self._try(candidate, name, range(self.num_folds), must=must)
            self.trials[trial.name, trial.epochs] = trial
            self._tell(trial)

    def _again(self, finalists, division):
        """Scores two finalists on the parts of another division, when there is time for both; returns whether."""
        expected = sum(self.forecast.part(each) for each in finalists) * self.num_folds
        expected += max(self.forecast.whole(each) for each in finalists)
        if self.spent + expected > self._seconds:
            return False
        self._say(f"again: the first two on another division, {self._seconds - self.spent:.0f} s left")
        parts = range(division * self.num_folds, (division + 1) * self.num_folds)
        found = [self._try(each, "again", parts) for each in finalists]
        if not all(each.finished for each in found):
            return False
        for more in found:
            before = self.trials[more.name, more.epochs]
            sums = {name: getattr(before, name) + getattr(more, name) for name in ("scores", "log_losses", "seconds")}
            self.trials[more.name, more.epochs] = dataclasses.replace(more, **sums)
            self._tell(self.trials[more.name, more.epochs])
        return True

    def _try(self, candidate, rung, parts, *, must=False):
        epochs = candidate.phases.get("epochs", 0)
        self._tried[candidate.name, epochs] = candidate
        found, broken = [], False
        for part in parts:
            if found and not must and self._too_late(candidate, len(parts) - len(found)):
                break
            try:
                found.append(self._scored(candidate, epochs, part))
            except NaNLoss as error:
                self._say(f"  {candidate.name}: {error}")
                broken = True
                break
            self.forecast.learn(candidate, float(np.mean([each[2] for each in found])))
        scores, losses, seconds = zip(*found, strict=True) if found else ((), (), ())
        finished = len(found) == len(parts) and not broken
        about = (candidate.name, candidate.backbone, candidate.method, rung, epochs)
        return Trial(*about, scores, losses, float(sum(seconds)), finished)

    def _scored(self, candidate, epochs, part):
        """Returns score, log loss and seconds of a part, as they are in the book or measured now."""
        known = self.book.get(candidate.name, epochs, part)
        if known is None:
            start = self._clock()
            scores = self.trainer.score(candidate, part)
            known = (*scores, self._clock() - start)
            self.book.add(known, candidate.name, epochs, part)
        return known

    def _too_late(self, candidate, num_parts):
        """Returns whether so many parts more would leave no time for the end."""
        expected = self.forecast.part(candidate) * num_parts + self.forecast.whole(candidate)
        return self.spent + expected > self._seconds

    def _best_backbones(self):
        """Returns the names of the better half of the backbones, by what they reached frozen; all where none was."""
        names = list(dict.fromkeys(each.backbone for each in self.candidates))
        found = list(dict.fromkeys(trial.backbone for trial in self.ranked()))
        return found[: math.ceil(len(found) / 2)] if found else names

    def _in_order(self, candidates):
        """Returns candidates, those on the best backbone first."""
        found = list(dict.fromkeys(trial.backbone for trial in self.ranked()))
        return sorted(candidates, key=lambda each: found.index(each.backbone) if each.backbone in found else 0)

    def _to_go_on_with(self, tuned):
        """Returns those of the better half of the trained candidates that trained short, whole, the best first."""
        order = [trial for trial in self.ranked() if trial.rung in ("short", "long")]
        kept = [trial.name for trial in order[: math.ceil(len(order) / 2)] if trial.rung == "short"]
        return [each for name in kept for each in tuned if each.name == name]

    def _tell(self, trial):
        shown = ", ".join(f"{score:.3f}" for score in trial.scores)
        lasting = f"{trial.seconds:.0f} s" + ("" if trial.finished else ", not finished")
        epochs = f", {trial.epochs} epochs" if trial.epochs else ""
        self._say(f"  {trial.name}{epochs}: {self.metric} {trial.score:.3f} ({shown}), {lasting}")
