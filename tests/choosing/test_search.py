"""Successive halving: what is tried in which order, what time allows, and what a search remembers."""

import numpy as np
import pytest

from tf_transfer.choosing.examples import Examples
from tf_transfer.choosing.methods import METHODS, Candidate
from tf_transfer.choosing.search import Search
from tf_transfer.choosing.trials import Book

EXAMPLES = Examples("images", None, np.arange(30) % 2)


class Scripted(Search):
    """A search whose trainings take ten seconds for a frozen backbone and five an epoch, and score what is written."""

    def __init__(self, script, seconds, book=None, num_folds=2):
        self.now, self.script, self.calls, self.lines = 0.0, script, [], []
        candidates = [
            Candidate(f"{backbone} {method}", backbone, method, None, dict(METHODS[method].phases))
            for backbone, method in script
        ]
        super().__init__(
            EXAMPLES, candidates, {}, book or Book(None, {}), seconds=seconds, num_folds=num_folds, metric="accuracy",
            cache=None, batch_size=None, seed=0, say=self.lines.append, clock=lambda: self.now,
        )  # fmt: skip

    def _parts(self, candidate):
        return "parts"

    def _score(self, candidate, divided, part):
        epochs = candidate.phases["epochs"]
        seconds = 5.0 * epochs or 10.0
        self.now += seconds
        self.calls.append((candidate.name, epochs, part))
        score = self.script[candidate.backbone, candidate.method]
        return (score(epochs) if callable(score) else score), 1.0 - 0.01 * part, seconds


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
    search = Scripted(FOUR, seconds=10_000)
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
    assert {name for name, _, part in search.calls if part >= 2} == {"a l2_sp", "b l2_sp"}


def test_the_longer_training_counts_also_when_it_is_worse():
    script = {("a", "feature_extraction"): 0.7, ("a", "l2_sp"): lambda epochs: 0.9 if epochs == 4 else 0.5}
    search = Scripted(script, seconds=400)
    search.run()
    best = search.ranked()[0]
    assert (best.name, best.epochs) == ("a feature_extraction", 0)


@pytest.mark.parametrize("seconds", [1, 60, 200, 400, 900])
def test_it_keeps_to_its_time_and_always_ends_with_something(seconds):
    search = Scripted(FOUR, seconds)
    search.run()
    best = search.ranked()[0]
    assert best.finished
    # The first takes 20 s whatever there is. Else at most a part, 60 s, passes the time, with the last training.
    final = search._final_seconds(search.candidate(best))
    assert search.now + final <= max(seconds, 20 + final) + 60
    if seconds < 900:
        assert any("not tried" in line for line in search.lines)


def test_a_training_that_turns_out_too_slow_is_stopped_and_said():
    script = {("a", "feature_extraction"): 0.7, ("a", "l2_sp"): 0.9}
    search = Scripted(script, seconds=150, num_folds=4)
    search._slowness = 0.01
    search.run()
    stopped = search.trials["a l2_sp", 4]
    assert not stopped.finished and 0 < len(stopped.scores) < 4
    assert search.ranked()[0].name == "a feature_extraction" and any(
        "no time for the rest" in line for line in search.lines
    )


def test_equal_scores_are_told_apart_by_log_loss_and_cost():
    search = Scripted({("a", "feature_extraction"): 0.7, ("b", "feature_extraction"): 0.7}, seconds=60)
    search.run()
    first, second = search.ranked()
    assert first.score == second.score and first.name == "a feature_extraction"


def test_a_search_goes_on_where_it_was(tmp_path):
    whole = Scripted(FOUR, seconds=600)
    whole.run()
    half = Scripted(FOUR, seconds=600, book=Book(tmp_path / "kept", {"seed": 0}))
    score = half._score

    def stopped(*arguments):
        if len(half.calls) == 7:
            raise KeyboardInterrupt
        return score(*arguments)

    half._score = stopped
    with pytest.raises(KeyboardInterrupt):
        half.run()
    book = Book(tmp_path / "kept", {"seed": 0})
    rest = Scripted(FOUR, seconds=600, book=book)
    rest.run()
    assert half.calls + rest.calls == whole.calls
    assert {key: trial.scores for key, trial in rest.trials.items()} == {
        key: trial.scores for key, trial in whole.trials.items()
    }
    with pytest.raises(ValueError, match=r"other settings \(seed\)"):
        Book(tmp_path / "kept", {"seed": 1})
    book.close()
    assert not (tmp_path / "kept").exists()
