"""The figures that recommendations name are those of the benchmarks."""

import json
from pathlib import Path

import numpy as np
import pytest

from tf_transfer.choosing.evidence import MEASURED, measured

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


@pytest.mark.parametrize("which", MEASURED, ids=str)
def test_a_figure_is_the_mean_of_its_lines(which):
    benchmark, *values = which
    rows = [json.loads(line) for line in (RESULTS / f"{benchmark}.jsonl").read_text(encoding="utf-8").splitlines()]
    own = [row["accuracy"] for row in rows if all(value in row.values() for value in values)]
    assert own, f"no line of {benchmark} has {values}"
    assert MEASURED[which] == pytest.approx(100 * np.mean(own), abs=0.051)


def test_as_text():
    assert measured("few_labels", "flowers128", 50, "L2-SP") == "68.4 %"
