"""Tables of choosing a backbone."""

import re
import statistics

from common import Results

from rendered.parts import by, markdown, percent

# Several together are the mean of the places, as `tft.rank_backbones` has it.
_SCORES = (
    ("h_score",), ("log_me",), ("nleep",), ("trans_rate",), ("h_score", "log_me"), ("h_score", "log_me", "nleep"),
    ("leep_20",), ("leep_100",), ("nce_20",), ("nce_100",),
)  # fmt: skip

_CLOCKS = {"wall": "", "cpu": ", computing"}
_WAYS = {"feature_extraction": "frozen", "l2_sp": "held by L2-SP", "fine_tuning": "all trained"}


def auto(rows):
    """What `auto` chose and reached on the test, beside the best and the middle of all single choices, in %."""
    lines = []
    for (name, seed), group in by(rows, "set", "seed").items():
        single = sorted((row for row in group if row["what"] == "single"), key=lambda row: row["accuracy"])
        for row in sorted((row for row in group if row["what"] == "auto"), key=lambda row: row["minutes"]):
            if not single:
                continue
            best = single[-1]
            lines.append([
                f"{name}, seed {seed}", f"{row['took'] / 60:.1f} of {row['minutes']}{_CLOCKS[row['clock']]}",
                row["chosen"], f"{100 * row['expected']:.1f}", f"{100 * row['accuracy']:.1f}",
                f"{100 * best['accuracy']:.1f} ({best['encoder']}, {_WAYS[best['method']]})",
                f"{100 * statistics.median(each['accuracy'] for each in single):.1f} of {len(single)}",
                f"{100 * (row['accuracy'] - best['accuracy']):+.1f}",
            ])  # fmt: skip
    header = ["set", "minutes", "auto chose", "by its own score, %", "on the test, %", "best with hindsight, %"]
    return markdown([*header, "median choice, %", "auto - best, points"], lines)


def transferability(rows):
    """Weighted tau of each score with the accuracy after fine-tuning, and these accuracies in %; means of the seeds."""
    from scipy.stats import rankdata, weightedtau

    rows = _with_source_heads(rows)
    sets = list(dict.fromkeys(row["set"] for row in rows))
    num = len({row["encoder"] for row in rows})
    lines = []
    for scores in _SCORES:
        cells, means = [], []
        for name in sets:
            taus = []
            for group in by([row for row in rows if row["set"] == name], "seed").values():
                if len(group) == num and all(score in row for row in group for score in scores):
                    places = sum(rankdata([row[score] for row in group]) for score in scores)
                    tau = weightedtau(places, [row["accuracy"] for row in group])
                    taus.append(float(tau.statistic))
            spread = f" ({min(taus):.2f} to {max(taus):.2f})" if len(taus) > 1 else ""
            cells.append(f"{statistics.mean(taus):.2f}{spread}" if taus else "")
            means += [statistics.mean(taus)] if taus else []
        name = " and ".join(scores)
        name = re.sub(r"^(leep|nce)_(\d+)$", r"\1, \2 groups", name)
        lines.append([name, *cells, f"{statistics.mean(means):.2f}" if means else ""])
    return markdown(["weighted tau", *sets, "mean"], lines) + "\n\n" + _accuracies(rows, sets)


def _with_source_heads(rows):
    """Returns the rows with the scores of `source_heads.py` beside them."""
    heads = {(row["set"], row["encoder"], row["seed"]): row for row in Results("source_heads").rows()}
    return [{**heads.get((row["set"], row["encoder"], row["seed"]), {}), **row} for row in rows]


def source_heads(rows):
    """How well each head knows its source, in %, and LEEP by the head that came with the weights, where one did."""
    sets, lines = list(dict.fromkeys(row["set"] for row in rows)), []
    for (name,), group in by(rows, "encoder").items():
        # An encoder that is the same for all seeds has one head.
        known = [percent(sorted({row[f"source_accuracy_{num}"] for row in group})) for num in (20, 100)]
        own = [[row["leep_own"] for row in group if row["set"] == each and "leep_own" in row] for each in sets]
        cells = [f"{statistics.mean(values):.2f}" if values else "" for values in own]
        lines.append([name, *known, *cells])
    header = ["encoder", "head: right of 20 groups, %", "of 100 groups, %"]
    return markdown([*header, *(f"leep by its own head, {each}" for each in sets)], lines)


def _accuracies(rows, sets):
    groups = by(rows, "encoder", "set")
    names = list(dict.fromkeys(row["encoder"] for row in rows))
    lines = [
        [name, *(percent(row["accuracy"] for row in groups[name, each]) if (name, each) in groups else ""
                 for each in sets)] for name in names
    ]  # fmt: skip
    return markdown(["accuracy, %", *sets], lines)


def calibration(rows):
    """Expected calibration errors and log losses before and after a temperature, and what chance alone would show."""
    lines = []
    for (name, way), group in by(rows, "set", "way").items():
        sizes = [str(group[0][f"num_{part}"]) for part in ("train", "held_out", "test")]
        errors = [percent(row[f"error_{when}"] for row in group) for when in ("before", "after", "by_chance")]
        losses = [statistics.mean(row[f"log_loss_{when}"] for row in group) for when in ("before", "after")]
        temperature = statistics.mean(row["temperature"] for row in group)
        lines.append(
            [f"{name}, {way}", " / ".join(sizes), percent(row["accuracy"] for row in group), *errors,
             "{:.3f}, {:.3f}".format(*losses), f"{temperature:.2f}"]
        )  # fmt: skip
    header = ["model", "trained / calibrated / tested on", "accuracy", "error before", "after", "by chance"]
    return markdown([*header, "log loss before, after", "temperature"], lines)
