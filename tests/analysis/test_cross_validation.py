"""Methods on the same parts: what they are given, the corrected test by hand, and what is written."""

import csv

import keras
import numpy as np
import pytest
from scipy import stats

import tf_transfer as tft
from tf_transfer.analysis import CrossValidation, cross_validate

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.normal(0.8, 0.03, 10), RNG.normal(0.77, 0.03, 10)


@pytest.fixture
def found():
    return CrossValidation({"one": ONE, "other": OTHER}, "accuracy", True, 0.25)


def test_the_corrected_test_by_hand(found):
    difference = ONE - OTHER
    error = difference.std(ddof=1) * np.sqrt(1 / 10 + 1 / 4)
    received = found.difference("one", "other")
    assert received.mean == pytest.approx(difference.mean())
    assert received.p_value == pytest.approx(2 * stats.t.sf(difference.mean() / error, 9))
    half = stats.t.ppf(0.975, 9) * error
    assert (received.low, received.high) == pytest.approx((difference.mean() - half, difference.mean() + half))
    assert received.p_value > stats.ttest_rel(ONE, OTHER).pvalue, "parts that share their training data count for less"
    mirrored = found.difference("other", "one")
    assert (mirrored.mean, mirrored.p_value) == pytest.approx((-received.mean, received.p_value))


def test_without_any_shared_training_it_is_the_paired_t_test():
    alone = CrossValidation({"one": ONE, "other": OTHER}, "accuracy", True, 0.0)
    assert alone.difference("one", "other").p_value == pytest.approx(stats.ttest_rel(ONE, OTHER).pvalue)
    interval = stats.t.interval(0.9, 9, ONE.mean(), stats.sem(ONE))
    assert alone.interval("one", 0.9) == pytest.approx(interval)


def test_no_interval_leaves_what_a_score_can_be():
    perfect = CrossValidation({"one": np.array([1.0, 0.9, 1.0])}, "accuracy", True, 0.5)
    low, high = perfect.interval("one")
    assert 0 < low < 0.9 and high == 1.0


def test_of_errors_the_lowest_is_the_best():
    errors = CrossValidation({"one": ONE, "other": OTHER}, "mae", False, 0.25)
    assert errors.best == "other" and errors.difference("other", "one").mean == pytest.approx((ONE - OTHER).mean())


def test_equal_scores_are_no_difference():
    same = CrossValidation({"a": np.ones(5), "b": np.ones(5)}, "accuracy", True, 0.25)
    assert same.difference("a", "b") == (0.0, 0.0, 0.0, 1.0)


def test_table_file_and_picture(found, tmp_path):
    table = found.table()
    assert table.row_count == 2 and table.columns[0].header == "method"
    cells = [list(column.cells) for column in table.columns]
    assert str(cells[0][0]) == "one" and str(cells[3][1]) == f"{found.difference('one', 'other').p_value:.3f}"
    found.to_csv(tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20 and float(rows[10]["accuracy"]) == OTHER[0]
    labels = [text.get_text() for text in found.plot().axes[0].get_yticklabels()]
    assert labels == ["one", "other"]


def test_each_part_is_the_same_for_all_and_held_out_once():
    x, y = np.arange(12.0)[:, None], np.array([0, 1, 1] * 4)
    log = []

    def method(data, seed):
        log.append((set(data[0].ravel()), seed))
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, kernel_initializer="zeros"), *tail])

    tail = [keras.layers.Rescaling(1.0, offset=[0.0, 5.0]), keras.layers.Softmax()]
    found = cross_validate({"a": method, "b": method}, (x, y), num_folds=4, num_repeats=2, seed=3, verbose=0)
    assert len(log) == 16
    for first, second in zip(log[::2], log[1::2], strict=True):
        assert first == second, "the methods saw other parts, or other seeds"
    assert len({seed for _, seed in log}) == 8
    for repeat in (log[:8:2], log[8::2]):
        held_out = [value for seen, _ in repeat for value in set(range(12)) - seen]
        assert sorted(held_out) == list(range(12))
    # It always says 1, and two thirds of each part are.
    np.testing.assert_allclose(found.scores["a"], 2 / 3)
    assert found.held_out_ratio == pytest.approx(1 / 3)


def test_numbers_and_their_metrics():
    x = np.arange(20.0)[:, None]

    def method(scale):
        return lambda data, seed: keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(scale)])

    found = cross_validate({"right": method(2.0), "low": method(1.5)}, (x, 2 * x), metric="mae", verbose=0)
    assert found.best == "right" and found.scores["low"].mean() == pytest.approx(0.5 * x.mean())


def test_what_can_not_be_compared_is_said():
    data = (np.zeros((6, 1)), np.arange(6) % 2)
    with pytest.raises(ValueError, match="functions of"):
        cross_validate({"a": 3}, data)
    with pytest.raises(ValueError, match="the smallest class, 3"):
        cross_validate({"a": lambda train, seed: None}, data, verbose=0)
    with pytest.raises(ValueError, match="`metric` must be one of"):
        cross_validate({"a": lambda train, seed: None}, data, metric="acc", verbose=0)
    with pytest.raises(ValueError, match="`name` must be one of"):
        CrossValidation({"a": ONE}, "accuracy", True, 0.2).difference("a", "b")


def test_folders_and_texts_are_divided_too(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(4):
            keras.utils.save_img(tmp_path / name / f"{i}.png", np.full((4, 4, 3), i), scale=False)
    folder = tft.data.ImageFolder(tmp_path, (4, 4))
    parts = list(tft.data.folds(folder, 2))
    assert [len(part) for pair in parts for part in pair] == [4, 4, 4, 4]
    assert sorted(parts[0][1].files + parts[1][1].files) == sorted(folder.files)
