"""Successive halving: what is tried in which order, what time allows, and what a search remembers."""

import pytest

import tf_transfer as tft
from tf_transfer.choosing.costs import Forecast
from tf_transfer.choosing.methods import METHODS, Candidate, make_candidate
from tf_transfer.choosing.search import Search
from tf_transfer.choosing.trials import Book
from tf_transfer.training import NaNLoss


class Scripted:
    """A trainer that takes ten seconds for a frozen backbone and five an epoch, and scores what is written."""

    def __init__(self, script):
        self.now, self.script, self.calls = 0.0, script, []

    def score(self, candidate, part):
        epochs = candidate.phases["epochs"]
        self.now += 5.0 * epochs or 10.0
        self.calls.append((candidate.name, epochs, part))
        score = self.script[candidate.backbone, candidate.method]
        return (score(epochs) if callable(score) else score), 1.0 - 0.01 * part


def searched(script, seconds, book=None, num_folds=2, guesses=1.0, fewest_epochs=1):
    """Returns a search over a script, not run, with the trainer and the lines that it says."""
    trainer, lines = Scripted(script), []
    candidates = [
        Candidate(f"{backbone} {method}", backbone, method, None, dict(METHODS[method].phases), fewest_epochs)
        for backbone, method in script
    ]
    search = Search(
        candidates, trainer, Forecast(30, num_folds, dict.fromkeys("abc", 1 / guesses)), book or Book(None, {}),
        seconds=seconds, num_folds=num_folds, metric="accuracy", say=lines.append, clock=lambda: trainer.now,
    )  # fmt: skip
    return search, trainer, lines


FOUR = {
    ("a", "feature_extraction"): 0.7,
    ("b", "feature_extraction"): 0.8,
    ("c", "feature_extraction"): 0.6,
    ("a", "l2_sp"): 0.9,
    ("b", "l2_sp"): lambda epochs: 0.85 if epochs > 4 else 0.75,
    ("b", "fine_tuning"): 0.74,
    ("c", "l2_sp"): 0.99,
}


def test_rungs_and_what_they_leave_out():
    search, trainer, _ = searched(FOUR, seconds=10_000)
    search.run()
    rungs = [(trial.name, trial.rung, trial.epochs) for trial in search.trials.values()]
    # Frozen, c is the worst of three and goes no further, though it would have been the best.
    assert rungs[:3] == [(f"{name} feature_extraction", "frozen", 0) for name in "abc"]
    # The better half of two, b first; of three that trained short the better two train in full.
    assert [each[:2] for each in rungs[3:6]] == [("b l2_sp", "short"), ("b fine_tuning", "short"), ("a l2_sp", "short")]
    assert {each.name for each in search.trials.values() if each.epochs == 12} == {"a l2_sp", "b l2_sp"}
    assert search.ranked()[0].name == "a l2_sp" and search.candidate(search.ranked()[0]).phases["epochs"] == 12
    # With time left the first two are scored on four more divisions, and on those alone.
    assert search.ranked()[0].rung == "again" and len(search.ranked()[0].scores) == 2 * 5
    assert {name for name, _, part in trainer.calls if part >= 2} == {"a l2_sp", "b l2_sp"}


def test_few_examples_are_not_judged_by_a_handful_of_steps():
    candidates = [make_candidate("l2_sp", tft.ImageClassifier(num_classes=2), "a", num) for num in (5000, 400, 100)]
    assert [each.shortened(1 / 3).phases["epochs"] for each in candidates] == [4, 8, 12]
    search, trainer, _ = searched(FOUR, seconds=10_000, fewest_epochs=12)
    search.run()
    rungs = {trial.name: trial.rung for trial in search.trials.values() if trial.epochs and len(trial.scores) == 2}
    assert rungs == {"b fine_tuning": "long"} and search.ranked()[0].name == "a l2_sp"
    assert {epochs for _, epochs, _ in trainer.calls} == {0, 12}


def test_the_longer_training_counts_also_when_it_is_worse():
    script = {("a", "feature_extraction"): 0.7, ("a", "l2_sp"): lambda epochs: 0.9 if epochs == 4 else 0.5}
    search, _, _ = searched(script, seconds=400)
    search.run()
    best = search.ranked()[0]
    assert (best.name, best.epochs) == ("a feature_extraction", 0)


