"""The folder that an adaptation run leaves: model, configuration, history, pictures and a page."""

import os

from tf_transfer.analysis import plot_domains
from tf_transfer.reporting import HTMLReport
from tf_transfer.workflow.output_folder import DPI, curves, write_run


def write(result, config, record, measured, trained_on):
    """Writes the folder of an `AdaptResult`, whole or not at all, and returns its path."""
    return write_run(
        config,
        result,
        result.history,
        record,
        more=lambda folder: _write_pictures(result, config, folder),
        method=result.builder.method,
        measured=measured,
        trained_on=trained_on,
        compared={"source only": result.source_only},
    )


def accuracies(result):
    """Returns a row (name, accuracy with its interval, macro-F1) for each model that was measured on the target."""
    rows = []
    for name, evaluation in (("source only", result.source_only), ("adapted", result.evaluation)):
        if evaluation is not None:
            low, high = evaluation.accuracy_interval()
            rows.append([name, f"{evaluation.accuracy:.3f} ({low:.3f} to {high:.3f})", evaluation.macro_f1])
    return rows


def _write_pictures(result, config, folder):
    features = plot_domains(
        _titled(result),
        source_labels=result.feature_labels[0],
        target_labels=result.feature_labels[1],
        class_names=result.class_names,
        projection=config.projection,
        seed=config.seed,
    )
    features.savefig(os.path.join(folder, "features.png"), dpi=DPI)
    report = HTMLReport(f"{_name(config.source)} to {_name(config.target)}: {result.builder.method}")
    _add_accuracies(report, result)
    report.section("Features")
    report.figure(features, f"Features of source and target, projected together by {config.projection}")
    if result.evaluation is not None:
        confusion = result.evaluation.plot_confusion()
        confusion.savefig(os.path.join(folder, "confusion.png"), dpi=DPI)
        report.section("Where the adapted model is wrong")
        report.figure(confusion, "Number of labelled target images by class")
    report.section("Training")
    report.figure(curves(result.history), "Means over each epoch")
    report.section("The run, to run again")
    report.code(config.to_yaml())
    report.save(os.path.join(folder, "report.html"))


def _titled(result):
    measured = {"source only": result.source_only, "adapted": result.evaluation}
    titles = {
        name: name if measured[name] is None else f"{name}, target accuracy {measured[name].accuracy:.3f}"
        for name in result.features
    }
    return {titles[name]: pair for name, pair in result.features.items()}


def _add_accuracies(report, result):
    rows = accuracies(result)
    if not rows:
        report.text(
            "None of the target images has a label, so nothing is known about how often the model is right on them. A "
            "hundred labelled ones, as a folder to measure on, would tell."
        )
        return
    report.section("On labelled images of the target")
    report.table(["model", "accuracy (95% interval)", "macro-F1"], rows, best=len(rows) - 1)
    report.text(f"Measured on {len(result.evaluation.labels)} images, which no training has seen.")


def _name(folder):
    return os.path.basename(os.path.abspath(folder))
