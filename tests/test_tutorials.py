"""Every tutorial runs from start to end, the longest ones in `make test-all`, and turns into a notebook."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[1] / "tutorials").glob("*.py"))
# Each trains for most of a minute; `make test-all` runs them too.
LONG = (
    "01_fine_tune_images",
    "02_tf_hub_in_keras_3",
    "03_adapt_to_a_new_domain",
    "04_distil_for_the_edge",
    "05_tune_a_builder",
    "06_train_on_many_workers",
    "07_is_my_target_different",
    "08_text",
    "09_tables",
    "10_audio",
    "11_many_tasks",
    "13_learn_from_five_images",
    "14_use_unlabelled_images",
    "15_federated",
    "16_which_backbone",
    "17_explain_and_report",
)
RUN = [pytest.param(each, id=each.stem, marks=[pytest.mark.slow] * (each.stem in LONG)) for each in TUTORIALS]
# Of a machine that does other things as well; alone each takes a minute.
SECONDS = 900


def test_there_are_tutorials():
    assert TUTORIALS, "tutorials/*.py is empty"
    assert set(LONG) < {each.stem for each in TUTORIALS}


@pytest.mark.parametrize("tutorial", RUN)
def test_a_tutorial_runs(tutorial, tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", str(tutorial)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, f"{tutorial.name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_becomes_a_notebook_with_text_and_code(tutorial):
    jupytext = pytest.importorskip("jupytext")
    notebook = json.loads(jupytext.writes(jupytext.read(tutorial, fmt="py:percent"), fmt="ipynb"))
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds[0] == "markdown", f"{tutorial.name} opens without a word of explanation"
    assert kinds.count("code") >= 3 and kinds.count("markdown") >= 3, f"{tutorial.name}: {kinds}"
