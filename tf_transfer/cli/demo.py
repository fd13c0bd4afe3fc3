"""`tf-transfer demo`: the main job on data that comes with the package."""

from tf_transfer.cli.exit_codes import ExitCode

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
    parser.add_argument(
        "--export", metavar="DIR", default="saved_models/digits", help="served model (default: %(default)s)"
    )
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

    run_demo(arguments.export, arguments.report, arguments.seeds, quick=arguments.quick, record=arguments.record)
    return ExitCode.SUCCESS
