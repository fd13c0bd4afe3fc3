"""The command itself: help, usage, exit codes, errors in one sentence."""

import os
import re
import shlex
import subprocess
import sys
import types

import numpy as np
import pytest
from cli_documents import document_of

import tf_transfer as tft
from tf_transfer.cli import adapt_flags, main, train_other_flags
from tf_transfer.cli.config_flags import flag
from tf_transfer.cli.exit_codes import described
from tf_transfer.cli.parser import build_parser, leaves

LEAVES = dict(leaves(build_parser()))
CONFIGS = {
    "train": (
        [
            tft.workflow.TrainConfig,
            tft.workflow.TextTrainConfig,
            tft.workflow.TableTrainConfig,
            tft.workflow.AudioTrainConfig,
        ],
        train_other_flags.GROUPS,
    ),
    "adapt": ([tft.workflow.AdaptConfig], adapt_flags.GROUPS),
}


def help_of(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", LEAVES)
def test_help_has_every_flag_with_a_word_on_it_and_an_example_that_parses(command, capsys, monkeypatch):
    text = help_of(command, capsys, monkeypatch)
    for action in LEAVES[command]._actions:
        assert action.help, f"{action.dest} is not described"
        for option in action.option_strings:
            assert re.search(rf"^  +(-\w, )?(\S+, )?{option}\b", text, re.MULTILINE), f"{option} is not in the help"
    assert max(map(len, text.splitlines())) <= 120
    # Of a line that goes on, and of a line with a word on it or another command at the right, the command only.
    examples = re.findall(rf"^  tf-transfer {command}\b(?:.*\\\n)*.*", text, re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(re.split(r"\s{3,}\(| \| | > | && ", example.replace("\\\n", " ").strip())[0])
        build_parser().parse_args(words[1:])


def test_the_top_lists_every_command_and_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for command in LEAVES:
        assert re.search(rf"^ +{command.split()[0]}\b", text, re.MULTILINE)
    assert described() in " ".join(text.split()) and "3 accuracy below --min-accuracy" in text


@pytest.mark.parametrize("command", CONFIGS)
def test_flags_and_fields_are_the_same_names(command):
    configs, groups = CONFIGS[command]
    described = [name for _, names in groups.values() for name in names]
    assert sorted(described) == sorted({name for config in configs for name in config.fields()})


@pytest.mark.parametrize("command", CONFIGS)
def test_a_field_without_a_description_still_has_its_flag(command, monkeypatch, capsys):
    monkeypatch.delitem(CONFIGS[command][1]["model"][1], "dropout")
    assert build_parser().parse_args([command, "--dropout", "0.5"]).dropout == "0.5"


@pytest.mark.parametrize("command", CONFIGS)
def test_defaults_in_the_help_are_those_of_the_code(command, capsys, monkeypatch):
    text = " ".join(help_of(command, capsys, monkeypatch).split())
    fields = {}
    for config in CONFIGS[command][0]:
        fields = {**config.fields(), **fields}
    for name, field in fields.items():
        if isinstance(field.default, int | float | str) and not isinstance(field.default, bool):
            # From the flag's own line to the next flag.
            own = re.search(rf"{flag(name)} [A-Z]\S* (.*?) (--[a-z]|examples:)", text.split("options:")[1]).group(1)
            assert f"(default: {field.default})" in own, f"{flag(name)}: {own}"


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"tf-transfer {tft.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "COMMAND"),
        (["trian"], "invalid choice: 'trian'"),
        (["train"], "say what to learn from: --images DIR, --text FILE"),
        (["train", "--text", "a.csv", "--table", "b.csv"], "Received: --text and --table"),
        (["train", "--table", "a.csv", "--image-size", "96"], "--table does not go with --image-size"),
        (["train", "--images", "photos", "--epoch", "2"], "unknown: --epoch 2. Did you mean '--epochs'?"),
        (["predict", "saved_models/flowers"], "INPUT"),
        (["predict", "a", "b", "--format", "xml"], "invalid choice: 'xml'"),
        (["runs", "lst"], "invalid choice: 'lst'"),
    ],
)
def test_wrong_usage_exits_with_2(argv, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err


def test_an_error_of_ours_is_a_sentence_and_with_debug_also_a_place(capsys):
    assert main(["train", "--images", "nowhere"]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "error: There is no folder 'nowhere'."
    assert "Traceback" not in captured.err
    assert main(["train", "--images", "nowhere", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_fault_in_the_code_is_not_taken_for_bad_input(monkeypatch):
    monkeypatch.setattr(tft.workflow, "train", lambda *args, **kwargs: {}["a fault"])
    with pytest.raises(KeyError):
        main(["train", "--images", "photos"])


def test_ctrl_c_says_what_was_kept(monkeypatch, capsys):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(tft.workflow, "train", stop)
    assert main(["train", "--images", "photos"]) == 130
    assert "nothing was saved or exported" in capsys.readouterr().err


def test_demo_hands_its_flags_on(monkeypatch, capsys):
    seen = []
    test = tft.analysis.ClassifierEvaluation(np.eye(2), np.array([0, 1]))
    runs = [types.SimpleNamespace(method="fine-tuned", seed=4, test=test)]
    result = types.SimpleNamespace(runs=runs, best=runs[0], export_path="e/1", report_path="r")

    def run_demo(*args, **kwargs):
        seen.append((args, kwargs))
        return result

    monkeypatch.setattr(tft.workflow, "run_demo", run_demo)
    assert main(["demo"]) == 0
    assert capsys.readouterr().out.startswith("best      fine-tuned, seed 4, accuracy 1.000 (95% interval 0.")
    assert main(["demo", "--export", "e", "--report", "r", "--seeds", "4", "5", "--quick", "--quiet", "--json"]) == 0
    assert seen == [
        (("saved_models/digits", "demo_report.html", [0, 1, 2]), {"quick": False, "record": None, "verbose": 1}),
        (("e", "r", [4, 5]), {"quick": True, "record": None, "verbose": 0}),
    ]
    document = document_of(capsys.readouterr().out)
    assert document["best"] == {"method": "fine-tuned", "seed": 4} and document["exported"] == "e/1"
    assert document["runs"][0]["figures"]["num_examples"] == 2


def test_backbones_lists_what_can_be_loaded(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["backbones"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == tft.backbones.names()
    (xception,) = (line.split() for line in lines if line.startswith("xception"))
    assert xception == ["xception", "299", "px", "71", "px", "tf", "batch"]

    assert main(["backbones", "v3"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert names == ["inception_v3", "mobilenet_v3_large", "mobilenet_v3_small"]

    assert main(["backbones", "mobilnet_v2"]) == 1
    assert "Did you mean 'mobilenet_v2'?" in capsys.readouterr().err


def test_the_module_is_the_command_and_hands_its_exit_code_on(tmp_path):
    def run(*argv):
        command = [sys.executable, "-m", "tf_transfer", *argv]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=os.environ)

    done = run("train", "--images", "nowhere", "--export", "served")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: There is no folder 'nowhere'."
    assert done.stdout == ""
    assert os.listdir(tmp_path) == []
