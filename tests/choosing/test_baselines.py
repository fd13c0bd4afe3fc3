"""What needs no network: that it learns, sees the same parts as the candidates, and what a search says of it."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import tf_transfer as tft
from tf_transfer.choosing.auto_result import AutoResult
from tf_transfer.choosing.baselines import baselines, plain_data
from tf_transfer.choosing.examples import read_examples
from tf_transfer.choosing.trials import Trial


def rows(num=90, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(num) % 3
    table = {
        "size": y + rng.normal(0, 0.3, num),
        "ward": np.array(["abc"[each] if rng.random() < 0.7 else "d" for each in y], object),
        "note": np.array([f"{['low', 'mid', 'high'][each]} pain today" for each in y], object),
        "noise": np.where(rng.random(num) < 0.2, np.nan, rng.normal(size=num)),
    }
    return table, y


def test_texts_by_their_words():
    texts = np.array(["a good film", "a bad film", "good", "bad , bad"] * 5, object)
    examples = read_examples((texts, np.array([1, 0, 1, 0] * 5)))
    (only,) = baselines(examples)
    data = plain_data(examples)
    assert only.evaluate(data, data).accuracy == 1.0
    assert only.evaluate(data, (np.array(["so good"], object), np.array([1])), ("no", "yes")).class_names[1] == "yes"


@pytest.mark.parametrize("column", ["size", "ward", "note"])
def test_each_kind_of_column_is_seen(column):
    table, y = rows()
    examples = read_examples(({column: table[column], "noise": table["noise"]}, y))
    found = {each.name: each.trial([(plain_data(examples),) * 2], "accuracy").score for each in baselines(examples)}
    assert found["logistic regression on the columns"] > 0.65
    # Trees have no use for words.
    assert (found["gradient-boosted trees"] > 0.65) or column == "note"


def test_the_linear_model_is_what_it_says():
    table, y = rows()
    examples = read_examples(({"size": table["size"]}, y))
    scores = baselines(examples)[0].evaluate(plain_data(examples), plain_data(examples)).scores
    x = (table["size"] - table["size"].mean()) / table["size"].std()
    expected = LogisticRegression(max_iter=1000).fit(x[:, None], y).predict_proba(x[:, None])
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_values_that_training_did_not_have_are_no_error():
    table, y = rows()
    other = {"size": [np.nan], "ward": ["z"], "note": ["never heard words"], "noise": [np.nan]}
    for each in baselines(read_examples((table, y))):
        assert each.evaluate((table, y), (other, np.array([0]))).scores.shape == (1, 3)
    assert baselines(read_examples((np.zeros((4, 8, 8, 3)), np.arange(4) % 2))) == ()


def result(score, metric, other):
    best = Trial("a", "net", "from_scratch", "long", 9, (score,) * 3, (0.5,) * 3, 1.0)
    plain = [
        Trial(name, "none", "baseline", "baseline", 0, (each,) * 3, (0.4,) * 3, 1.0) for name, each in other.items()
    ]
    return AutoResult(None, None, (best,), (best,), None, metric, 3, 1.0, 9.0, baselines=tuple(plain))


def test_a_search_says_when_a_network_is_not_worth_it():
    worse = result(0.75, "accuracy", {"words": 0.8, "trees": 0.7})
    assert "0.800 (words), with the best one 0.750: the networks add nothing" in worse.caption
    assert "add nothing" not in result(0.85, "accuracy", {"words": 0.8}).caption
    assert "add nothing" in result(0.5, "log_loss", {"words": 0.6, "trees": 0.4}).caption
    assert "add nothing" not in result(0.3, "log_loss", {"words": 0.4}).caption
    assert "0.800 (words)" in result(0.85, "accuracy", {"words": 0.8}).without_networks
    assert dataclasses.replace(worse, baselines=()).without_networks == ""
    labels = result(0.85, "accuracy", {"words": 0.8}).plot().legends[0].get_texts()
    assert [text.get_text() for text in labels] == ["a (best)", "words, no network"]
    assert worse.to_dict()["baselines"][0]["score"] == pytest.approx(0.8)


def test_the_parts_are_those_of_the_candidates(monkeypatch):
    texts = np.array([f"{word} {i}" for i in range(6) for word in ("good", "bad")], object)
    data, seen = (texts, np.arange(12) % 2), []
    search = tft.choosing.auto.__globals__
    monkeypatch.setitem(search, "baselines", lambda examples, seed: [Seeing(seen)])
    monkeypatch.setattr(
        search["Trainer"], "score", lambda self, candidate, part: (seen.append(self.part(data, part)[0]), (0.5, 0.7))[1]
    )
    monkeypatch.setattr(search["Trainer"], "train", lambda self, candidate: (NoModel(), None))
    tft.auto(data, 0.001, backbones=["mean"], num_folds=2, verbose=0)
    assert len(seen) == 4
    for plain, candidate in zip(seen[:2], seen[2:], strict=True):
        for first, second in zip(plain, candidate, strict=True):
            assert first[0].tolist() == second[0].tolist() and first[1].tolist() == second[1].tolist()


class NoModel:
    pass


class Seeing:
    name = "seeing"

    def __init__(self, seen):
        self.seen = seen

    def trial(self, parts, metric):
        self.seen.extend(parts)
        return Trial("seeing", "none", "baseline", "baseline", 0, (0.1, 0.1), (1.0, 1.0), 0.0)
