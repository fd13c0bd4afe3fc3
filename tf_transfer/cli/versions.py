"""`tf-transfer versions`: which versions of a served model there are."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import print_table

NAME = "versions"
SUMMARY = "list the versions of a served model"
DESCRIPTION = """\
Lists the versions of a served model, the oldest first: when they were exported, how large they are, and the figures
that were given at the export. TensorFlow Serving answers from the latest."""
EXAMPLES = """\
examples:
  tf-transfer versions saved_models/flowers

A version that is "not whole" lacks files, or is still being copied; tf-transfer never removes or copies such a one."""
WHEN_STOPPED = "Stopped."


def add_arguments(parser):
    parser.add_argument("path", metavar="DIR", help="folder of the served model, such as saved_models/flowers")


def run(arguments):
    from tf_transfer.serving import versions

    found = versions(arguments.path)
    return Outcome({"versions": found}, lambda: print_table(_table(found)))


def _table(found):
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("version", justify="right")
    table.add_column("exported (UTC)", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for name in ("figures", "note"):
        table.add_column(name)
    for version in found:
        created = (version.created or "unknown").replace("T", " ")[:16]
        figures = ", ".join(f"{name} {value:.4g}" for name, value in version.metrics.items())
        cells = (str(version.number), created, _size(version.num_bytes), figures, _note(version))
        # As text, so that brackets in a name are not taken for markup.
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    return table


def _note(version):
    notes = [
        "latest" if version.latest else "",
        f"copy of {version.copied_from}" if version.copied_from else "",
        "" if version.whole else "not whole",
    ]
    return ", ".join(note for note in notes if note)


def _size(num_bytes):
    for unit in ("B", "kB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} GB"
