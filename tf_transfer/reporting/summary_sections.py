"""The first sections of a report: how good the model is, what it was made of, and how it was trained."""

import dataclasses
import os

import keras
import numpy as np

from tf_transfer.analysis.calibration import Reliability
from tf_transfer.backbones import blocks, count_trainable, find_backbone
from tf_transfer.fine_tuning.history import FineTuningHistory, Phase
from tf_transfer.reporting.label_sections import labels_in_short
from tf_transfer.reporting.provenance import provenance

_MOST_CURVES = 6
# What config.yaml says of places on the disk where it ran, which a reader elsewhere can do nothing with.
_PLACES = ("output", "export", "save_model", "features_cache")


def in_short(page, subject):
    """How good it is, in figures and in a sentence."""
    page.section(subject.titled("In short"))
    if subject.parts:
        _outputs_in_short(page, subject.parts)
    elif subject.is_classifier:
        _classifier_in_short(page, subject.evaluation)
    elif subject.is_multi_label:
        labels_in_short(page, subject.evaluation)
    elif subject.is_regressor:
        _regressor_in_short(page, subject.evaluation)
    else:
        page.text(
            "None of the examples has a label, so nothing is known about how often the model is right on them. A "
            "hundred labelled ones would tell."
        )
    compared = subject.run.result.get("compared") if subject.run is not None else None
    if compared:
        main = subject.run.main
        rows = [[name, figures.get(main)] for name, figures in compared.items()]
        rows.append(["this model", subject.run.figures[main]])
        page.table(["model", main], rows, best=len(rows) - 1, caption="On the same examples, as the run measured it.")


def _outputs_in_short(page, parts):
    """One line an output: its main figure beside what would be reached without looking."""
    rows = []
    for part in parts:
        evaluation = part.evaluation
        if part.is_classifier:
            ends, num = evaluation.accuracy_interval(), len(evaluation.labels)
            figure, without = f"accuracy {evaluation.accuracy:.1%}", f"{np.bincount(evaluation.labels).max() / num:.1%}"
            interval = "{:.1%} to {:.1%}".format(*ends)
        elif part.is_multi_label:
            num, figure = len(evaluation.labels), f"mean average precision {evaluation.mean_average_precision:.3f}"
            interval, without = "below, label by label", f"{np.nanmean(evaluation.prevalence):.3f}"
        elif part.is_regressor:
            num, figure = len(evaluation.targets), f"mean absolute error {evaluation.mae:.4g}"
            interval = "{:.4g} to {:.4g}".format(*evaluation.mae_interval())
            without = f"{off_by_median(evaluation):.4g}"
        else:
            num, figure, interval, without = 0, "no labels", None, None
        rows.append([part.output, figure, interval, without, num])
    page.text(
        f"It has {len(parts)} outputs. Beside the figure of each stands what the most frequent class, scores at random "
        "or the median would reach on the same examples, those that have a label of it."
    )
    page.table(["output", "figure", "95% interval", "without looking", "examples"], rows)


def _classifier_in_short(page, evaluation):
    num = len(evaluation.labels)
    low, high = evaluation.accuracy_interval()
    often = np.bincount(evaluation.labels).max() / num
    error = Reliability(evaluation).expected_calibration_error
    page.facts([
        ("Accuracy", f"{evaluation.accuracy:.1%}", f"95% interval {low:.1%} to {high:.1%}"),
        ("Macro-F1", f"{evaluation.macro_f1:.3f}", "each class counts the same"),
        ("Calibration error", f"{error:.1%}", "how far its scores are off"),
        ("Examples", f"{num:,}", f"{len(evaluation.class_names)} classes"),
    ])  # fmt: skip
    page.text(
        f"Right on {evaluation.accuracy:.1%} of {num} held-out examples (95% interval {low:.1%} to {high:.1%}); always "
        f"saying the most frequent of {len(evaluation.class_names)} classes would be right on {often:.1%}."
    )


def _regressor_in_short(page, evaluation):
    low, high = evaluation.mae_interval()
    num, targets = len(evaluation.targets), evaluation.targets
    middle = off_by_median(evaluation)
    page.facts([
        ("Mean absolute error", f"{evaluation.mae:.4g}", f"95% interval {low:.4g} to {high:.4g}"),
        ("RMSE", f"{evaluation.rmse:.4g}", "large errors count more"),
        ("R2", f"{evaluation.r2:.3f}", "share of the variance explained"),
        ("Examples", f"{num:,}", f"targets {targets.min():.4g} to {targets.max():.4g}"),
    ])  # fmt: skip
    page.text(
        f"Off by {evaluation.mae:.4g} on average over {num} held-out examples (95% interval {low:.4g} to {high:.4g}), "
        f"in the unit of the target; always saying their median would be off by {middle:.4g}."
    )