@pytest.mark.parametrize("seconds", [1, 60, 200, 400, 900])
def test_it_keeps_to_its_time_and_always_ends_with_something(seconds):
    search, trainer, lines = searched(FOUR, seconds)
    search.run()
    best = search.ranked()[0]
    assert best.finished
    # The first takes 20 s whatever there is. Else at most a part, 60 s, passes the time, with the last training.
    final = search.forecast.whole(search.candidate(best))
    assert trainer.now + final <= max(seconds, 20 + final) + 60
    if seconds < 900:
        assert any("not tried" in line for line in lines)


def test_a_training_that_turns_out_too_slow_is_stopped_and_said():
    script = {("a", "feature_extraction"): 0.7, ("a", "l2_sp"): 0.9}
    # A guess far too low, and a part that takes 20 s.
    search, _, lines = searched(script, seconds=120, num_folds=4, guesses=1e-6)
    search.forecast._slowness[False] = 1e-3
    search.run()
    stopped = search.trials["a l2_sp", 4]
    assert not stopped.finished and 0 < len(stopped.scores) < 4
    assert search.ranked()[0].name == "a feature_extraction" and any("not finished" in line for line in lines)


def test_a_loss_that_is_no_number_ends_a_candidate_and_not_the_search():
    def broken(epochs):
        raise NaNLoss("The loss became NaN.", epoch=0, batches=range(1), step=1)

    script = {("a", "feature_extraction"): broken, ("b", "feature_extraction"): 0.7, ("b", "l2_sp"): broken}
    search, _, lines = searched(script, seconds=1000)
    search.run()
    assert [trial.name for trial in search.ranked()] == ["b feature_extraction"]
    assert sum("became NaN" in line for line in lines) == 2
    search, _, _ = searched({("a", "feature_extraction"): broken}, seconds=1000)
    with pytest.raises(RuntimeError, match="No candidate could be trained"):
        search.run()


def test_forecasts_go_by_what_was_measured():
    search, _, _ = searched(FOUR, seconds=1)
    frozen, other, _, tuned, *_ = search.candidates
    # Half of 30 images at 1 a second and 5 s to start, with a margin of a half; in the end all of them besides.
    assert search.forecast.part(frozen) == pytest.approx(1.5 * (5 + 15))
    search.forecast.learn(frozen, 10.0)
    assert search.forecast.part(frozen) == search.forecast.part(other) == pytest.approx(10.0)
    assert search.forecast.whole(frozen) == pytest.approx(10.0 + 1.5 * (5 + 30))
    assert search.forecast.part(tuned) == pytest.approx(1.5 * (10 + 15 * (1 + 12 * 2)))
    assert search.forecast.whole(tuned) == pytest.approx(2 * search.forecast.part(tuned))


def test_equal_scores_are_told_apart_by_log_loss_and_cost():
    search, _, _ = searched({("a", "feature_extraction"): 0.7, ("b", "feature_extraction"): 0.7}, seconds=400)
    search.run()
    first, second = search.ranked()
    assert first.score == second.score and first.name == "a feature_extraction"


def test_a_search_goes_on_where_it_was(tmp_path):
    whole, all_at_once, _ = searched(FOUR, seconds=600)
    whole.run()
    half, before, _ = searched(FOUR, seconds=600, book=Book(tmp_path / "kept", {"seed": 0}))
    score = before.score

    def stopped(*arguments):
        if len(before.calls) == 7:
            raise KeyboardInterrupt
        return score(*arguments)

    before.score = stopped
    with pytest.raises(KeyboardInterrupt):
        half.run()
    book = Book(tmp_path / "kept", {"seed": 0})
    rest, after, _ = searched(FOUR, seconds=600, book=book)
    assert rest.spent == before.now > 0
    rest.run()
    assert before.calls + after.calls == all_at_once.calls
    found = [{key: trial.scores for key, trial in search.trials.items()} for search in (rest, whole)]
    assert found[0] == found[1]
    with pytest.raises(ValueError, match=r"other settings \(seed\)"):
        Book(tmp_path / "kept", {"seed": 1})
    book.close()
    assert not (tmp_path / "kept").exists()
