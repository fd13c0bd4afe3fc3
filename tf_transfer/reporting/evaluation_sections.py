"""The sections of a report on what a model gets right: classes, calibration, mistakes, errors."""

import numpy as np

from tf_transfer.analysis.calibration import Reliability
from tf_transfer.reporting.example_kinds import show

# A larger confusion matrix can't be read, and a longer table is not.
_MOST_CLASSES, _MOST_LINES = 30, 15


def classes(page, subject):
    """Each class, and what is taken for what."""
    if not subject.is_classifier:
        return
    evaluation, num = subject.evaluation, len(subject.evaluation.class_names)
    page.section(subject.titled("Classes"))
    order = range(num)
    if num > _MOST_CLASSES:
        page.text(f"The {_MOST_LINES} of {num} classes with the lowest F1:")
        order = np.argsort(np.nan_to_num(evaluation.f1, nan=2.0), kind="stable")[:_MOST_LINES]
    intervals = evaluation.recall_intervals()
    rows = [
        [
            evaluation.class_names[at], int(evaluation.support[at]), evaluation.precision[at],
            _with_interval(evaluation.recall[at], *intervals[at]), evaluation.f1[at],
        ]
        for at in order
    ]  # fmt: skip
    page.table(["class", "examples", "precision", "recall (95% interval)", "F1"], rows)
    if num <= _MOST_CLASSES:
        page.figure(evaluation.plot_confusion(), "Examples by true and predicted class; color: share of the true class")
    else:
        page.table(["true", "taken for", "examples"], _confusions(evaluation))


def _with_interval(value, low, high):
    return None if np.isnan(value) else f"{value:.2f} ({low:.2f} to {high:.2f})"


def _confusions(evaluation):
    """Returns rows of what is most often taken for what."""
    wrong = evaluation.confusion * (1 - np.eye(len(evaluation.class_names), dtype=int))
    places = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_LINES]
    pairs = [np.unravel_index(place, wrong.shape) for place in places]
    names = evaluation.class_names
    return [[names[true], names[given], int(wrong[true, given])] for true, given in pairs if wrong[true, given]]


def calibration(page, subject):
    """Whether it is right as often as it says."""
    if not subject.is_classifier:
        return
    page.section(subject.titled("Is it right as often as it says?"))
    reliability = Reliability(subject.evaluation)
    error, chance = reliability.expected_calibration_error, reliability.error_by_chance()
    said = (
        f"Its scores are off by {error:.1%} on average (expected calibration error). Scores that are exactly right "
        f"would show {chance:.1%} on {len(subject.evaluation.labels)} examples, by chance alone."
    )
    # It takes a model of one output.
    helps = error > chance + 0.02 and subject.output is None
    advice = " tft.analysis.calibrate brings them nearer to how often it is right." if helps else ""
    page.text(said + advice)
    page.figure(reliability.plot(), "Share that is right by highest score; on the dashed line scores are honest")


def predictions(page, subject):
    """Predicted against true values."""
    if not subject.is_regressor:
        return
    page.section(subject.titled("Predictions and targets"))
    page.figure(subject.evaluation.plot(), "Each held-out example, and the line where predictions are right")
    errors = np.abs(subject.evaluation.predictions - subject.evaluation.targets).mean(axis=1)
    shares = [50, 75, 90, 95, 100]
    rows = [[f"{share}%", f"{value:.4g}"] for share, value in zip(shares, np.percentile(errors, shares), strict=True)]
    page.table(["of the examples", "are off by at most"], rows)


def mistakes(page, subject):
    """The most confident mistakes, or the largest errors, among the examples that were kept."""
    if subject.is_classifier:
        _confident_mistakes(page, subject)
    elif subject.is_regressor:
        _largest_errors(page, subject)


def _confident_mistakes(page, subject):
    evaluation, kept = subject.evaluation, subject.num_kept
    every = evaluation.most_confident_mistakes(len(evaluation.labels))
    found = [each for each in every if each.index < kept][: subject.num_shown]
    page.section(subject.titled("Its most confident mistakes"))
    if not found:
        page.text(f"None among the first {kept} examples.")
        return
    show(page, subject, [each.index for each in found], [evaluation.describe(each) for each in found], "mistake")


def _largest_errors(page, subject):
    evaluation = subject.evaluation
    errors = np.abs(evaluation.predictions - evaluation.targets).mean(axis=1)[: subject.num_kept]
    places = np.argsort(-errors, kind="stable")[: subject.num_shown]
    said = [f"{_values(evaluation.targets[at])}, predicted {_values(evaluation.predictions[at])}" for at in places]
    page.section(subject.titled("Its largest errors"))
    show(page, subject, places.tolist(), said, "true and predicted")


def _values(row):
    return ", ".join(f"{value:.4g}" for value in row)
