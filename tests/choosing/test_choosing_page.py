"""The table of methods in docs/choosing.md says what the rules do, row by row."""

import itertools
import re
import types
from pathlib import Path

import numpy as np
import pytest

import tf_transfer as tft
from tf_transfer.choosing import rules
from tf_transfer.choosing.builders import starts_at_random
from tf_transfer.choosing.examples import Examples
from tf_transfer.choosing.methods import METHODS

PAGE = Path(__file__).parents[2] / "docs" / "choosing.md"


def rows_of(text):
    """Returns the rows of the table as pairs: what there is, and the name of what is recommended."""
    table = text.split("| what there is | recommended |")[1].split("\n\n")[0]
    found = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    return [(there, re.search(r"`(\w+)`", recommended)[1]) for there, recommended in found]


def expected_for_labels():
    """Returns the rows that the number of labels decides, asked of the rules for every number."""
    most, found = 400, []
    examples = {num: Examples("images", None, np.repeat([0, 1], num)) for num in range(1, most + 1)}
    for name, numbers in itertools.groupby(examples, lambda num: rules.method_for(examples[num], False)[0]):
        first, *_, last = numbers
        there = f"{first} to {last}" if first > 1 else f"at most {last} labels a class"
        found.append(("more" if last == most else there, name))
    return found


def expected_for_domains():
    """Returns the rows that source and target decide."""
    source = "a labelled source, and a target without labels that a classifier hardly tells from it"
    asked = [
        (source, rules.SMALL_GAP - 0.01, 0.0),
        ("the same, told apart, classes equally frequent", rules.SMALL_GAP, rules.UNLIKE - 0.01),
        ("the same, classes not equally frequent", rules.SMALL_GAP, rules.UNLIKE),
    ]
    gaps = [(there, types.SimpleNamespace(a_distance=gap, verdict=""), shift) for there, gap, shift in asked]
    return [(there, rules.adaptation_for(gap, shift, True)[0]) for there, gap, shift in gaps]


def expected():
    at_random = "a network that starts at random: rows, or texts and sounds without a pretrained backbone"
    related = f"a labelled source, and at most {rules.SOME} labels a class of the target"
    return [
        *expected_for_labels(),
        (at_random, rules.method_for(Examples("rows", None, np.arange(20) % 2), True)[0]),
        *expected_for_domains(),
        (related, "two_stage"),
    ]


def test_each_row_is_what_the_rules_say():
    assert rows_of(PAGE.read_text(encoding="utf-8")) == expected()


@pytest.mark.parametrize(("old", "new"), [("10 to 100", "10 to 90"), ("`mcc`", "`dann`"), ("| 4 to 9 |", "| 5 to 9 |")])
def test_a_row_that_is_wrong_is_seen(old, new):
    text = PAGE.read_text(encoding="utf-8")
    assert old in text and rows_of(text.replace(old, new, 1)) != expected()


def test_what_the_rows_say_of_the_methods():
    assert METHODS["feature_extraction"].phases["epochs"] == 0 and METHODS["prototypes"].phases == {}
    assert METHODS["l2_sp"].fields == {"regularizer": "L2SP"} and METHODS["fine_tuning"].fields == {"trainable": True}
    made = {"num_classes": 2}
    assert starts_at_random(tft.TabularClassifier(columns=("a",), **made))
    for random, pretrained in (
        (tft.TextClassifier(**made), tft.TextClassifier(backbone="hub:some/encoder", **made)),
        (tft.AudioClassifier(**made), tft.AudioClassifier(backbone="hub:some/module", **made)),
    ):
        assert starts_at_random(random) and not starts_at_random(pretrained)
    assert not starts_at_random(tft.ImageClassifier(**made))


def test_two_stages_are_recommended_up_to_the_bound_of_the_table():
    table = {"a": np.arange(2.0 * rules.SOME), "b": np.arange(2 * rules.SOME) % 7}
    few, related = (
        (table, np.arange(2 * rules.SOME) % 2),
        ({name: each[:40] for name, each in table.items()}, np.arange(40) % 2),
    )
    assert tft.recommend(few, related, verbose=0).method == "two_stage"
    more = {name: np.append(each, [1, 2, 3, 4]) for name, each in table.items()}
    y = np.append(few[1], [0, 0, 1, 1])
    assert tft.recommend((more, y), related, verbose=0).method == "from_scratch"
