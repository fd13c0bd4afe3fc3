"""Tables of federated learning."""

import statistics

from rendered.parts import by, counts, markdown

_SPLITS = {"iid": "alike", "shards": "two shards each"}


def federated_mnist(rows):
    """Rounds until 97 % of the test digits are right, one line a split, start and method."""
    lines = []
    measured = [row for row in rows if "split" in row]
    if not measured:
        return "Not measured yet."
    for (split, start, method), own in by(measured, "split", "start", "method").items():
        reached = [row["rounds_to_97"] for row in own]
        missed = [row for row in own if row["rounds_to_97"] is None]
        rounds = [counts(reached)] if len(missed) < len(own) else []
        rounds += [f"not in {row['rounds']}: {100 * row['best']:.1f} %" for row in missed]
        name = f"{method}, mu {own[0]['mu']:g}" if own[0]["mu"] else method
        before, after = (_percent(row["accuracy_before"] for row in own), _percent(_after(own, 10)))
        lines.append([_SPLITS[split], start, name, before, after, "; ".join(rounds), str(len(own))])
    header = ["clients", "start", "method", "before, %", "after 10 rounds, %", "rounds to 97 %", "seeds"]
    return markdown(header, sorted(lines, key=lambda line: (line[0], line[1] != "random", line[2])))


def _after(rows, rounds):
    """Returns the accuracies after so many rounds; a run that has reached the goal by then ends with that."""
    return [row["curve"][min(rounds, len(row["curve"])) - 1] for row in rows]


def _percent(values):
    return f"{100 * statistics.mean(values):.1f}"
