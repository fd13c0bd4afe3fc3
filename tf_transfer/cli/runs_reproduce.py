"""`tf-transfer runs reproduce`: a recorded run, run again."""

from tf_transfer.cli.exit_codes import ExitCode
from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import print_table, verbosity
from tf_transfer.cli.shared_flags import add_shared

NAME = "reproduce"
SUMMARY = "run a recorded configuration again and compare the figures"
DESCRIPTION = """\
Runs the configuration that a run recorded again, into a new folder, and says whether the figures come out as they were.
A warning names data and versions that have changed since. Of a run of auto what it chose is trained again, not searched
for. Nothing is exported."""
EXAMPLES = """\
examples:
  tf-transfer runs reproduce experiments/first --output experiments/again

The exit code is 3 when the figures are further apart than chance."""
WHEN_STOPPED = "Stopped: the new run left nothing."


def add_arguments(parser):
    parser.add_argument("path", metavar="RUN", help="folder of the run")
    add_shared(parser, "output", required=True)


def run(arguments):
    from tf_transfer.workflow import reproduce_run

    found = reproduce_run(arguments.path, arguments.output, verbose=verbosity(arguments))
    code = ExitCode.SUCCESS if found.agrees or found.agreement == "unknown" else ExitCode.GATE_MISSED
    return Outcome({"output": arguments.output, **found.to_dict()}, lambda: _show(found), code)


def _show(found):
    print_table(found.table())
    print(found.conclusion)
