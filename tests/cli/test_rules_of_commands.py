"""What all commands hold, also those to come: the same flags, one JSON document, exit codes, a place in the docs."""

import argparse
import json
import re

import cli_documents
import pytest
from cli_documents import document_of

from tf_transfer import workflow
from tf_transfer.cli import backbones, main
from tf_transfer.cli.exit_codes import MEANINGS
from tf_transfer.cli.parser import COMMON, build_parser, leaves
from tf_transfer.cli.shared_flags import WORDS

LEAVES = dict(leaves(build_parser()))
# Something that each command refuses, quickly.
REFUSED = {
    "auto": ["--images", "nowhere", "--minutes", "-1"],
    "recommend": ["--images", "nowhere", "--minutes", "-1"],
    "report": ["nowhere.keras", "--images", "nowhere"],
    "adapt": ["--source", "nowhere", "--target", "nowhere"],
    "backbones": ["no_such_network"],
    "bench-serving": ["nowhere"],
    "completion": ["csh"],
    "convert": ["nowhere", "--to", "litert"],
    "demo": ["--seeds", "-1"],
    "distill": ["--teacher", "nowhere.keras", "--images", "nowhere"],
    "export": ["nowhere.keras", "served"],
    "gap": ["--source", "nowhere", "--target", "nowhere", "--weights", "imagenet"],
    "predict": ["nowhere", "photo.jpg"],
    "rank": ["--images", "nowhere", "--score", "leep"],
    "rollback": ["nowhere"],
    "runs compare": ["nowhere", "elsewhere"],
    "runs list": ["nowhere"],
    "runs reproduce": ["nowhere", "--output", "new"],
    "train": ["--images", "nowhere"],
    "tune": ["--images", "nowhere"],
    "versions": ["nowhere"],
}
# Flags of one name and several meanings, and why.
HOMONYMS = {
    "--target": dict.fromkeys(("train", "auto", "recommend", "report"), "the column to predict"),
    "--output": {
        "convert": "a file",
        "predict": "a file",
        "report": "a file",
        "tune": "a search goes on in its folder",
    },
    "--resume": {"auto": "scores are kept, no weights", "tune": "a search keeps its state in --output"},
    "--method": {"auto": "ways to train, any of which may be left out"},
    "--metric": {"export": "a figure for the metadata"},
    "--minutes": {"recommend": "of the training alone"},
    "--to": {"convert": "a format", "rollback": "a version"},
    "--task": {"export": "what a model is for"},
    "--seconds": {"bench-serving": "how long to measure"},
}


def options(name):
    """Returns a dict of the flags of a command to their actions."""
    actions = [action for action in LEAVES[name]._actions if action.option_strings]
    return {action.option_strings[0]: action for action in actions if action.dest != "help"}


def same_flags():
    """Yields each flag that several commands have, with a dict of those commands to their actions."""
    flags = {}
    for name in LEAVES:
        for flag, action in options(name).items():
            if name not in HOMONYMS.get(flag, ()):
                flags.setdefault(flag, {})[name] = action
    yield from ((flag, actions) for flag, actions in flags.items() if len(actions) > 1)


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_the_common_flags(name):
    found = options(name)
    assert {flag: found[flag].help for flag in COMMON} == COMMON
    assert all(found[flag].nargs == 0 and found[flag].default is False for flag in COMMON)


def test_a_flag_means_the_same_in_every_command():
    seen = []
    for flag, actions in same_flags():
        kinds = {name: (type(action), action.nargs, action.metavar) for name, action in actions.items()}
        # The same choice may be given once or several times, which the help says.
        kinds = {name: kind for name, kind in kinds.items() if kind[0] is not argparse._AppendAction}
        assert len(set(kinds.values())) <= 1, f"{flag} is of several kinds: {kinds}"
        said = {name: action.help for name, action in actions.items()}
        name = next(iter(actions.values())).dest
        if name in WORDS:
            seen.append(name)
            metavar, words = WORDS[name]
            start = words.partition(" (default")[0]
            assert all(text.startswith(start) for text in said.values()), f"{flag} has words of its own: {said}"
            assert all(action.metavar == metavar for action in actions.values()), flag
        else:
            plain = {text.partition(" (default")[0] for text in said.values()}
            assert len(plain) == 1, f"{flag} is worded in several ways, so it belongs in shared_flags.WORDS: {said}"
    assert len(seen) > 15


def test_words_are_of_flags_and_homonyms_of_two_commands():
    dests = {action.dest for name in LEAVES for action in options(name).values()}
    assert WORDS.keys() <= dests
    for flag, why in HOMONYMS.items():
        assert all(flag in options(name) for name in why), flag


@pytest.mark.parametrize("name", LEAVES)
def test_an_error_is_a_document_too(name, tmp_path, monkeypatch, capsys):
    assert name in REFUSED, "give the new command something to refuse"
    monkeypatch.chdir(tmp_path)
    try:
        code = main([*name.split(), *REFUSED[name], "--json"])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert sorted(document) == ["error", "exit_code"] and document["exit_code"] == code in (1, 2)
    # The same sentence is on the error stream, and not a line of code.
    assert document["error"] in captured.err and "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [["trian"], ["train", "--epoch", "2"], ["runs"], ["backbones", "--no-such-flag"], []])
def test_wrong_usage_is_a_document_too(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*argv, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert stop.value.code == document["exit_code"] == 2 and document["error"]


def test_a_stop_and_a_fault_are_documents_too(monkeypatch, capsys):
    def stop(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(backbones, "run", stop)
    assert main(["backbones", "--json"]) == 130
    assert json.loads(capsys.readouterr().out) == {"error": backbones.WHEN_STOPPED, "exit_code": 130}

    monkeypatch.setattr(backbones, "run", lambda arguments: {}["a fault"])
    with pytest.raises(KeyError):
        main(["backbones", "--json"])
    assert "A fault in tf-transfer: KeyError" in json.loads(capsys.readouterr().out)["error"]


def test_the_document_is_all_that_is_on_the_standard_output(monkeypatch, capsys):
    def noisy(*args, **kwargs):
        print("Epoch 1/2")
        return []

    monkeypatch.setattr(workflow, "list_runs", noisy)
    assert main(["runs", "list", ".", "--json"]) == 0
    captured = capsys.readouterr()
    assert document_of(captured.out) == {"command": "runs list", "exit_code": 0, "runs": []}
    assert captured.err == "Epoch 1/2\n"
    assert main(["runs", "list", "."]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("No run in .") and captured.err == "Epoch 1/2\n"


def test_quick_commands_print_what_is_documented(capsys):
    assert main(["backbones", "mobilenet_v2", "--json"]) == 0
    (entry,) = document_of(capsys.readouterr().out)["backbones"]
    assert (entry["name"], entry["default_size"], entry["preprocessing"]) == ("mobilenet_v2", 224, "tf")


def test_the_documentation_has_every_command_flag_of_all_and_exit_code():
    text = cli_documents.DOCUMENTATION.read_text(encoding="utf-8")
    assert sorted(cli_documents.documented_names()) == sorted(LEAVES)
    for name in LEAVES:
        assert f"tf-transfer {name}" in text, f"tf-transfer {name} is not in docs/command_line.md"
    assert all(f"`{flag}`" in text for flag in COMMON)
    codes = text.split("## Exit codes")[1]
    documented = dict(re.findall(r"^\| (\d+) \| (.*) \|$", codes, re.MULTILINE))
    assert sorted(map(int, documented)) == sorted(MEANINGS)
