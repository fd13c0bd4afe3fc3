"""A parser whose errors can be told as JSON too."""

import argparse
import sys

from tf_transfer.cli.exit_codes import ExitCode


class UsageError(SystemExit):
    """A command that can't be read; the process ends with the exit code of wrong usage when nobody catches it."""

    def __init__(self, sentence):
        super().__init__(int(ExitCode.WRONG_USAGE))
        self.sentence = sentence


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that raises a `UsageError` with the sentence that it prints."""

    def error(self, message):
        self.print_usage(sys.stderr)
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        raise UsageError(message)
