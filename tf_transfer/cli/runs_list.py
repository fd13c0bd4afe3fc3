"""`tf-transfer runs list`: all runs below a folder."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import print_table

NAME = "list"
SUMMARY = "list the runs in a folder and below"
DESCRIPTION = "Lists the runs in a folder and below, the oldest first, with what each was and what came out."
EXAMPLES = """\
examples:
  tf-transfer runs list experiments
  tf-transfer runs list . --json | jq '.runs[] | [.name, .figures.accuracy]'"""
WHEN_STOPPED = "Stopped."


def add_arguments(parser):
    parser.add_argument("folder", metavar="DIR", help="folder with runs in it, at any depth")


def run(arguments):
    from tf_transfer.workflow import list_runs

    runs = list_runs(arguments.folder)
    return Outcome({"runs": [run.to_dict() for run in runs]}, lambda: _show(arguments.folder, runs))


def _show(folder, runs):
    from rich.table import Table
    from rich.text import Text

    if not runs:
        print(f"No run in {folder}: --output of train, auto, adapt, distill and tune keeps one.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("run", "command", "when (UTC)", "backbone", "method", "figure (95% interval)"):
        table.add_column(name, overflow="fold")
    table.add_column("seed", justify="right")
    for run in runs:
        when = run.created.replace("T", " ")[:16]
        cells = (run.path, run.command, when, run.backbone or "", run.method, run.describe(), str(run.seed))
        # As text, so that brackets in a path are not taken for markup.
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    print_table(table)
