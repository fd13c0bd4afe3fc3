"""What a command found: as one JSON document for programs, as text for people."""

import dataclasses
import json
import math
import os
from collections.abc import Callable

from tf_transfer.cli.exit_codes import ExitCode


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command found.

    Args:
        content: Dict, what `--json` prints beside "command" and "exit_code".
        show: Function without arguments that prints it for people.
        exit_code: `ExitCode`. Defaults to that of success.
    """

    content: dict
    show: Callable
    exit_code: ExitCode = ExitCode.SUCCESS

    def document(self, command):
        """Returns all of it as plain data."""
        return {"command": command, "exit_code": int(self.exit_code), **plain(self.content)}


def print_json(document):
    """Prints plain data as JSON, which has no NaN."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), flush=True)


def error_document(sentence, exit_code):
    """Returns what `--json` prints instead when a command fails."""
    return {"error": sentence, "exit_code": int(exit_code)}


def plain(value):
    """Returns nested values as JSON has them: lists for tuples and arrays, dicts for named ones, null for NaN."""
    if dataclasses.is_dataclass(value):
        return plain(dataclasses.asdict(value))
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return os.fspath(value) if isinstance(value, os.PathLike) else value
