"""What `--json` prints, held against the table of docs/command_line.md."""

import json
import re
from pathlib import Path

DOCUMENTATION = Path(__file__).parents[1] / "docs" / "command_line.md"


def documented_names():
    """Returns a dict of commands to the names of their documents beside "command" and "exit_code"."""
    section = DOCUMENTATION.read_text(encoding="utf-8").split("## For programs")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE)
    return {command: re.findall(r"`([a-z_0-9]+)`", names) for command, names in rows}


def document_of(out):
    """Returns the one document that a command has printed, and checks its names against the documentation."""
    document = json.loads(out)
    assert sorted(document) == sorted(["command", "exit_code", *documented_names()[document["command"]]])
    return document
