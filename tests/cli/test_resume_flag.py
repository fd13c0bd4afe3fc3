"""`--resume` of the commands that run for long."""

import pytest

from tf_transfer import workflow
from tf_transfer.cli.running import main

COMMANDS = {
    "train": ["train", "--images", "photos"],
    "adapt": ["adapt", "--source", "catalogue", "--target", "street"],
    "distill": ["distill", "--teacher", "teacher.keras", "--student", "mobilenet_v2", "--images", "photos"],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(("flags", "expected"), [([], None), (["--resume"], True), (["--resume", "state"], "state")])
def test_it_reaches_the_run(monkeypatch, name, flags, expected):
    seen = []

    def run(config, *, resume, verbose):
        seen.append(resume)
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, name, run)
    assert main([*COMMANDS[name], *flags]) == 130
    assert seen == [expected]


def test_a_search_goes_on_or_begins_anew(monkeypatch, capsys):
    def run(config, *, verbose):
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "tune", run)
    command = ["tune", "--images", "photos", "--resume"]
    assert main(command) == 130
    assert main([*command, "--overwrite"]) == 1
    assert "leave out one of them" in capsys.readouterr().err
