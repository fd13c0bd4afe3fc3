"""Trains candidates on parts of the data and scores them on the rest, each from the beginning."""

import gc

import keras
import numpy as np

from tf_transfer.analysis import evaluate_classifier
from tf_transfer.backbones import split_at_backbone
from tf_transfer.builders.taken import taken
from tf_transfer.choosing.builders import training_data
from tf_transfer.choosing.stand_in import train_on_features
from tf_transfer.data import as_dataset, folds


class Trainer:
    """Trains and scores candidates, on features that are made once where their backbone stays frozen.

    Args:
        examples: `Examples`.
        candidates: List of `Candidate`s.
        num_folds: Integer, the parts of a division.
        metric: String, "accuracy", "macro_f1" or "log_loss".
        cache: `tft.FeatureCache`.
        batch_size: Integer.
        seed: Integer, of the parts and of the trainings: the same for all candidates on one part.
    """

    def __init__(self, examples, candidates, *, num_folds, metric, cache, batch_size, seed):
        self.examples, self.num_folds, self.metric = examples, num_folds, metric
        self.cache, self.batch_size, self.seed = cache, batch_size, seed
        self._features = {}
        # Builders share a backbone that is a model, and what one of them trained must not be there for the next.
        self._pristine = {
            id(each.builder.backbone): (each.builder.backbone, each.builder.backbone.get_weights())
            for each in candidates
            if isinstance(getattr(each.builder, "backbone", None), keras.Model)
        }

    def score(self, candidate, part):
        """Returns the score and the log loss of a candidate on a part, trained on the other parts of its division."""
        self._restore()
        (train, held_out), seed = self.part(self._data(candidate), part)
        if candidate.is_frozen:
            model = train_on_features(candidate, train, seed=seed, batch_size=self.batch_size)
        else:
            model = candidate.train(train, seed=seed, cache=self.cache, batch_size=self.batch_size)
        evaluation = evaluate_classifier(model, held_out, batch_size=self.batch_size)
        # The graphs of large networks hold on to one another.
        del model
        gc.collect()
        return float(getattr(evaluation, self.metric)), float(evaluation.log_loss)

    def train(self, candidate):
        """Returns the model of a candidate, trained on all examples, and its history, as `Candidate.fit` does."""
        self._restore()
        data = training_data(self.examples, candidate.builder)
        return candidate.fit(data, seed=self.seed, cache=self.cache, batch_size=self.batch_size)

    def part(self, data, part):
        """Returns the pair (training, held out) of a part of any data with these labels, and the seed of trainings."""
        division, fold = divmod(part, self.num_folds)
        seeds = np.random.default_rng([self.seed, division]).integers(0, 2**31 - 1, self.num_folds)
        parts = list(folds(data, self.num_folds, seed=self.seed + division))
        return parts[fold], int(seeds[fold])

    def _data(self, candidate):
        """Returns the examples as the candidate takes them: features with labels for a frozen backbone."""
        if not candidate.is_frozen:
            return training_data(self.examples, candidate.builder)
        if candidate.backbone not in self._features:
            model = candidate.builder.build()
            encoder, _ = split_at_backbone(model)
            data = training_data(self.examples, candidate.builder)
            batches = as_dataset(data, batch_size=self.batch_size, **taken(model))
            found = self.cache.features(encoder, batches, verbose=0)
            self._features[candidate.backbone] = np.asarray(found.features), self.examples.labels
        return self._features[candidate.backbone]

    def _restore(self):
        for backbone, weights in self._pristine.values():
            backbone.set_weights(weights)
