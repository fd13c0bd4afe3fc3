"""`tf-transfer bench-serving`: how long an exported model takes to answer."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import print_table, working

NAME = "bench-serving"
SUMMARY = "measure how long an exported model takes to answer"
DESCRIPTION = """\
Times an exported model by batch size, as TensorFlow Serving runs it but without a network: the milliseconds that 50, 95
and 99 of 100 requests stay below, and the examples a second. The bare graph computes the numbers alone; what a
signature takes more is its overhead."""
EXAMPLES = """\
examples:
  tf-transfer bench-serving saved_models/flowers
  tf-transfer bench-serving saved_models/flowers --batch-sizes 1,16 --seconds 20 --json

Close other programs: whatever else the machine does shows in the 95 and 99 of 100."""
WHEN_STOPPED = "Stopped: nothing was measured."


def add_arguments(parser):
    parser.add_argument("path", metavar="PATH", help="exported model: NAME (its latest version) or NAME/1")
    parser.add_argument("--batch-sizes", default="1,8,32", metavar="N,...", help="examples at once (default: 1,8,32)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, metavar="S", help="how long to measure each batch size (default: 5)"
    )


def run(arguments):
    from tf_transfer.serving import benchmark

    sizes = _sizes(arguments.batch_sizes)
    with working(arguments, f"Measuring batches of {arguments.batch_sizes} for {arguments.seconds:g} s each"):
        found = benchmark(arguments.path, sizes, seconds=arguments.seconds)
    return Outcome({"measurements": found}, lambda: print_table(_table(found)))


def _sizes(text):
    try:
        return [int(size) for size in text.split(",")]
    except ValueError:
        raise ValueError(f"--batch-sizes must be whole numbers such as 1,8,32. Received: {text!r}.") from None


def _table(found):
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("signature", no_wrap=True)
    for name in ("batch", "p50, ms", "p95, ms", "p99, ms", "examples/s", "over bare", "decoding, ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        bare = one.signature == found[0].signature
        table.add_row(
            one.signature,
            str(one.batch_size),
            *(f"{value:.3g}" for value in (one.p50, one.p95, one.p99)),
            f"{one.throughput:.4g}",
            "" if bare else f"{100 * one.overhead:+.1f} %",
            "" if one.decoding is None else f"{one.decoding:.3g}",
            end_section=one is found[-1],
        )
    return table
