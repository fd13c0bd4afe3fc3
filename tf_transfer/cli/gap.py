"""`tf-transfer gap`: how different two folders of images are."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import print_table, working
from tf_transfer.cli.shared_flags import add_shared, check_plot, image_options, save_plot

NAME = "gap"
SUMMARY = "measure how different two folders of images are"
DESCRIPTION = """\
Compares two folders of images as a pretrained network sees them: is the target so different from the source that a
model of the source will fail on it? No labels are needed. Where both folders have the same subfolders, those are
classes, and each is compared too."""
EXAMPLES = """\
examples:
  tf-transfer gap --source catalogue --target street
  tf-transfer gap --source catalogue --target street --backbone resnet50 --plot gap.png
  tf-transfer gap --source 2024 --target 2025 --json

Proxy A-distance: 0 where a classifier can't tell the folders apart, 2 where it always can. The next step for a target
that is far: tf-transfer adapt."""
WHEN_STOPPED = "Stopped: nothing was measured."


def add_arguments(parser):
    add_shared(parser, "source", required=True)
    add_shared(parser, "target", required=True)
    add_shared(parser, "backbone", default="mobilenet_v2", more="; take the one that you will start from")
    add_shared(parser, "weights", default="imagenet")
    add_shared(parser, "image_size")
    add_shared(parser, "channels", type=int, more=" (default: the backbone's own)")
    add_shared(parser, "max_examples", type=int, default=1000, more=", of each folder")
    add_shared(parser, "batch_size", type=int, default=32)
    add_shared(parser, "skip_bad")
    add_shared(parser, "seed", type=int, default=0)
    add_shared(parser, "plot")


def run(arguments):
    from tf_transfer.workflow import measure_gap

    names = ("backbone", "channels", "max_examples", "batch_size", "skip_bad", "seed")
    options = {name: getattr(arguments, name) for name in names} | image_options(arguments)
    check_plot(arguments)
    with working(arguments, f"Looking at {arguments.source} and {arguments.target} with {arguments.backbone}"):
        gap = measure_gap(arguments.source, arguments.target, **options)
    save_plot(arguments, gap.plot)
    return Outcome(gap.to_dict(), lambda: print_table(gap.table()))
