"""The folder that a distillation run leaves: student, configuration, history, comparison and a page."""

import os

from tf_transfer.reporting import HTMLReport
from tf_transfer.workflow.output_folder import DPI, curves, write_run


def write(result, config, record, measured, trained_on):
    """Writes the folder of a `DistillResult`, whole or not at all, and returns its path."""

    def more(folder):
        result.comparison.to_csv(os.path.join(folder, "comparison.csv"))
        confusion = result.evaluation.plot_confusion()
        confusion.savefig(os.path.join(folder, "confusion.png"), dpi=DPI)
        _report(result, config, confusion).save(os.path.join(folder, "report.html"))

    evaluations = result.comparison.evaluations
    return write_run(
        config,
        result,
        result.history,
        record,
        more=more,
        method=" + ".join(config.losses),
        measured=measured,
        trained_on=trained_on,
        compared={name: found for name, found in evaluations.items() if name != "student"},
    )


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
