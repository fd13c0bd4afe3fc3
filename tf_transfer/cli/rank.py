"""`tf-transfer rank`: which backbone to start from."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import print_table, working
from tf_transfer.cli.shared_flags import add_shared, check_plot, image_options, save_plot

NAME = "rank"
SUMMARY = "rank backbones for a folder of images, before anything is trained"
DESCRIPTION = """\
Lets each backbone look at the images once and says how well its features fit the classes, and what it costs: weights,
arithmetic, and images a second on this machine. Nothing is trained. The scores make a shortlist: train the first two
or three, and keep the best."""
EXAMPLES = """\
examples:
  tf-transfer rank --images photos
  tf-transfer rank --images photos --backbone mobilenet_v2 --backbone resnet50 --image-size 160
  tf-transfer rank --images photos --backbone file:own.keras --backbone hub:saved_models/encoder/1 --plot rank.png
  tf-transfer rank --images photos --json

Features are kept in the user's cache folder, so that a second ranking, or a training, finds them there. The next step:
tf-transfer train --backbone BEST."""
WHEN_STOPPED = "Stopped: nothing was ranked; features that were computed are kept."


def add_arguments(parser):
    add_shared(parser, "images", required=True)
    add_shared(parser, "backbone", action="append", more="; may be repeated (default: six of Keras, small to large)")
    add_shared(parser, "weights", default="imagenet")
    add_shared(parser, "image_size")
    add_shared(parser, "channels", type=int, default=3)
    parser.add_argument(
        "--score", action="append", metavar="NAME",
        help="h_score, log_me, nleep or trans_rate; may be repeated (default: the first three)",
    )  # fmt: skip
    add_shared(parser, "max_examples", type=int, default=2000)
    add_shared(parser, "batch_size", type=int, default=32)
    add_shared(parser, "skip_bad")
    add_shared(parser, "seed", type=int, default=0)
    add_shared(parser, "plot", more=", of score against cost")
    parser.add_argument("--csv", metavar="FILE", help="write the figures to a file")


def run(arguments):
    from tf_transfer.workflow import rank
    from tf_transfer.workflow.output_folder import check_file
    from tf_transfer.workflow.rank import SHORTLIST

    names = ("channels", "max_examples", "batch_size", "skip_bad", "seed")
    options = {name: getattr(arguments, name) for name in names} | image_options(arguments)
    if arguments.score is not None:
        options["scores"] = arguments.score
    check_plot(arguments)
    if arguments.csv is not None:
        check_file(arguments.csv, "csv")
    backbones = arguments.backbone or SHORTLIST
    with working(arguments, f"Looking at {arguments.images} with {len(backbones)} backbones"):
        ranking = rank(arguments.images, backbones, verbose=0, **options)
    save_plot(arguments, ranking.plot)
    if arguments.csv is not None:
        ranking.to_csv(arguments.csv)
    return Outcome(ranking.to_dict(), lambda: print_table(ranking.table()))
