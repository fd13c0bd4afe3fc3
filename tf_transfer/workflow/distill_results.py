"""The folder that a distillation run leaves: student, configuration, history, comparison and a page."""

import os

from tf_transfer import _files
from tf_transfer.layers import save_model
from tf_transfer.reporting import HTMLReport
from tf_transfer.workflow.output_folder import DPI, curves, write_config, write_history


def write(result, config):
    """Writes the folder of a `DistillResult`, whole or not at all, and returns its path."""
    with _files.whole_folder(config.output) as draft:
        save_model(result.model, os.path.join(draft, "model.keras"), result.class_names)
        write_config(config, result.class_names, os.path.join(draft, "config.yaml"))
        write_history(result.history, os.path.join(draft, "history.csv"))
        result.comparison.to_csv(os.path.join(draft, "comparison.csv"))
        confusion = result.evaluation.plot_confusion()
        confusion.savefig(os.path.join(draft, "confusion.png"), dpi=DPI)
        _report(result, config, confusion).save(os.path.join(draft, "report.html"))
    return os.fspath(config.output)


def conclusion(comparison):
    """Returns in a sentence or two what the student saves, and whether the teacher helped, where that is known."""
    rows = {row.name: row for row in comparison.rows}
    teacher, student, alone = rows["teacher"], rows["student"], rows.get("student alone")
    size, speed = teacher.megabytes / student.megabytes, teacher.milliseconds / student.milliseconds
    saved = (
        f"The student's file is {size:.1f} times smaller than the teacher's, and it answers {speed:.1f} times as fast."
    )
    if alone is None or student.accuracy > alone.accuracy:
        return saved
    return (
        f"{saved} The teacher did not help: alone the student is at least as accurate. More epochs, or images without "
        "labels (`unlabeled`), may change that."
    )


def _report(result, config, confusion):
    comparison = result.comparison
    report = HTMLReport(f"{os.path.basename(config.teacher)} to {os.path.basename(config.student)}: distillation")
    report.section("Teacher and student")
    report.table(comparison.header, comparison.cells(), caption=comparison.caption)
    report.text(conclusion(comparison))
    report.section("Where the student is wrong")
    report.figure(confusion, "Number of validation images by class, as the student tells them")
    report.section("Training")
    report.figure(curves(result.history, apart=True), "Means over each epoch")
    report.section("The run, to run again")
    report.code(config.to_yaml())
    return report
