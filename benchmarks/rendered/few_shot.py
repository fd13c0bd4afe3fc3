"""Tables of learning from few examples."""

import numpy as np

from rendered.parts import markdown


def sinusoid(rows):
    """Mean squared error by steps of adaptation, one line a method: the mean of the seeds, lowest and highest."""
    steps = ("mse_0", "mse_1", "mse_10")
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        cells = []
        for step in steps:
            values = [row[step] for row in own]
            if not np.isfinite(values).all():
                cells.append("diverges")
                continue
            spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.3f}{spread}")
        lines.append([method, *cells, str(len(own))])
    return markdown(["method", "before", "after 1 step", "after 10 steps", "seeds"], lines)


def omniglot(rows):
    """Accuracy with its interval, of the longest training of each method, one line a method and policy."""
    tasks = ((5, 1), (5, 5), (20, 1), (20, 5))
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        for transductive in (True, False):
            own = [row for row in rows if (row["method"], row["transductive"]) == (method, transductive)]
            found = {task: [row for row in own if (row["ways"], row["shots"]) == task] for task in tasks}
            longest = {task: max(given, key=lambda row: row["iterations"]) for task, given in found.items() if given}
            cells = [_percent(longest[task]) if task in longest else "" for task in tasks]
            spent = {row["recipe"]: row for row in longest.values()}.values()
            iterations = ", ".join(f"{row['iterations']:,} ({row['minutes']:.0f})" for row in spent)
            lines.append([method, "yes" if transductive else "no", *cells, iterations])
    ways = [f"{ways}-way {shots}-shot" for ways, shots in tasks]
    return markdown(["method", "transductive", *ways, "iterations (minutes)"], lines)


def few_shot_speed(rows):
    """Tasks a second beside `learn2learn`, one line a method and number of shots."""
    lines = []
    for row in rows:
        rates = row["tasks_a_second"]
        theirs = [f"{rates['learn2learn']:.0f}", f"{row['times_as_fast']:.2f}"] if row["times_as_fast"] else ["", ""]
        lines.append([row["method"], str(row["shots"]), f"{rates['tf_transfer']:.0f}", *theirs])
    return markdown(["method", "shots", "tasks a second", "learn2learn", "times as fast"], lines)


def _percent(row):
    half = 50 * (row["high"] - row["low"])
    return f"{100 * row['accuracy']:.1f} ± {half:.1f}"
