"""The sections of a report on a model that gives several labels an example: each label, and all of them together."""

import dataclasses

import keras
import numpy as np

from tf_transfer.analysis.calibration import Reliability, plot_reliability
from tf_transfer.analysis.explaining import grad_cam
from tf_transfer.reporting.example_kinds import is_images, show
from tf_transfer.reporting.explanation_sections import one_by_one, some_of_each
from tf_transfer.training.graphs import graph_of
from tf_transfer.training.logits import taken_by_activation

# More diagrams are not looked at, and a larger matrix can't be read.
_MOST_DIAGRAMS, _MOST_TOGETHER = 6, 30


def labels_in_short(page, evaluation):
    """How good it is over all labels, in figures and in a sentence."""
    num, mean = len(evaluation.labels), evaluation.mean_average_precision
    low, high = evaluation.exact_match_interval()
    often = np.nanmean(evaluation.prevalence)
    page.facts([
        ("Mean average precision", f"{mean:.3f}", f"scores at random: {often:.3f}"),
        ("Macro-F1", f"{evaluation.macro_f1:.3f}", "each label counts the same"),
        ("All labels right", f"{evaluation.exact_match:.1%}", f"95% interval {low:.1%} to {high:.1%}"),
        ("Examples", f"{num:,}", f"{len(evaluation.class_names)} labels"),
    ])  # fmt: skip
    count = np.mean((evaluation.labels == 1).sum(axis=1))
    page.text(
        f"On {num} held-out examples, which have {count:.1f} labels on average, the mean average precision is "
        f"{mean:.3f}; scores at random would reach {often:.3f}. A label is given from a score of "
        f"{evaluation.threshold:.2g} on; then all labels are right on {evaluation.exact_match:.1%} of the examples "
        f"(95% interval {low:.1%} to {high:.1%})."
    )


def labels(page, subject):
    """Each label, and which come together."""
    if not subject.is_multi_label:
        return
    evaluation = subject.evaluation
    page.section(subject.titled("Labels"))
    names = ("precision", "recall", "f1", "average_precision")
    figures = [getattr(evaluation, name) for name in names]
    intervals = [evaluation.precision_intervals(), evaluation.recall_intervals(), evaluation.f1_intervals(),
                 evaluation.average_precision_intervals()]  # fmt: skip
    rows = [
        [name, int(evaluation.support[at]),
         *(_with_interval(values[at], *ends[at]) for values, ends in zip(figures, intervals, strict=True))]
        for at, name in enumerate(evaluation.class_names)
    ]  # fmt: skip
    page.table(
        ["label", "examples", "precision", "recall", "F1", "average precision"], rows,
        caption="With 95% intervals: Wilson's of precision and recall, the bootstrap's of the others.",
    )  # fmt: skip
    rows = [
        [name, int(each[1, 1]), int(each[1, 0]), int(each[0, 1]), int(each[0, 0])]
        for name, each in zip(evaluation.class_names, evaluation.confusion, strict=True)
    ]
    page.table(["label", "rightly given", "missed", "wrongly given", "rightly not given"], rows)
    if 1 < len(evaluation.class_names) <= _MOST_TOGETHER:
        page.figure(
            evaluation.plot_together(),
            "Of the examples with the label of the row, the share with that of the column, in truth and as given",
        )


def _with_interval(value, low, high):
    if np.isnan(value):
        return None
    # Where all draws agree, the bootstrap knows nothing.
    return f"{value:.2f} ({low:.2f} to {high:.2f})" if high > low else f"{value:.2f}"


def calibration(page, subject):
    """Whether the score of each label is right as often as it says."""
    if not subject.is_multi_label:
        return
    evaluation = subject.evaluation
    known = [at for at in range(len(evaluation.class_names)) if evaluation.known[:, at].any()]
    found = {evaluation.class_names[at]: Reliability(evaluation.of_label(at), of_class=1) for at in known}
    page.section(subject.titled("Is it right as often as it says?"))
    page.text(
        "For each label, how far its scores are off on average (expected calibration error), beside what scores that "
        "are exactly right would show on as many examples."
    )
    errors = {name: each.expected_calibration_error for name, each in found.items()}
    rows = [[name, f"{errors[name]:.1%}", f"{each.error_by_chance():.1%}"] for name, each in found.items()]
    page.table(["label", "off by", "by chance"], rows)
    worst = sorted(errors, key=errors.get, reverse=True)[:_MOST_DIAGRAMS]
    which = "each label" if len(worst) == len(found) else f"the {len(worst)} labels that are off the most"
    page.figure(
        [plot_reliability({name: found[name]}) for name in worst],
        f"Share that has the label, by its score, of {which}; on the dashed line scores are honest",
    )


def mistakes(page, subject):
    """The most confident mistakes among the examples that were kept, an example once."""
    if not subject.is_multi_label:
        return
    evaluation, kept = subject.evaluation, subject.num_kept
    page.section(subject.titled("Its most confident mistakes"))
    said = {}
    for each in evaluation.most_confident_mistakes(max(1, evaluation.labels.size)):
        if each.index < kept:
            said.setdefault(each.index, []).append(evaluation.describe(each))
    if not said:
        page.text(f"None among the first {kept} examples.")
        return
    places = list(said)[: subject.num_shown]
    captions = [f"{'; '.join(said[at])}; has {_names_of(evaluation, at)}" for at in places]
    show(page, subject, places, captions, "mistakes")


def _names_of(evaluation, at):
    names = [name for name, value in zip(evaluation.class_names, evaluation.labels[at], strict=True) if value == 1]
    return ", ".join(names) or "none"


def where_it_looks(page, subject):
    """The regions of images that speak for the label with the highest score."""
    inputs, evaluation = subject.inputs, subject.evaluation
    if not subject.is_multi_label or not is_images(inputs) or inputs.shape[-1] not in (1, 3):
        return
    logits = taken_by_activation(subject.model, "sigmoid")
    if logits is None or logits.shape[-1] < 2:
        return
    best = evaluation.scores.argmax(axis=1)
    rows = some_of_each(best, len(inputs), subject.num_shown)
    try:
        found = grad_cam(keras.Model(graph_of(subject.model).input, logits), inputs[rows], best[rows])
    except ValueError:
        # A network without feature maps.
        return
    # Of labels that do not exclude each other the scores are no softmax.
    scores, names = evaluation.scores[rows, best[rows]], list(evaluation.class_names)
    found = dataclasses.replace(found, scores=scores, class_names=names)
    page.section(subject.titled("Where it looks"))
    page.figure(one_by_one(found), f"{found.method}: red spoke for the label with the highest score, blue against it")
