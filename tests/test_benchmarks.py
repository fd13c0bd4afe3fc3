"""What docs/benchmarks.md says is what was measured, and says on what."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
RESULTS = sorted((FOLDER / "results").glob("*.jsonl"))


def test_tables_are_rendered_from_the_results():
    check = subprocess.run(
        [sys.executable, FOLDER / "tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_every_line_names_its_setting(path):
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows
    for row in rows:
        assert {"seconds", "when", "versions", "python", "cores"} <= set(row)
        assert {"tensorflow", "keras", "tf-transfer"} <= set(row["versions"])


def test_a_stored_run_is_not_measured_again_and_a_stopped_one_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import common

    monkeypatch.setattr(common, "RESULTS", tmp_path)
    results = common.Results("toy")
    results.run({"seed": 0}, lambda: {"figure": 1})

    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.run({"seed": 1}, stopped)
    assert results.run({"seed": 0}, stopped)["figure"] == 1
    assert [row["seed"] for row in results.rows()] == [0]
    assert common.Results("toy", anew=True).run({"seed": 0}, lambda: {"figure": 2})["figure"] == 2
    assert len(results.rows()) == 1
