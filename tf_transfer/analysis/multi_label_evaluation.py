"""Scores beside labels of which an example may have several: how good each label is, and which come together."""

import dataclasses
import functools
import typing

import numpy as np

from tf_transfer import _checks
from tf_transfer.analysis import evaluation_plots
from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation, checked_names, wilson_interval
from tf_transfer.analysis.label_figures import average_precision, bootstrap_interval, f1, known_mean, ratio


class LabelMistake(typing.NamedTuple):
    """One label of one example that a model got wrong.

    Attributes:
        index: Integer, the position of the example in the data.
        label: Integer, which label.
        true: Boolean, whether the example has it.
        score: Float in [0, 1], what the model gave it.
    """

    index: int
    label: int
    true: bool
    score: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MultiLabelEvaluation:
    """Independent scores of several labels beside the true ones, and the figures that follow from them.

    Args:
        scores: Float array of shape `(num_examples, num_labels)`, each in [0, 1].
        labels: Array of shape `(num_examples, num_labels)` of 0 and 1, and -1 where nobody knows.
        class_names: Sequence of `num_labels` strings. Defaults to None: "0", "1", ...
        threshold: Float in [0, 1], the score from which on a label is given. Defaults to 0.5.

    Attributes:
        predictions: Boolean array of shape `(num_examples, num_labels)`, which labels are given.
        known: Boolean array of the same shape, False where the label is -1.
        confusion: Integer array of shape `(num_labels, 2, 2)`, number of examples by (true, given).
        support: Integer array of shape `(num_labels,)`, how many examples have each label.
        precision: Float array of shape `(num_labels,)`; NaN for a label that was never given.
        recall: Float array of shape `(num_labels,)`; NaN for a label that no example has.
        f1: Float array of shape `(num_labels,)`; NaN for a label that no example has and that was never given.
        macro_f1: Float, the mean of `f1` over the labels where it is known.
        average_precision: Float array of shape `(num_labels,)`, the precision over all thresholds, weighted by the
            recall that each adds; NaN for a label that no example has.
        mean_average_precision: Float, its mean over the labels where it is known.
        prevalence: Float array of shape `(num_labels,)`, the share of the examples that have each label, which is the
            average precision that scores at random would reach.
        exact_match: Float, the share of the examples with all labels right, of those whose labels are all known.

    Raises:
        ValueError: When scores are no probabilities, or labels are not 0, 1 or -1 in the shape of the scores.

    Example:

    >>> scores = np.array([[0.9, 0.2], [0.8, 0.7], [0.1, 0.4], [0.3, 0.9]])
    >>> evaluation = MultiLabelEvaluation(scores, np.array([[1, 0], [0, 1], [0, 1], [0, 1]]), ["old", "torn"])
    >>> evaluation.precision.tolist(), evaluation.recall.round(2).tolist(), evaluation.exact_match
    ([0.5, 1.0], [1.0, 0.67], 0.5)
    >>> evaluation.most_confident_mistakes(1)
    [LabelMistake(index=1, label=0, true=False, score=0.8)]
    >>> [evaluation.describe(each) for each in evaluation.most_confident_mistakes()]
    ['old given (0.80), not there', 'torn missed (0.40)']
    >>> evaluation
    <MultiLabelEvaluation of 4 examples, 2 labels: mean average precision 1.000, macro-F1 0.733, all right 0.500>
    """

    scores: np.ndarray
    labels: np.ndarray
    class_names: tuple | None = None
    threshold: float = 0.5

    def __post_init__(self):
        scores, labels = np.asarray(self.scores), np.asarray(self.labels)
        if scores.ndim != 2 or not scores.size or not np.all((scores >= -1e-6) & (scores <= 1 + 1e-6)):
            raise ValueError(
                "`scores` must have shape (num_examples, num_labels) and lie between 0 and 1. "
                f"Received: shape {scores.shape}."
            )
        if labels.shape != scores.shape or not np.isin(labels, (-1, 0, 1)).all():
            raise ValueError(
                f"`labels` must be 0 or 1 (-1 where unknown) and have the shape of the scores, {scores.shape}: one "
                f"column a label. Received: shape {labels.shape}, values {np.unique(labels)[:5].tolist()}."
            )
        _checks.number(self.threshold, "threshold", 0.0, 1.0)
        object.__setattr__(self, "scores", scores.astype("float64"))
        object.__setattr__(self, "labels", labels.astype("int64"))
        object.__setattr__(self, "class_names", checked_names(self.class_names, scores.shape[1]))

    def __repr__(self):
        return (
            f"<MultiLabelEvaluation of {len(self.labels)} examples, {len(self.class_names)} labels: mean average "
            f"precision {self.mean_average_precision:.3f}, macro-F1 {self.macro_f1:.3f}, "
            f"all right {self.exact_match:.3f}>"
        )

    @property
    def predictions(self):
        return self.scores >= self.threshold

    @property
    def known(self):
        return self.labels >= 0

    @functools.cached_property
    def confusion(self):
        cells = [[(self.labels == true) & (self.predictions == given) for given in (0, 1)] for true in (0, 1)]
        return np.sum(cells, axis=2).transpose(2, 0, 1)

    @property
    def support(self):
        return self.confusion[:, 1].sum(axis=1)

    @property
    def precision(self):
        return ratio(self.confusion[:, 1, 1], self.confusion[:, :, 1].sum(axis=1))

    @property
    def recall(self):
        return ratio(self.confusion[:, 1, 1], self.support)

    @property
    def f1(self):
        right = 2 * self.confusion[:, 1, 1]
        return ratio(right, right + self.confusion[:, 0, 1] + self.confusion[:, 1, 0])

    @property
    def macro_f1(self):
        return known_mean(self.f1)

    @functools.cached_property
    def average_precision(self):
        return np.array([average_precision(*self._of(at)) for at in range(len(self.class_names))])

    @property
    def mean_average_precision(self):
        return known_mean(self.average_precision)

    @property
    def prevalence(self):
        return ratio(self.support, self.known.sum(axis=0))

    @property
    def exact_match(self):
        right, num = self._all_right()
        return right / num if num else float("nan")

    def exact_match_interval(self, confidence=0.95):
        """Returns (low, high), Wilson's interval of `exact_match`.

        Args:
            confidence: Float in (0, 1). Defaults to 0.95.
        """
        return wilson_interval(*self._all_right(), confidence)

    def precision_intervals(self, confidence=0.95):
        """Returns a list of (low, high), Wilson's interval of each precision; NaN for a label that was never given."""
        return [wilson_interval(int(each[1, 1]), int(each[:, 1].sum()), confidence) for each in self.confusion]

    def recall_intervals(self, confidence=0.95):
        """Returns a list of (low, high), Wilson's interval of each recall; NaN for a label that no example has."""
        return [wilson_interval(int(each[1, 1]), int(each[1].sum()), confidence) for each in self.confusion]

    def f1_intervals(self, confidence=0.95, seed=0):
        """Returns a list of (low, high), the interval of each F1 by the bootstrap over examples.

        Args:
            confidence: Float in (0, 1). Defaults to 0.95.
            seed: Integer, of the draws. Defaults to 0.
        """
        return self._drawn(f1, confidence, seed)

    def average_precision_intervals(self, confidence=0.95, seed=0):
        """Returns a list of (low, high), the interval of each average precision by the bootstrap over examples.

        Args:
            confidence: Float in (0, 1). Defaults to 0.95.
            seed: Integer, of the draws. Defaults to 0.
        """
        return self._drawn(average_precision, confidence, seed)

    def of_label(self, label):
        """Returns the evaluation of one label alone, has it or not, on the examples where that is known.

        Args:
            label: Integer, which label.

        Returns:
            A `ClassifierEvaluation` of two classes.
        """
        name = self.class_names[_checks.integer(label, "label", 0, len(self.class_names) - 1)]
        scores, labels = self._of(label)
        return ClassifierEvaluation(np.stack([1 - scores, scores], axis=1), labels, [f"not {name}", name])

    def together(self):
        """Returns which labels come together, in truth and as given: two arrays `(num_labels, num_labels)`.

        Of the examples that have the label of the row, the share that have the one of the column; NaN for a row that no
        example has. Only examples count where both are known.
        """
        known = self.known.astype(float)
        pair = [np.where(self.known, each, 0).astype(float) for each in (self.labels == 1, self.predictions)]
        return tuple(ratio(each.T @ each, each.T @ known) for each in pair)

    def most_confident_mistakes(self, num=10):
        """Returns up to `num` wrong labels, a list of `LabelMistake`, those furthest from the truth first."""
        num = _checks.integer(num, "num", minimum=1)
        rows, columns = np.nonzero(self.known & (self.predictions != (self.labels == 1)))
        order = np.argsort(-np.abs(self.scores - self.labels)[rows, columns], kind="stable")[:num]
        return [
            LabelMistake(int(row), int(at), bool(self.labels[row, at]), float(self.scores[row, at]))
            for row, at in zip(rows[order], columns[order], strict=True)
        ]

    def describe(self, mistake):
        """Returns a `LabelMistake` in words, such as "torn missed (0.02)"."""
        name, score = self.class_names[mistake.label], f"({mistake.score:.2f})"
        return f"{name} missed {score}" if mistake.true else f"{name} given {score}, not there"

    def plot_together(self):
        """Draws which labels come together, in truth and as given; returns the `matplotlib` figure."""
        return evaluation_plots.together(self)

    def _of(self, label):
        """Returns scores and labels of one label where it is known."""
        known = self.known[:, label]
        return self.scores[known, label], self.labels[known, label]

    def _all_right(self):
        whole = self.known.all(axis=1)
        return int((self.predictions == (self.labels == 1))[whole].all(axis=1).sum()), int(whole.sum())

    def _drawn(self, figure, confidence, seed):
        _checks.number(confidence, "confidence", 0.0, 1.0)
        rng = np.random.default_rng(seed)
        return [
            bootstrap_interval(figure, *self._of(at), self.threshold, confidence=confidence, rng=rng)
            for at in range(len(self.class_names))
        ]
