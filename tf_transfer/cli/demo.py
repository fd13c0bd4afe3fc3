"""`tf-transfer demo`: the main job on data that comes with the package."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.shared_flags import add_shared
from tf_transfer.workflow.export_record import metrics

NAME = "demo"
SUMMARY = "see it work on handwritten digits, without network, in a few minutes"
DESCRIPTION = """\
Carries an encoder that was trained on MNIST over to other handwritten digits with ten labelled images a class: from
scratch, on frozen features, and fine-tuned. Exports the best, asks it again in a clean process, and writes a page."""
EXAMPLES = """\
examples:
  tf-transfer demo
  tf-transfer demo --quick --seeds 0 --export /tmp/digits --report /tmp/digits.html"""
WHEN_STOPPED = "Stopped: nothing was exported, and no page was written."


def add_arguments(parser):
    add_shared(parser, "export", default="saved_models/digits")
    parser.add_argument("--report", metavar="FILE", default="demo_report.html", help="page (default: %(default)s)")
    parser.add_argument(
        "--seeds",
        metavar="N",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        help="one training of each kind a seed (default: 0 1 2)",
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the epochs, to see that everything runs")
    parser.add_argument(
        "--record", metavar="FILE", help="write the figures of each training to this file, as JSON lines"
    )


def run(arguments):
    from tf_transfer.workflow import run_demo

    options = {"quick": arguments.quick, "record": arguments.record, "verbose": int(not arguments.quiet)}
    result = run_demo(arguments.export, arguments.report, arguments.seeds, **options)
    runs = [{"method": run.method, "seed": run.seed, "figures": metrics(run.test)} for run in result.runs]
    best = {"method": result.best.method, "seed": result.best.seed}
    content = {"runs": runs, "best": best, "exported": result.export_path, "report": result.report_path}
    return Outcome(content, lambda: _show(result))


def _show(result):
    low, high = result.best.test.accuracy_interval()
    figures = f"{result.best.test.accuracy:.3f} (95% interval {low:.3f} to {high:.3f})"
    print(f"best      {result.best.method}, seed {result.best.seed}, accuracy {figures}")
    print(f"exported  {result.export_path}")
    print(f"wrote     {result.report_path}")
