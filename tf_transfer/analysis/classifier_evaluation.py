"""Scores beside labels, and the figures that follow from them: how good a classifier is, and where it is wrong."""

import dataclasses
import functools
import typing

import numpy as np

from tf_transfer import _checks
from tf_transfer.analysis import evaluation_plots
from tf_transfer.analysis.differences import paired_accuracies
from tf_transfer.data import check_labels


class Mistake(typing.NamedTuple):
    """One example that a classifier got wrong.

    Attributes:
        index: Integer, the position of the example in the data.
        true: Integer, its label.
        predicted: Integer, the class with the highest score.
        score: Float in [0, 1], that score.
    """

    index: int
    true: int
    predicted: int
    score: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ClassifierEvaluation:
    """Scores of a classifier beside the true labels, and the figures that follow from them.

    Args:
        scores: Float array of shape `(num_examples, num_classes)`, probabilities.
        labels: Integer array of shape `(num_examples,)`, or one-hot `(num_examples, num_classes)`.
        class_names: Sequence of `num_classes` strings. Defaults to None: "0", "1", ...

    Attributes:
        predictions: Integer array of shape `(num_examples,)`, the classes with the highest scores.
        confusion: Integer array of shape `(num_classes, num_classes)`, number of examples by (true, predicted).
        accuracy: Float, the share of right predictions.
        precision: Float array of shape `(num_classes,)`; NaN for a class that was never predicted.
        recall: Float array of shape `(num_classes,)`; NaN for a class without examples.
        f1: Float array of shape `(num_classes,)`; NaN for a class without examples that was never predicted.
        macro_f1: Float, the mean of `f1` over the classes where it is known, each class counting the same.
        log_loss: Float, the mean of -log(score of the true class): what is left to learn where accuracy is coarse.
        support: Integer array of shape `(num_classes,)`, number of examples a class.

    Example:

    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    >>> evaluation = ClassifierEvaluation(scores, np.array([0, 0, 1, 1]), class_names=["cat", "dog"])
    >>> evaluation.accuracy, evaluation.confusion.tolist()
    (0.75, [[1, 1], [0, 2]])
    >>> evaluation.most_confident_mistakes()
    [Mistake(index=1, true=0, predicted=1, score=0.8)]
    >>> evaluation
    <ClassifierEvaluation of 4 examples: accuracy 0.750 (95% interval 0.301 to 0.954), macro-F1 0.733>
    """

    scores: np.ndarray
    labels: np.ndarray
    class_names: tuple | None = None

    def __post_init__(self):
        scores = np.asarray(self.scores)
        if scores.ndim != 2 or scores.shape[1] < 2:
            raise ValueError(f"`scores` must have shape (num_examples, num_classes). Received: shape {scores.shape}.")
        labels = check_labels(self.labels, scores.shape[1])
        if len(labels) != len(scores):
            raise ValueError(f"There must be one label a row of scores. Received: {len(labels)} and {len(scores)}.")
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "class_names", checked_names(self.class_names, scores.shape[1]))

    def __repr__(self):
        low, high = self.accuracy_interval()
        return (
            f"<ClassifierEvaluation of {len(self.labels)} examples: accuracy {self.accuracy:.3f} "
            f"(95% interval {low:.3f} to {high:.3f}), macro-F1 {self.macro_f1:.3f}>"
        )

    @functools.cached_property
    def predictions(self):
        return self.scores.argmax(axis=1)

    @functools.cached_property
    def confusion(self):
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(self.labels, self.predictions, labels=range(len(self.class_names)))

    @property
    def accuracy(self):
        return float(np.mean(self.predictions == self.labels))

    @property
    def precision(self):
        return self._per_class[0]

    @property
    def recall(self):
        return self._per_class[1]

    @property
    def f1(self):
        return self._per_class[2]

    @property
    def macro_f1(self):
        return float(np.nanmean(self.f1))

    @property
    def log_loss(self):
        right = self.scores[np.arange(len(self.labels)), self.labels]
        # A score that was rounded to 0 would make the mean infinite.
        return float(-np.mean(np.log(np.maximum(right, np.finfo("float32").eps))))

    @property
    def support(self):
        return self._per_class[3]

    @functools.cached_property
    def _per_class(self):
        from sklearn.metrics import precision_recall_fscore_support

        return precision_recall_fscore_support(
            self.labels, self.predictions, labels=range(len(self.class_names)), zero_division=np.nan
        )

    def accuracy_interval(self, confidence=0.95):
        """Returns (low, high), Wilson's interval of the accuracy on data of this kind.

        Args:
            confidence: Float in (0, 1). Defaults to 0.95.

        Reference:
            Wilson, 1927, https://doi.org/10.1080/01621459.1927.10502953
        """
        return wilson_interval(int(np.sum(self.predictions == self.labels)), len(self.labels), confidence)

    def recall_intervals(self, confidence=0.95):
        """Returns a list of (low, high), Wilson's interval of each class's recall; NaN for a class without examples."""
        right = np.diag(self.confusion)
        return [wilson_interval(int(num), int(of), confidence) for num, of in zip(right, self.support, strict=True)]

    def difference(self, other):
        """Returns how far this accuracy is above another one's on the same examples, a `Difference`.

        Of a fine-tuned model against one from scratch it says whether anything was gained: below 0 is negative
        transfer.

        Args:
            other: `ClassifierEvaluation` of the same examples in the same order.

        Raises:
            ValueError: When the labels are not the same.
        """
        if not np.array_equal(self.labels, other.labels):
            raise ValueError("Both evaluations must be of the same examples in the same order: their labels differ.")
        return paired_accuracies(self.predictions == self.labels, other.predictions == other.labels)

    def slices(self, groups):
        """Returns the evaluation of each group of examples, a dict from its name to a `ClassifierEvaluation`.

        Args:
            groups: Sequence of one name an example, such as the domain or the camera that it is from.
        """
        groups = np.asarray(groups)
        if groups.shape != self.labels.shape:
            raise ValueError(f"`groups` must have one name an example, {len(self.labels)}. Received: {groups.shape}.")
        return {
            name.item(): ClassifierEvaluation(
                self.scores[groups == name], self.labels[groups == name], self.class_names
            )
            for name in np.unique(groups)
        }

    def most_confident_mistakes(self, num=10):
        """Returns up to `num` wrong predictions, a list of `Mistake`, those with the highest scores first."""
        num = _checks.integer(num, "num", minimum=1)
        wrong = np.flatnonzero(self.predictions != self.labels)
        confidence = self.scores[wrong, self.predictions[wrong]]
        first = np.argsort(-confidence, kind="stable")[:num]
        return [
            Mistake(int(index), int(self.labels[index]), int(self.predictions[index]), float(score))
            for index, score in zip(wrong[first], confidence[first])
        ]

    def describe(self, mistake):
        """Returns a `Mistake` in words, such as "three taken for eight (0.97)"."""
        return f"{self.class_names[mistake.true]} taken for {self.class_names[mistake.predicted]} ({mistake.score:.2f})"

    def plot_confusion(self):
        """Draws the confusion matrix, colored by the share of the true class, and returns the `matplotlib` figure."""
        return evaluation_plots.confusion(self)

    def plot_mistakes(self, images, num=12):
        """Draws the most confident mistakes.

        Args:
            images: Array of shape `(num_examples, height, width, channels)` with 1 or 3 channels in 0..255, in the
                order of the evaluated data.
            num: Integer, how many to show at most. Defaults to 12.

        Returns:
            A `matplotlib.figure.Figure`.
        """
        return evaluation_plots.mistakes(self, images, num)


def wilson_interval(num_right, num, confidence):
    """Returns (low, high), Wilson's interval of a share; NaN of nothing."""
    from scipy.stats import binomtest

    if not num:
        return float("nan"), float("nan")
    interval = binomtest(num_right, num).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def checked_names(names, num_classes):
    """Returns a tuple of one string a class, numbers for None; raises when there are more or fewer."""
    names = tuple(str(name) for name in (range(num_classes) if names is None else names))
    if len(names) != num_classes:
        raise ValueError(f"`class_names` must have {num_classes} names, one a class. Received: {list(names)}.")
    return names
