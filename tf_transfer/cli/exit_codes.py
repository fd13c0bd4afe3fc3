"""What the process says to whoever called it. `argparse` itself exits with 2 on wrong usage."""

import enum


class ExitCode(enum.IntEnum):
    """The exit codes of `tf-transfer`."""

    SUCCESS = 0
    BAD_INPUT = 1
    WRONG_USAGE = 2
    # An accuracy below --min-accuracy, or a run whose figures did not come out again.
    GATE_MISSED = 3
    # 128 and the number of the signal, as shells have it.
    INTERRUPTED = 130
    TERMINATED = 143


# The one place that words them: the help, and the documentation by a test.
MEANINGS = {
    ExitCode.SUCCESS: "done",
    ExitCode.BAD_INPUT: "input that can't be used",
    ExitCode.WRONG_USAGE: "wrong usage",
    ExitCode.GATE_MISSED: "accuracy below --min-accuracy, or a run that was not reproduced",
    ExitCode.INTERRUPTED: "stopped (Ctrl-C)",
    ExitCode.TERMINATED: "asked to end (SIGTERM)",
}


def described():
    """Returns all codes and what they mean in one sentence."""
    return ", ".join(f"{int(code)} {meaning}" for code, meaning in MEANINGS.items())
