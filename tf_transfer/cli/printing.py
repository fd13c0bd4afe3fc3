"""What commands print alike: measured accuracies, tables, and where a run left what it kept."""

import contextlib
import os
import sys

from tf_transfer.cli.exit_codes import ExitCode
from tf_transfer.cli.outcome import Outcome

# A log or a pipe has no width of its own, and rows that are folded there can't be read by a program.
_WIDTH_OF_NO_SCREEN = 160


def verbosity(arguments):
    """Returns the `verbose` of a training: bars that redraw themselves on a screen, a line an epoch in a log."""
    if arguments.quiet:
        return 0
    return 1 if sys.stderr.isatty() else 2


def note(arguments, text):
    """Says something on the error stream that is neither a result nor a warning."""
    if not arguments.quiet:
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def working(arguments, text):
    """Shows on a screen that a command without a bar of its own is at work; a log gets nothing."""
    from rich.console import Console

    if arguments.quiet or not sys.stderr.isatty():
        yield
        return
    with Console(file=sys.stderr).status(text):
        yield


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


def other_worker(result):
    """Returns the outcome of a process that is not the first worker of its run, which has what came out."""
    code = ExitCode.SUCCESS if getattr(result, "passed", True) else ExitCode.GATE_MISSED
    said = "Done: the first worker says what came out, and wrote it."
    return Outcome({"is_chief": False}, lambda: print(said), code)


def gated(config, result, content, show):
    """Returns the outcome of a run with `min_accuracy`: as it is shown, then where it left its model, or that not."""
    places = {"output": result.output, "saved_model": result.saved_model, "exported": result.export_path}
    content = {"is_chief": True, **content, "passed": result.passed, **places}
    if result.passed:

        def finish():
            print_places(config, saved=result.saved_model, wrote=result.output, exported=result.export_path)

        code = ExitCode.SUCCESS
    else:

        def finish():
            print(f"The accuracy is below --min-accuracy {config.min_accuracy:g}: nothing was kept.", file=sys.stderr)

        code = ExitCode.GATE_MISSED
    return Outcome(content, lambda: (show(), finish()), code)
