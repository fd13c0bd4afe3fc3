"""`tf-transfer backbones`: which pretrained networks there are."""

from tf_transfer import _checks
from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import print_table

NAME = "backbones"
SUMMARY = "list the pretrained networks to start from"
DESCRIPTION = "Lists the pretrained networks (backbones) that --backbone of tf-transfer train takes."
EXAMPLES = """\
examples:
  tf-transfer backbones
  tf-transfer backbones mobilenet

Images always go in raw, with values from 0 to 255: each backbone scales them itself as its weights were trained
(column preprocessing). Small and quick on a CPU: mobilenet_v2, mobilenet_v3_small. More accurate and slower:
efficientnet_v2_b0, resnet50, convnext_tiny. Those with a size of their own come with tf-transfer and need no download.
Also taken: hub:HANDLE (a module of TF Hub or Kaggle, or its folder) and file:MODEL.keras (a saved Keras model)."""
WHEN_STOPPED = "Stopped."


def add_arguments(parser):
    parser.add_argument("filter", nargs="?", default="", metavar="FILTER", help="only names with this text in them")


def run(arguments):
    from tf_transfer.backbones import names

    found = names(arguments.filter)
    if not found:
        raise ValueError(
            f"No backbone has {arguments.filter!r} in its name.{_checks.did_you_mean(arguments.filter, names())}"
        )
    return Outcome({"backbones": [_entry(name) for name in found]}, lambda: print_table(_table(found)))


def _entry(name):
    from tf_transfer.backbones import APPLICATIONS

    entry = APPLICATIONS.get(name)
    known = ("default_size", "smallest_size", "preprocessing", "normalization")
    return {"name": name, **{field: getattr(entry, field, None) for field in known}}


def _table(found):
    from rich.table import Table

    from tf_transfer.backbones import APPLICATIONS

    table = Table(box=None, pad_edge=False)
    # A name that is cut off at the edge of a narrow screen can't be typed.
    table.add_column("name", no_wrap=True)
    for column in ("default size", "smallest size"):
        table.add_column(column, justify="right")
    table.add_column("preprocessing")
    table.add_column("normalization")
    for name in found:
        entry = APPLICATIONS.get(name)
        if entry is None:
            table.add_row(name, "its own", "its own", "unit", "in the module")
        else:
            sizes = f"{entry.default_size} px", f"{entry.smallest_size} px"
            table.add_row(name, *sizes, entry.preprocessing, entry.normalization)
    return table
