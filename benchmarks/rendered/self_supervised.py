"""Tables of pretraining without labels."""

from rendered.parts import by, markdown, percent

_CHOOSING = 100


def flowers_self_supervised(rows):
    """Accuracy by start, of a linear probe and after fine-tuning; below, what the pretraining took."""
    scored = [row for row in rows if "start" in row and row["seed"] != _CHOOSING]
    lines = []
    for (start,), own in by(scored, "start").items():
        ways = by(own, "way")
        cells = [
            percent(row["accuracy"] for row in ways[(way,)]) if (way,) in ways else ""
            for way in ("linear probe", "fine-tuned")
        ]
        lines.append([start, *cells, len({row["seed"] for row in own})])
    accuracies = markdown(["start", "linear probe, %", "fine-tuned, %", "seeds"], lines)
    runs = [row for row in rows if "pretraining" in row]
    lines = [
        [
            row["pretraining"],
            row["epochs"],
            f"{row['cpu_seconds'] / 60:.0f}",
            f"{row['loss'][0]:.2f} to {row['loss'][-1]:.2f}",
            f"{100 * row['contrastive_accuracy'][-1]:.0f} %" if "contrastive_accuracy" in row else "",
        ]
        for row in runs
    ]
    took = markdown(["pretraining", "epochs", "minutes of a core", "loss", "pairs found at the end"], lines)
    return f"{accuracies}\n\n{took}"
