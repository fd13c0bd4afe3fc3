"""The command line: one parser, one part a command."""

import argparse
import textwrap

from tf_transfer import __version__
from tf_transfer.cli import (
    adapt,
    auto,
    backbones,
    bench_serving,
    completion,
    convert,
    demo,
    distill,
    export,
    gap,
    predict,
    rank,
    recommend,
    report,
    rollback,
    runs,
    train,
    tune,
    versions,
)
from tf_transfer.cli.exit_codes import described
from tf_transfer.cli.usage import Parser

COMMANDS = (
    backbones,
    train,
    tune,
    rank,
    recommend,
    auto,
    gap,
    adapt,
    distill,
    report,
    runs,
    predict,
    export,
    convert,
    versions,
    rollback,
    bench_serving,
    demo,
    completion,
)
DESCRIPTION = """\
Transfer learning: start from a network that was trained on a lot of data (a backbone), train it further on few of your
own, and get a model that can be served."""
EPILOG = f"""\
A first run, on a folder that has one subfolder of images per class:
  tf-transfer train --images photos --backbone mobilenet_v2 --export saved_models/photos
  tf-transfer predict saved_models/photos new_photo.jpg

tf-transfer COMMAND --help says what a command takes, with examples. Results go to the standard output, progress, notes
and warnings to the error stream.
{textwrap.fill(f"Exit codes: {described()}.", 119)}"""
COMMON = {
    "--json": "print one JSON document on the standard output instead of text, also for an error",
    "--quiet": "no progress and no notes on the error stream; warnings and errors stay",
    "--debug": "show where in the code an error came from",
}


def build_parser():
    """Returns the `argparse.ArgumentParser` of `tf-transfer`; a parsed command has its function under `run`."""
    parser = Parser(prog="tf-transfer", **_texts(DESCRIPTION, EPILOG))
    parser.add_argument("--version", action="version", version=f"tf-transfer {__version__}")
    _add_commands(parser, COMMANDS)
    return parser


def leaves(parser, name=""):
    """Yields the name and the parser of each command, those of a command in parts one by one, as in "runs list"."""
    inside = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inside:
        yield name, parser
    for action in inside:
        for word, part in action.choices.items():
            yield from leaves(part, f"{name} {word}".strip())


def _add_commands(parser, commands, above=""):
    parts = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        texts = _texts(command.DESCRIPTION, command.EXAMPLES)
        part = parts.add_parser(command.NAME, help=command.SUMMARY, allow_abbrev=False, **texts)
        name = f"{above} {command.NAME}".strip()
        if hasattr(command, "COMMANDS"):
            _add_commands(part, command.COMMANDS, name)
            continue
        command.add_arguments(part)
        common = part.add_argument_group("of every command")
        for flag, text in COMMON.items():
            common.add_argument(flag, action="store_true", help=text)
        flags = [flag for action in part._actions for flag in action.option_strings]
        said = {"command": name, "run": command.run, "when_stopped": command.WHEN_STOPPED}
        part.set_defaults(**said, usage_error=part.error, flags=flags)


def _texts(description, epilog):
    return {"description": description, "epilog": epilog, "formatter_class": argparse.RawDescriptionHelpFormatter}
