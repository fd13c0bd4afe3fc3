"""Runs a command and turns what happens into sentences, or JSON, and an exit code."""

import contextlib
import signal
import sys
import traceback
import warnings

from tf_transfer import _checks
from tf_transfer._logging import without_retracing_warnings
from tf_transfer.cli.exit_codes import ExitCode
from tf_transfer.cli.outcome import error_document, print_json
from tf_transfer.cli.parser import build_parser
from tf_transfer.cli.usage import UsageError


def main(argv=None):
    """Runs `tf-transfer` with a list of arguments, those of the process by default, and returns the exit code.

    What a command found goes to the standard output, as text or with `--json` as one document; all else, the progress
    of libraries too, to the error stream.

    Args:
        argv: List of strings, or None.

    Returns:
        Integer: 0 when all went well, 1 for input that can't be used, 2 for a command that can't be read (raised as
        `SystemExit`, by `argparse`), 3 for an accuracy below `--min-accuracy` or a run that was not reproduced, 130
        after Ctrl-C, 143 when the process was asked to end (SIGTERM).

    Example:

    >>> int(main(["backbones", "xception"]))
    name      default size  smallest size  preprocessing  normalization
    xception        299 px          71 px  tf             batch
    0
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments, unknown = build_parser().parse_known_args(argv)
        if unknown:
            arguments.usage_error(f"unknown: {' '.join(unknown)}.{_checks.did_you_mean(unknown[0], arguments.flags)}")
        return _run(arguments)
    except UsageError as error:
        if "--json" in argv:
            print_json(error_document(error.sentence, ExitCode.WRONG_USAGE))
        raise


def _run(arguments):
    with _warnings_in_sentences(), without_retracing_warnings(), _asked_to_end() as asked:
        try:
            # Whatever a library prints is progress; what was found is shown at the end.
            with contextlib.redirect_stdout(sys.stderr):
                outcome = arguments.run(arguments)
            if arguments.json:
                print_json(outcome.document(arguments.command))
            else:
                outcome.show()
            return outcome.exit_code
        except (ValueError, OSError, TypeError, RuntimeError) as error:
            if arguments.debug:
                traceback.print_exc()
            sentence = _sentence(error)
            return _failed(arguments, f"error: {sentence}", sentence, ExitCode.BAD_INPUT)
        except KeyboardInterrupt as stop:
            sentence = str(stop) or arguments.when_stopped
            code = ExitCode.TERMINATED if asked else ExitCode.INTERRUPTED
            return _failed(arguments, f"\n{sentence}", sentence, code)
        except Exception as fault:
            if arguments.json:
                print_json(error_document(f"A fault in tf-transfer: {fault!r}", ExitCode.BAD_INPUT))
            raise


def _failed(arguments, said, sentence, code):
    _say(said)
    if arguments.json:
        print_json(error_document(sentence, code))
    return code


def _sentence(error):
    # What the operating system says alone is a number in brackets and a file at the end.
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename!r}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _say(text):
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _asked_to_end():
    """Lets SIGTERM, by which schedulers and shutdowns end a process, do what Ctrl-C does; gives a list of those."""
    asked = []

    def stop(number, frame):
        asked.append(number)
        # A second one does not wait for what is being tidied up.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:
        # Only the main thread of a process gets signals.
        yield asked
        return
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _warnings_in_sentences():
    """Shows warnings without the place in the code that they come from, which means nothing to who calls a command."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say(f"warning: {message}")
        yield
