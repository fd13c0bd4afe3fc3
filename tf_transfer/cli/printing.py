"""What commands print alike: measured accuracies, tables, and where a run left what it kept."""

import os
import sys

from tf_transfer.cli.exit_codes import ExitCode

# A log or a pipe has no width of its own, and rows that are folded there can't be read by a program.
_WIDTH_OF_NO_SCREEN = 160


def verbosity():
    """Returns the `verbose` of a training: bars that redraw themselves on a screen, a line an epoch in a log."""
    return 1 if sys.stdout.isatty() else 2


def accuracy_on(evaluation, images):
    """Returns the accuracy of a `ClassifierEvaluation` with its interval, on `images` such as "{} test images"."""
    low, high = evaluation.accuracy_interval()
    measured = images.format(len(evaluation.labels))
    return f"{evaluation.accuracy:.3f} on {measured} (95% interval {low:.3f} to {high:.3f})"


def error_on(evaluation, examples):
    """Returns the mean absolute error of a `RegressionEvaluation` with its interval, and the share it explains."""
    low, high = evaluation.mae_interval()
    measured = examples.format(len(evaluation.targets))
    error = f"{evaluation.mae:.4g} on average on {measured} (95% interval {low:.4g} to {high:.4g})"
    return f"{error}, R2 {evaluation.r2:.3f}"


def print_table(table):
    """Prints a table of `rich`, on one line a row where no screen is too narrow for that."""
    from rich.console import Console

    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if has_width else _WIDTH_OF_NO_SCREEN).print(table)


def print_places(config, *, column=10, **places):
    """Prints where a run left what it kept, and how to try what it exported.

    Args:
        config: `RunConfig` of the run.
        column: Integer, where the paths begin. Defaults to 10.
        **places: The path of what was `saved`, `wrote` or `exported`, None for what was not.
    """
    for done, path in places.items():
        if path is not None:
            print(f"{done:<{column}}{path}")
    if places.get("exported") is not None:
        print(f"{'try it':<{column}}tf-transfer predict {config.export} {getattr(config, 'example', 'IMAGE')}")


def finish_other_worker(result):
    """Says that the first worker of a run has what came out, and returns the exit code of any other."""
    print("Done: the first worker says what came out, and wrote it.")
    return ExitCode.SUCCESS if getattr(result, "passed", True) else ExitCode.GATE_MISSED


def finish_gated(config, result):
    """Prints where a run with `min_accuracy` left its model, or that it kept none, and returns the exit code."""
    if not result.passed:
        print(f"The accuracy is below --min-accuracy {config.min_accuracy:g}: nothing was kept.", file=sys.stderr)
        return ExitCode.GATE_MISSED
    print_places(config, saved=result.saved_model, exported=result.export_path)
    return ExitCode.SUCCESS
