"""The command line: one parser, one part a command."""

import argparse

from tf_transfer import __version__
from tf_transfer.cli import (
    adapt,
    backbones,
    bench_serving,
    convert,
    demo,
    distill,
    export,
    gap,
    predict,
    rank,
    rollback,
    train,
    tune,
    versions,
)

COMMANDS = (
    backbones,
    train,
    tune,
    rank,
    gap,
    adapt,
    distill,
    predict,
    export,
    convert,
    versions,
    rollback,
    bench_serving,
    demo,
)
DESCRIPTION = """\
Transfer learning for images: start from a network that was trained on a lot of images (a backbone), train it further
on few of your own, and get a model that can be served."""
EPILOG = """\
A first run, on a folder that has one subfolder of images per class:
  tf-transfer train --images photos --backbone mobilenet_v2 --export saved_models/photos
  tf-transfer predict saved_models/photos new_photo.jpg

tf-transfer COMMAND --help says what a command takes, with examples.
Exit codes: 0 done, 1 input that can't be used, 2 wrong usage, 3 accuracy below --min-accuracy, 130 stopped (Ctrl-C),
143 asked to end (SIGTERM)."""


def build_parser():
    """Returns the `argparse.ArgumentParser` of `tf-transfer`; a parsed command has its function under `run`."""
    parser = argparse.ArgumentParser(
        prog="tf-transfer",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tf-transfer {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        part = commands.add_parser(
            command.NAME,
            help=command.SUMMARY,
            description=command.DESCRIPTION,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(part)
        part.add_argument("--debug", action="store_true", help="show where in the code an error came from")
        flags = [flag for action in part._actions for flag in action.option_strings]
        part.set_defaults(run=command.run, when_stopped=command.WHEN_STOPPED, usage_error=part.error, flags=flags)
    return parser
