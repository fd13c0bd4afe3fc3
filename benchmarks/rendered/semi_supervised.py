"""Tables of learning from few labels and many unlabelled examples."""

import statistics

from rendered.parts import by, markdown, spread


def mnist_semi_supervised(rows):
    """Accuracy on the test images, one line a method, with what was chosen on the images held out."""
    lines = []
    for (method,), group in by([row for row in rows if row["phase"] == "test"], "method").items():
        chosen = ", ".join(f"{name} {value}" for name, value in group[0]["options"].items())
        lines.append([method, chosen, spread(row["accuracy"] for row in group), *_rest(group)])
    return markdown(["method", "chosen", "accuracy, %", "guesses that count, %", "seconds", "seeds"], lines)


def mnist_batch_statistics(rows):
    """Accuracy of FixMatch by what batch normalization sees."""
    lines = [
        [f"`{policy}`", spread(row["accuracy"] for row in group), *_rest(group)]
        for (policy,), group in by(rows, "policy").items()
    ]
    return markdown(["batch statistics", "accuracy, %", "guesses that count, %", "seconds", "seeds"], lines)


def _rest(group):
    shares = [100 * row["mask_share"] for row in group if "mask_share" in row]
    share = f"{statistics.mean(shares):.0f}" if shares else "-"
    return [share, f"{statistics.mean(row['seconds'] for row in group):.0f}", len(group)]
