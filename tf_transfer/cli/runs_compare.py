"""`tf-transfer runs compare`: runs side by side."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import print_table
from tf_transfer.cli.shared_flags import add_shared, check_plot, save_plot

NAME = "compare"
SUMMARY = "say in which settings runs differ, and whether their figures do"
DESCRIPTION = """\
Puts two or more runs side by side: the settings that differ, the figures, and how far each is from the first run. Where
both were measured on the same examples, which are told by their content, the difference comes with its 95% interval and
the probability that chance alone gives as much."""
EXAMPLES = """\
examples:
  tf-transfer runs compare experiments/first experiments/second
  tf-transfer runs compare experiments/* --plot curves.png

Accuracies are compared by the examples that only one of two has right (McNemar), mean errors by their differences
(Student)."""
WHEN_STOPPED = "Stopped: nothing was written."


def add_arguments(parser):
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of two runs or more; the first is the measure")
    add_shared(parser, "plot", more=", of the learning curves")


def run(arguments):
    from tf_transfer.workflow import compare_runs

    check_plot(arguments)
    comparison = compare_runs(arguments.runs)
    save_plot(arguments, comparison.plot)
    return Outcome(comparison.to_dict(), lambda: _show(comparison))


def _show(comparison):
    if comparison.settings:
        print_table(comparison.settings_table())
    else:
        print("The settings are the same.")
    print()
    print_table(comparison.figures_table())