def off_by_median(evaluation):
    """Returns by how much the median of the targets would be off, which no model is needed for."""
    return float(np.abs(evaluation.targets - np.median(evaluation.targets, axis=0)).mean())


def made_from(page, subject):
    """From what: the backbone, its weights, and how much of it trained."""
    model, builder = subject.model, subject.input_builder
    config = {} if subject.run is None else subject.run.settings
    backbone = getattr(builder, "backbone", config.get("student", config.get("backbone")))
    weights = getattr(builder, "weights", config.get("weights", "imagenet"))
    found = find_backbone(model)
    if backbone is None and found is model and subject.licence is None:
        return
    page.section("What it was made from")
    record = {} if subject.run is None else subject.run.result
    options = {"recorded": record.get("inputs"), "folder": record.get("directory")}
    rows = provenance(backbone, weights, licence=subject.licence, **options)
    if found is not model:
        num = len(blocks(model))
        name = f"{found.name}, {num} blocks" if num > 1 else found.name
        rows.append(["network", f"{name}, {found.count_params():,} of {model.count_params():,} parameters"])
    count = count_trainable(model)
    if subject.run is None:
        rows.append(["set to train", f"{count.trainable:,} of {count.total:,} parameters"])
    page.pairs(rows)


def made_how(page, subject):
    """How it was trained: phases, curves, settings, and how to do it again."""
    # Of a distillation, the other phases are trainings of other models.
    last = subject.run is not None and subject.run.command == "distill"
    history = as_history(subject.history, last_phase_only=last)
    settings = _settings(subject)
    if history is None and not settings:
        return
    page.section("How it was trained")
    if history is not None:
        phases = [phase for phase in history.phases if phase.learning_rate == phase.learning_rate]
        if phases:
            header = ["phase", "epochs", "learning rate", "parameters that trained", "epoch kept"]
            page.table(header, [_phase(phase) for phase in phases])
        names = [name for name in history.history if not name.startswith("val_") and name != "learning_rate"]
        plots = [history.plot([name]) for name in names[:_MOST_CURVES]]
        if plots:
            page.figure(plots, f"By epoch: {', '.join(names[:_MOST_CURVES])}")
    if settings:
        page.pairs(settings, folded="All settings")
    if subject.run is not None:
        page.text("To run it again:")
        config = os.path.join(subject.run.path, "config.yaml")
        # What a search within a time chose can be trained again; the search would try other things on another day.
        command = "train" if subject.run.command == "auto" else subject.run.command
        page.code(f"tf-transfer {command} --config {config} --output again")


def as_history(history, *, last_phase_only=False):
    """Returns what `fit`, `tft.fine_tune` or a run says of a training as a `FineTuningHistory`, or None.

    Args:
        history: `keras.callbacks.History`, or dict of names to lists, in which "phase" may name that of each epoch.
        last_phase_only: Boolean, whether to leave out all phases but the last. Defaults to False.
    """
    if history is None or isinstance(history, FineTuningHistory):
        return history
    values = getattr(history, "history", history)
    num = max((len(each) for each in values.values()), default=0)
    names = values.get("phase", [""] * num)
    phases = list(dict.fromkeys(names))[-1 if last_phase_only else 0 :]
    made = FineTuningHistory()
    for phase in phases:
        places = [place for place, name in enumerate(names) if name == phase]
        entries = {
            entry: [float("nan") if each[place] is None else each[place] for place in places]
            for entry, each in values.items()
            if entry not in ("phase", "epoch") and len(each) == num
        }
        known = {entry: each for entry, each in entries.items() if any(value == value for value in each)}
        made.add(Phase(phase, len(made.epoch), len(places), float("nan"), 0), known)
    return made if num else None


def _phase(phase):
    kept = None if phase.best_epoch is None else phase.best_epoch + 1
    return [phase.name, phase.num_epochs, f"{phase.learning_rate:.3g}", f"{phase.trainable:,}", kept]


def _settings(subject):
    if subject.run is not None:
        fields = {name: value for name, value in subject.run.settings.items() if name not in _PLACES}
    elif subject.builder is not None and dataclasses.is_dataclass(subject.builder):
        fields = {field.name: getattr(subject.builder, field.name) for field in dataclasses.fields(subject.builder)}
        fields = {"builder": type(subject.builder).__name__, **fields}
    else:
        return []
    return [[name, _shortened(value)] for name, value in fields.items() if value not in (None, (), [], {})]


def _shortened(value):
    text = value.name if isinstance(value, keras.Model) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
