"""Tables of inputs that are no images."""

from rendered.parts import markdown, pivot, with_mean

_FIGURES = {
    "accuracy": "Accuracy, %:",
    "balanced_accuracy": "Mean of both classes' recall, %:",
    "auc": "Area under the ROC curve, %:",
}


def audio(rows):
    """The official test, and a column a new speaker with their mean."""
    official = [row for row in rows if row["test"] == "official"]
    speakers = [row for row in rows if row["test"] != "official"]
    tables = [pivot(official, "method", "test")] if official else []
    if speakers:
        tables.append(pivot(with_mean(speakers, "test"), "method", "test", ("source only",)))
    return "\n\n".join(f"Accuracy, %:\n\n{table}" for table in tables)


def fusion(rows):
    return pivot(rows, "method", "labels", ("MobileNet 0.25", "MobileNetV2 1.0"))


def table_transfer(rows):
    """A table a figure; one line a method, those without labels of the target first."""
    first = tuple(dict.fromkeys(row["method"] for row in rows if "source only" in row["method"]))
    tables = []
    for figure, caption in _FIGURES.items():
        named = [{**row, "accuracy": row[figure]} for row in rows]
        tables.append(f"{caption}\n\n{pivot(with_mean(named, 'target'), 'method', 'target', first)}")
    return "\n\n".join(tables)


def pipelines(rows):
    header = ["input", "pipeline, examples/s", "training, examples/s", "pipeline's share", "parameters"]
    lines = [
        [row["input"], f"{row['pipeline_per_second']:,.0f}", f"{row['training_per_second']:,.0f}",
         f"{row['share']:.0%}", f"{row['parameters']:,}"]
        for row in rows
    ]  # fmt: skip
    return markdown(header, lines)


def text_transfer(rows):
    """Macro-F1, one line a method, one column a number of labels of kitchen appliances, and SST-2."""
    names = [
        {**row, "accuracy": row["macro_f1"], "data": f"{row['target']}, {row['labels']:,} labels"}
        for row in sorted(rows, key=lambda row: (row["target"], row["labels"]))
    ]
    return pivot(names, "method", "data", ("from scratch", "scratch, mean"))


def many_tasks(rows):
    """One line a method, a column for each task with all of its labels and with half of them."""
    named = [
        {**row, "accuracy": row[task], "column": f"{task}, {row['labels']}"}
        for task in ("digit", "speaker")
        for row in rows
    ]
    columns = [
        f"{task}, {labels}" for labels in dict.fromkeys(row["labels"] for row in rows) for task in ("digit", "speaker")
    ]
    named.sort(key=lambda row: columns.index(row["column"]))
    return pivot(named, "method", "column", ("each alone",))
