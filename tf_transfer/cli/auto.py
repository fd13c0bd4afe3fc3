"""`tf-transfer auto`: tries what is likely within a time, and keeps the best."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import note, print_places, print_table
from tf_transfer.cli.shared_flags import add_shared, image_options

NAME = "auto"
SUMMARY = "try the likely backbones and methods within a time, and keep the best"
DESCRIPTION = """\
Ranks backbones, scores the first of them by cross-validation, frozen, then trained, the better half of them for longer,
and trains the best on all images. It ends within the minutes that it is given, and always with a model. The score of
the best is somewhat too good, since the best was chosen by it: measure the model on other images."""
EXAMPLES = """\
examples:
  tf-transfer auto --images photos --minutes 20 --export saved_models/photos
  tf-transfer auto --images photos --minutes 60 --backbone mobilenet_v2 --backbone resnet50_v2 --output run
  tf-transfer auto --images photos --minutes 5 --image-size 96 --json > tried.json

--output DIR has model.keras, config.yaml (for tf-transfer train --config), tried.csv, tried.json and tried.png. What it
is likely to try, and why: tf-transfer recommend --images photos."""
WHEN_STOPPED = "Stopped: no model was kept. With --resume DIR the scores are, and the same command goes on from there."


def add_arguments(parser):
    add_shared(parser, "images", required=True)
    parser.add_argument("--minutes", type=float, default=20.0, metavar="N", help="time for all of it (default: 20)")
    add_backbones(parser)
    parser.add_argument(
        "--method", action="append", metavar="NAME",
        help="prototypes, feature_extraction, l2_sp or fine_tuning; several times (default: what suits the labels)",
    )  # fmt: skip
    add_shared(parser, "augmentation", more=" (default: standard)")
    parser.add_argument("--folds", type=int, default=3, metavar="N", help="parts of the cross-validation (default: 3)")
    parser.add_argument(
        "--metric", default="accuracy", metavar="NAME", help="accuracy, macro_f1 or log_loss (default: accuracy)"
    )
    parser.add_argument("--resume", metavar="DIR", help="keep the scores here, and go on from there when stopped")
    parser.add_argument("--output", metavar="DIR", help="a new folder for the model and the table of what was tried")
    for name in ("export", "save_model", "skip_bad"):
        add_shared(parser, name)


def add_backbones(parser):
    """Adds the flags on images and backbones that `auto` and `recommend` share."""
    add_shared(parser, "backbone", action="append", more="; may be repeated")
    add_shared(parser, "weights", default="imagenet")
    add_shared(parser, "image_size")
    parser.add_argument("--max-parameters", type=int, metavar="N", help="only backbones with at most so many weights")
    parser.add_argument(
        "--max-milliseconds", type=float, metavar="N", help="only backbones that take at most so long an image, here"
    )
    add_shared(parser, "batch_size", type=int, default=32)
    add_shared(parser, "seed", type=int, default=0)


def options_of(arguments):
    """Returns what the flags of `add_backbones` say as arguments of `tft.auto` and `tft.recommend`."""
    budget = {name: getattr(arguments, name) for name in ("max_parameters", "max_milliseconds")}
    found = {
        **image_options(arguments),
        "budget": {name: value for name, value in budget.items() if value is not None},
        "batch_size": arguments.batch_size,
        "seed": arguments.seed,
    }
    if arguments.backbone:
        found["backbones"] = arguments.backbone
    return found


def run(arguments):
    from tf_transfer.choosing.auto_run import auto_run

    options = options_of(arguments)
    if arguments.augmentation is not None:
        options["augmentation"] = None if arguments.augmentation == "none" else arguments.augmentation
    if arguments.export is arguments.save_model is arguments.output is None:
        note(arguments, "Note: no model is kept. Give --export DIR, --save-model FILE or --output DIR.")
    result, places = auto_run(
        arguments.images,
        arguments.minutes,
        methods=arguments.method,
        num_folds=arguments.folds,
        metric=arguments.metric,
        resume=arguments.resume,
        output=arguments.output,
        model_file=arguments.save_model,
        served=arguments.export,
        skip_bad=arguments.skip_bad,
        # The table is what was found, and shown at the end.
        verbose=0 if arguments.quiet else 2,
        **options,
    )

    def show():
        print_table(result.table())
        print_places(arguments, **places)

    kept = {"output": places["wrote"], "saved_model": places["saved"], "exported": places["exported"]}
    return Outcome({**result.to_dict(), **kept}, show)
