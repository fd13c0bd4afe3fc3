"""`tf-transfer report`: one page about a model or a run."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import accuracy_on, error_on, working
from tf_transfer.cli.shared_flags import add_shared, words
from tf_transfer.cli.train_other_flags import GROUPS

NAME = "report"
SUMMARY = "write one page about a model or a run, that needs no network"
DESCRIPTION = """\
Writes one HTML file about a trained model: how good it is, what it was made from and how, where it is wrong, what it
looks at, how far the target is, what it costs, how to serve it. Of a run (what --output of train, auto, adapt or
distill made) it shows the examples that the run measured on, unless others are given; a .keras file needs some. Take
examples that the model was not trained on."""
EXAMPLES = """\
examples:
  tf-transfer report runs/flowers
  tf-transfer report runs/flowers --images new_photos --output flowers.html
  tf-transfer report flowers.keras --images test_photos --title "Flowers, May"
  tf-transfer report runs/reviews --text new_reviews.csv --target sentiment
  tf-transfer report runs/heart --table new_patients.csv --target sick --json"""
WHEN_STOPPED = "Stopped: nothing was written."
_KINDS = ("images", "text", "table", "audio")


def add_arguments(parser):
    parser.add_argument("model", metavar="RUN_OR_MODEL", help="folder that --output of a run made, or a .keras file")
    add_shared(parser, "images")
    _, flags = GROUPS["examples"]
    for name in ("text", "table", "audio"):
        metavar, text = flags[name]
        parser.add_argument(f"--{name}", metavar=metavar, help=text)
    parser.add_argument("--target", metavar="COLUMN", help="of --text and --table: the column that was predicted")
    metavar, text = words("source", "; the page then says how far --images are from them")
    parser.add_argument("--source", metavar=metavar, help=text)
    parser.add_argument("--output", default="report.html", metavar="FILE", help="the page (default: report.html)")
    parser.add_argument("--title", metavar="TEXT", help="heading of the page (default: the name of the run or model)")
    parser.add_argument("--licence", metavar="TEXT", help="of the weights it began with (default: as said beside them)")
    parser.add_argument("--num-shown", type=int, default=8, metavar="N", help="mistakes to show (default: 8)")
    add_shared(parser, "batch_size", type=int, default=32)
    add_shared(parser, "skip_bad")


def run(arguments):
    from tf_transfer.workflow.export_record import metrics
    from tf_transfer.workflow.report import make_report
    from tf_transfer.workflow.report_examples import read_examples, read_source

    given = [kind for kind in _KINDS if getattr(arguments, kind) is not None]
    if len(given) > 1:
        arguments.usage_error(f"take one of --{', --'.join(given)}")
    if arguments.target is not None and not {"text", "table"} & set(given):
        arguments.usage_error("--target goes with --text or --table")
    if arguments.source is not None and given != ["images"]:
        arguments.usage_error("--source goes with --images")
    named = {name: getattr(arguments, name) for name in (*_KINDS, "target", "skip_bad")}
    names = ("history", "source", "target", "export_path", "pretrained", "gap")
    known = {**dict.fromkeys(names), "num_shown": arguments.num_shown, "licence": arguments.licence}
    if arguments.source is not None:
        known["source"] = lambda model: read_source(model, arguments.source, arguments.skip_bad)
    asked = {"class_names": None, "regression": None, "max_examples": 500}
    asked |= {"batch_size": arguments.batch_size, "verbose": 0}
    data = (lambda model: read_examples(model, **named)) if given else None
    with working(arguments, f"Asking {arguments.model}"):
        path, subject = make_report(arguments.model, data, arguments.output, arguments.title, known, asked)
    return Outcome({"report": path, "figures": metrics(subject.evaluation)}, lambda: _show(path, subject))


def _show(path, subject):
    if subject.is_classifier:
        print(f"accuracy  {accuracy_on(subject.evaluation, '{} examples')}")
    elif subject.is_regressor:
        print(f"error     {error_on(subject.evaluation, '{} examples')}")
    print(f"wrote     {path}")
