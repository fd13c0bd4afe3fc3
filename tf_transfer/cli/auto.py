"""`tf-transfer auto`: tries what is likely within a time, and keeps the best."""

from tf_transfer.cli.auto_flags import add_examples, add_networks, read_config
from tf_transfer.cli.printing import accuracy_on, gated, note, print_table
from tf_transfer.workflow.export_record import metrics

NAME = "auto"
SUMMARY = "try the likely networks and methods within a time, and keep the best"
DESCRIPTION = """\
Sets a part of the examples aside, searches on the others, and measures what it found on that part. Of images it ranks
backbones and scores the first of them by cross-validation, frozen, then trained, the better half for longer; of texts,
tables and recordings it tries networks that start at random, or those that are named, and, for comparison, models of
scikit-learn. It ends within the minutes that it is given, and always with a model."""
EXAMPLES = """\
examples:
  tf-transfer auto --images photos --minutes 20 --export saved_models/photos
  tf-transfer auto --images photos --minutes 60 --backbone mobilenet_v2 --backbone resnet50_v2 --output run
  tf-transfer auto --images photos --minutes 5 --image-size 96 --json > tried.json
  tf-transfer auto --text reviews.csv --target sentiment --minutes 5 --output run
  tf-transfer auto --table heart.csv --target sick --minutes 2 --output run
  tf-transfer auto --audio words --sample-rate 8000 --minutes 10 --output run

--output DIR is the folder of a run, as train leaves it: tf-transfer runs list, compare and reproduce, and tf-transfer
report take it. It has tried.csv, tried.json and tried.png too. What auto is likely to try, and why: tf-transfer
recommend with the same flags."""
WHEN_STOPPED = "Stopped: no model was kept. With --resume DIR the scores are, and the same command goes on from there."


def add_arguments(parser):
    parser.add_argument("--minutes", type=float, default=20.0, metavar="N", help="time for all of it (default: 20)")
    parser.add_argument(
        "--method", action="append", metavar="NAME",
        help="prototypes, feature_extraction, l2_sp, fine_tuning or from_scratch; several times (default: what suits "
        "the labels)",
    )  # fmt: skip
    parser.add_argument("--folds", type=int, default=3, metavar="N", help="parts of the cross-validation (default: 3)")
    parser.add_argument(
        "--metric", default="accuracy", metavar="NAME", help="accuracy, macro_f1 or log_loss (default: accuracy)"
    )
    parser.add_argument("--resume", metavar="DIR", help="keep the scores here, and go on from there when stopped")
    add_networks(parser)
    add_examples(parser, held_out=True)


def run(arguments):
    from tf_transfer.choosing.auto_run import auto_run

    config, options = read_config(arguments)
    if config.output is config.export is config.save_model is config.min_accuracy is None:
        kept = "--output DIR, --export DIR or --save-model FILE"
        note(arguments, f"Note: the model is only measured. To keep it, give {kept}.")
    result = auto_run(
        config,
        arguments.minutes,
        methods=arguments.method,
        num_folds=arguments.folds,
        metric=arguments.metric,
        resume=arguments.resume,
        # The table is what was found, and shown at the end.
        verbose=0 if arguments.quiet else 2,
        **options,
    )
    compared = {name: metrics(each) for name, each in result.compared.items()}
    content = {**result.found.to_dict(), "class_names": result.class_names, "figures": metrics(result.evaluation)}
    return gated(config, result, {**content, "compared": compared}, lambda: _show(result))


def _show(result):
    print_table(result.found.table())
    print(f"accuracy  {accuracy_on(result.evaluation, '{} examples that were set aside')}")
    print(f"macro-F1  {result.evaluation.macro_f1:.3f}")
    for name, each in result.compared.items():
        print(f"          {accuracy_on(each, '{} with ' + name)}")
