"""Successive halving within a time: frozen backbones first, then short trainings of the best, then long ones."""

import dataclasses
import gc
import math
import time

import keras
import numpy as np

from tf_transfer.analysis import evaluate_classifier
from tf_transfer.backbones import split_at_backbone
from tf_transfer.builders.taken import taken
from tf_transfer.choosing.builders import training_data
from tf_transfer.choosing.costs import predicted_seconds
from tf_transfer.choosing.stand_in import FeatureClassifier, on_features
from tf_transfer.choosing.trials import Trial
from tf_transfer.data import as_dataset, folds

SHORT = 1 / 3
# A guess is only a guess until something was measured.
_CAUTION = 1.5
# Of what is left, for short trainings at first.
_SHARE_OF_SHORT = 0.5
_MOST_REPEATS = 5
LOWER_IS_BETTER = ("log_loss",)


class Search:
    """Trains candidates on the same parts of the data, the promising ones longer, and keeps count of the time.

    Args:
        examples: `Examples`.
        candidates: List of `Candidate`s.
        speeds: Dict of names of backbones to examples a second of a forward pass.
        book: `Book`.
        seconds: Float, the time for all, the final training included.
        num_folds: Integer.
        metric: String, "accuracy", "macro_f1" or "log_loss".
        cache: `tft.FeatureCache`.
        batch_size: Integer.
        seed: Integer, of the parts and of the trainings: the same for all candidates on one part.
        say: Function of a line of text.
        clock: Function that returns seconds. Defaults to the machine's.
    """

    def __init__(
        self,
        examples,
        candidates,
        speeds,
        book,
        *,
        seconds,
        num_folds,
        metric,
        cache,
        batch_size,
        seed,
        say,
        clock=time.perf_counter,
    ):
        self.examples, self.candidates, self.speeds, self.book = examples, candidates, speeds, book
        self.num_folds, self.metric, self.cache, self.batch_size, self.seed = num_folds, metric, cache, batch_size, seed
        # What a search that was stopped had spent is spent.
        self._say, self._clock, self._start, self._seconds = say, clock, clock() - book.seconds, seconds
        self.trials, self._tried, self._slowness, self._features = {}, {}, _CAUTION, {}
        # Builders share a backbone that is a model, and what one of them trained must not be there for the next.
        self._pristine = {
            id(each.builder.backbone): (each.builder.backbone, each.builder.backbone.get_weights())
            for each in candidates
            if isinstance(getattr(each.builder, "backbone", None), keras.Model)
        }

    @property
    def spent(self):
        """Float, seconds since the search began."""
        return self._clock() - self._start

    def run(self):
        """Tries the candidates, rung by rung; `trials` has what was found."""
        frozen = [each for each in self.candidates if each.is_frozen]
        self._rung("frozen", frozen, self._seconds)
        tuned = [each for each in self.candidates if not each.is_frozen and each.backbone in self._best_backbones()]
        # Some of the time is kept for long trainings; what of it they don't need is there for those left out.
        for share in (_SHARE_OF_SHORT, 1.0):
            tried = {trial.name for trial in self.trials.values()}
            left_out = [each.shortened(SHORT) for each in self._in_order(tuned) if each.name not in tried]
            self._rung("short", left_out, self.spent + share * (self._seconds - self.spent))
            self._rung("long", self._to_go_on_with(tuned), self._seconds)
        for repeat in range(1, _MOST_REPEATS):
            finalists = self.ranked()[:2]
            if len(finalists) < 2 or not self._again(finalists, repeat):
                break

    def ranked(self):
        """Returns the finished trials, the best first; of a candidate the one that went on longest."""
        latest = {}
        for trial in self.trials.values():
            if trial.finished:
                latest[trial.name] = trial
        sign = 1 if self.metric in LOWER_IS_BETTER else -1
        return sorted(latest.values(), key=lambda each: (sign * each.score, np.mean(each.log_losses), each.seconds))

    def candidate(self, trial):
        """Returns the `Candidate` of a trial, with the epochs that it was tried with."""
        return self._tried[trial.name, trial.epochs]

    def final(self, candidate):
        """Returns the model of a candidate, trained on all examples."""
        data = training_data(self.examples, candidate.builder)
        return self._train(candidate, data, self.seed)

    def _rung(self, name, candidates, until):
        if not candidates:
            return
        self._say(f"{name}: {len(candidates)} to try, {self._left():.0f} s left")
        for candidate in candidates:
            # The very first is tried whatever it takes: a search always ends with a model.
            must = not self.trials
            expected = self._fold_seconds(candidate) * self.num_folds + self._final_seconds(candidate)
            if not must and self.spent + expected > until:
                self._say(f"  {candidate.name}: not tried, would take about {expected:.0f} s")
                continue
            trial = self._try(candidate, name, range(self.num_folds), must=must)
            self.trials[candidate.name, trial.epochs] = trial
            self._tell(trial)

    def _again(self, finalists, repeat):
        """Scores two finalists on the parts of another division, when there is time for both; returns whether."""
        chosen = [self.candidate(trial) for trial in finalists]
        expected = sum(self._fold_seconds(each) for each in chosen) * self.num_folds
        expected += max(self._final_seconds(each) for each in chosen)
        if self.spent + expected > self._seconds:
            return False
        self._say(f"again: the first two on another division, {self._left():.0f} s left")
        parts = range(repeat * self.num_folds, (repeat + 1) * self.num_folds)
        found = [self._try(each, "again", parts) for each in chosen]
        if not all(each.finished for each in found):
            return False
        for before, more in zip(finalists, found, strict=True):
            whole = dataclasses.replace(
                more,
                scores=before.scores + more.scores,
                log_losses=before.log_losses + more.log_losses,
                seconds=before.seconds + more.seconds,
            )
            self.trials[whole.name, whole.epochs] = whole
            self._tell(whole)
        return True

    def _try(self, candidate, rung, parts, *, must=False):
        epochs = candidate.phases.get("epochs", 0)
        self._tried[candidate.name, epochs] = candidate
        found, divided = [], None
        for part in parts:
            known = self.book.get(candidate.name, epochs, part)
            if known is None and not must and found and self._too_late(candidate, found, len(parts)):
                break
            if known is None:
                divided = divided or self._parts(candidate)
                known = self._score(candidate, divided, part)
                self.book.add(known, candidate.name, epochs, part)
            found.append(known)
        if epochs and found:
            guess = self._guess(candidate, share=1 - 1 / self.num_folds)
            self._slowness = max(0.3, np.mean([each[2] for each in found]) / guess)
        scores, losses, seconds = zip(*found, strict=True)
        finished = len(found) == len(parts)
        return Trial(
            candidate.name, candidate.backbone, candidate.method, rung, epochs, scores, losses, sum(seconds), finished
        )

    def _too_late(self, candidate, found, num_parts):
        """Returns whether the parts that are left, as slow as those that were done, would leave no time for the end."""
        slow = np.mean([each[2] for each in found])
        final = slow * self.num_folds / (self.num_folds - 1)
        return self.spent + slow * (num_parts - len(found)) + final > self._seconds

    def _score(self, candidate, divided, part):
        """Returns score, log loss and seconds of one part."""
        start = self._clock()
        frozen, all_parts = divided
        (train, held_out), seed = all_parts(part)
        made = on_features(candidate, train[0]) if frozen else candidate
        model = self._train(made, train, seed)
        evaluation = evaluate_classifier(model, held_out, batch_size=self.batch_size)
        del model
        gc.collect()
        return getattr(evaluation, self.metric), evaluation.log_loss, self._clock() - start

    def _parts(self, candidate):
        """Returns whether the data are features, and a function from a part's number to its data and its seed."""
        data = self._frozen_features(candidate) if candidate.is_frozen else None
        frozen = data is not None
        data = data if frozen else training_data(self.examples, candidate.builder)

        def part(number):
            repeat, fold = divmod(number, self.num_folds)
            seeds = np.random.default_rng([self.seed, repeat]).integers(0, 2**31 - 1, self.num_folds)
            found = list(folds(data, self.num_folds, seed=self.seed + repeat))
            return found[fold], int(seeds[fold])

        return frozen, part

    def _frozen_features(self, candidate):
        """Returns features of all examples, made once a backbone, with the labels."""
        if candidate.backbone not in self._features:
            self._restore()
            model = candidate.builder.build()
            encoder, _ = split_at_backbone(model)
            data = training_data(self.examples, candidate.builder)
            batches = as_dataset(data, batch_size=self.batch_size, **taken(model))
            found = self.cache.features(encoder, batches, verbose=0)
            self._features[candidate.backbone] = np.asarray(found.features), self._classes(found.labels)
        return self._features[candidate.backbone]

    @staticmethod
    def _classes(labels):
        labels = np.asarray(labels)
        return labels.argmax(-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels.ravel().astype("int64")

    def _train(self, candidate, data, seed):
        self._restore()
        # Features of features need no keeping.
        cache = False if isinstance(candidate.builder, FeatureClassifier) else self.cache
        return candidate.train(data, seed=seed, cache=cache, batch_size=self.batch_size)

    def _restore(self):
        for backbone, weights in self._pristine.values():
            backbone.set_weights(weights)

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

    def _guess(self, candidate, share=1.0):
        speed = self.speeds.get(candidate.backbone) or 1000.0
        return predicted_seconds(candidate.method, candidate.phases, share * len(self.examples.labels), speed)

    def _fold_seconds(self, candidate):
        known = self.trials.get((candidate.name, candidate.phases.get("epochs", 0)))
        if known is not None and known.finished:
            return known.seconds / len(known.scores)
        if candidate.is_frozen:
            forward = len(self.examples.labels) / (self.speeds.get(candidate.backbone) or 1000.0)
            return 2.0 + forward / self.num_folds
        return self._slowness * self._guess(candidate, 1 - 1 / self.num_folds)

    def _final_seconds(self, candidate):
        if candidate.is_frozen:
            return _CAUTION * self._guess(candidate)
        return self._fold_seconds(candidate) * self.num_folds / (self.num_folds - 1)

    def _left(self):
        return max(0.0, self._seconds - self.spent)

    def _tell(self, trial):
        shown = ", ".join(f"{score:.3f}" for score in trial.scores)
        lasting = f"{trial.seconds:.0f} s" + ("" if trial.finished else ", stopped: no time for the rest")
        epochs = f", {trial.epochs} epochs" if trial.epochs else ""
        self._say(f"  {trial.name}{epochs}: {self.metric} {trial.score:.3f} ({shown}), {lasting}")
