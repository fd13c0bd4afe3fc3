"""Completion in real shells: what Tab gives, without Python."""

import shutil
import subprocess
import sys

import pytest
from cli_documents import document_of

import tf_transfer as tft
from tf_transfer.cli import completion, main

# What the shell does when Tab is pressed behind the words, and then what it would offer.
BASH = """
source "$1"
shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
function_of=$(complete -p tf-transfer | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function_of tf-transfer "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Returns the path of the script for bash."""
    pytest.importorskip("shtab")
    path = tmp_path_factory.mktemp("completion") / "tf-transfer.bash"
    path.write_text(completion.completion_script("bash"))
    return path


@pytest.fixture
def offered(script, tmp_path):
    """Returns a function of typed words that gives what bash offers for the last of them."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photo.jpg").write_text("")

    def press_tab(*words):
        # Nothing but the tools of a shell: a completion that starts Python would fail.
        done = subprocess.run(
            [bash, "--norc", "-c", BASH, "bash", str(script), "tf-transfer", *words],
            cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [word.strip() for word in done.stdout.splitlines() if word.strip()]

    return press_tab


def test_bash_completes_commands_flags_names_and_files(offered):
    assert {"train", "tune", "runs", "predict"} <= set(offered(""))
    assert set(offered("tr")) == {"train"}
    assert set(offered("runs", "")) >= {"list", "compare", "reproduce"}
    assert set(offered("train", "--im")) == {"--images", "--image-size"}
    assert "--json" in offered("runs", "list", "--j")
    assert set(offered("train", "--backbone", "mobilenet_v3")) == {"mobilenet_v3_large", "mobilenet_v3_small"}
    assert set(offered("adapt", "--method", "cda")) == {"cdan", "cdan_e"}
    assert "photos" in {word.rstrip("/") for word in offered("train", "--images", "pho")}
    assert not {"photo.jpg"} & set(offered("train", "--images", "pho"))
    assert "photo.jpg" in offered("predict", "--output", "pho")
    assert {"litert", "onnx"} == set(offered("convert", "model", "--to", ""))


def test_scripts_are_valid_in_their_shells(script, tmp_path):
    for shell, check in (("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])):
        text = completion.completion_script(shell)
        assert "reproduce" in text and "mobilenet_v3_small" in text
        if shutil.which(shell):
            path = tmp_path / shell
            path.write_text(text)
            subprocess.run([shell, *check, path], check=True, timeout=60)


def test_names_that_are_offered_are_no_limit(script):
    from tf_transfer.cli.parser import build_parser

    argv = ["gap", "--source", "a", "--target", "b", "--backbone", "file:own.keras"]
    assert build_parser().parse_args(argv).backbone == "file:own.keras"
    # Of each that completes by name there is a flag.
    flags = {action.dest for _, part in tft.cli.parser.leaves(build_parser()) for action in part._actions}
    assert completion.completed_names().keys() <= flags


def test_the_command_prints_it_and_says_what_it_needs(script, capsys, monkeypatch):
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == script.read_text().rstrip("\n")
    assert main(["completion", "zsh", "--json"]) == 0
    document = document_of(capsys.readouterr().out)
    assert document["shell"] == "zsh" and document["script"].startswith("#compdef tf-transfer")
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert 'pip install "tf-transfer[completion]"' in capsys.readouterr().err
