"""`tf-transfer rank`: which backbone to start from."""

import json

from tf_transfer.cli.exit_codes import ExitCode
from tf_transfer.cli.printing import print_table

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
    parser.add_argument("--images", required=True, metavar="DIR", help="folder with a folder a class")
    parser.add_argument(
        "--backbone", action="append", metavar="NAME",
        help="a name of `tf-transfer backbones`, file:MODEL.keras or hub:HANDLE; several times (default: six of Keras)",
    )  # fmt: skip
    parser.add_argument("--weights", default="imagenet", metavar="NAME", help="imagenet or none (default: imagenet)")
    parser.add_argument("--image-size", metavar="N", help="pixels: 128 or 96x128 (default: as each was trained)")
    parser.add_argument("--channels", type=int, default=3, metavar="N", help="1, 3 or 4 (default: 3)")
    parser.add_argument(
        "--score", action="append", metavar="NAME",
        help="h_score, log_me, nleep or trans_rate; several times (default: h_score and log_me)",
    )  # fmt: skip
    parser.add_argument("--max-examples", type=int, default=2000, metavar="N", help="images to look at (default: 2000)")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="images at once (default: 32)")
    parser.add_argument("--skip-bad", action="store_true", help="leave out images that can't be read")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the choice of images (default: 0)")
    parser.add_argument("--plot", metavar="FILE", help="draw score against cost: a .png, .svg or .pdf file")
    parser.add_argument("--csv", metavar="FILE", help="write the figures to a file")
    parser.add_argument("--json", action="store_true", help="write the figures as JSON instead of a table")


def run(arguments):
    from tf_transfer import _files
    from tf_transfer.workflow import rank
    from tf_transfer.workflow.output_folder import check_file
    from tf_transfer.workflow.rank import SHORTLIST
    from tf_transfer.workflow.written_values import read_value

    options = {
        name: getattr(arguments, name) for name in ("channels", "max_examples", "batch_size", "skip_bad", "seed")
    }
    if arguments.image_size is not None:
        options["image_size"] = read_value(arguments.image_size, int | tuple | None, "image_size")
    if arguments.score is not None:
        options["scores"] = arguments.score
    for name in ("plot", "csv"):
        if getattr(arguments, name) is not None:
            check_file(getattr(arguments, name), name)
    options["weights"] = None if arguments.weights == "none" else arguments.weights
    ranking = rank(arguments.images, arguments.backbone or SHORTLIST, verbose=0, **options)
    if arguments.plot is not None:
        with _files.whole_file(arguments.plot) as draft:
            ranking.plot().savefig(draft, dpi=144)
    if arguments.csv is not None:
        ranking.to_csv(arguments.csv)
    if arguments.json:
        print(json.dumps(ranking.to_dict(), indent=2))
    else:
        print_table(ranking.table())
    return ExitCode.SUCCESS
