"""The demo: an encoder of MNIST digits carried over to other digits, from ten labels a class to a served model."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import time

import numpy as np

from tf_transfer import __version__, _checks, _files
from tf_transfer._logging import without_retracing_warnings
from tf_transfer.backbones import shipped
from tf_transfer.data import fingerprint
from tf_transfer.serving import Verification, export, verify
from tf_transfer.serving.version_folders import check_target
from tf_transfer.workflow import demo_report, demo_runs, export_record


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class DemoResult:
    """What the demo made.

    Attributes:
        runs: List of `demo_runs.Run`, one a seed and method.
        best: The `demo_runs.Run` that was exported, chosen by validation.
        export_path: String, the version folder of the export.
        report_path: String, the page.
        served: `tft.serving.Verification`, predictions of the export in a process without Keras.
        served_examples: Tuple of arrays, the test images of those predictions, one a class, and their labels.
    """

    runs: list
    best: demo_runs.Run
    export_path: str
    report_path: str
    served: Verification
    served_examples: tuple


def run_demo(
    export_path="saved_models/digits",
    report_path="demo_report.html",
    seeds=(0, 1, 2),
    *,
    labels_per_class=10,
    quick=False,
    record=None,
    verbose=1,
):
    """Carries the encoder that the project ships over to scikit-learn's digits, with few labelled images a class.

    For each seed a classifier is trained from scratch (as it is fine-tuned, and tuned for itself), on frozen
    features, and fine-tuned, and measured on the images that no training has seen. The best by validation is
    exported and asked again in a process without Keras, and a page shows what came out. Needs no network; takes a
    few minutes on two cores.

    Args:
        export_path: String or path, the folder that gets the next version of the served model.
        report_path: String or path of the HTML file.
        seeds: Sequence of integers; each draws the labelled images and starts the trainings. Defaults to (0, 1, 2).
        labels_per_class: Integer, at least 2, how many images of each class have a label; a fifth of them, at least
            one, is for validation. Defaults to 10.
        quick: Boolean, whether to train for a tenth of the epochs, to see that everything runs. Defaults to False.
        record: String or path of a file that is written anew, one line of JSON a training. Defaults to None.
        verbose: 0 or 1, whether to print progress and results. Defaults to 1.

    Returns:
        A `DemoResult` with the runs, the one that was exported, and the paths.

    Raises:
        ValueError: Before anything is trained, when a path or a seed can't be used.

    Example:

    >>> result = tft.workflow.run_demo(seeds=[0], quick=True, verbose=0)
    >>> result.export_path, len(result.runs), len(result.served.outputs["labels"])
    ('saved_models/digits/1', 4, 10)
    """
    from rich.console import Console

    seeds = [_checks.integer(seed, "seeds", minimum=0) for seed in seeds]
    _checks.integer(labels_per_class, "labels_per_class", minimum=2, maximum=100)
    _check(export_path, report_path, seeds, record, quick)
    console = Console(quiet=not verbose, highlight=False, soft_wrap=True)
    console.print(
        f"[bold]{demo_runs.ENCODER}[/bold], trained on MNIST, carried over to scikit-learn's 8x8 digits with "
        f"{labels_per_class} labelled images a class."
    )
    with without_retracing_warnings():
        runs = _train_all(seeds, labels_per_class, quick, console)
    console.print(_table(runs))
    best = demo_runs.choose(runs)
    path = export(
        best.model,
        export_path,
        examples=best.digits.validation[0],
        metrics=export_record.metrics(best.test),
        data_fingerprint=fingerprint([best.digits.train]),
    )
    images, labels = _first_of_each_class(best.digits.test)
    served = verify(path, images, best.model.predict(images, verbose=0))
    result = DemoResult(runs, best, path, os.fspath(report_path), served, (images, labels))
    demo_report.write(result, quick)
    if record is not None:
        _record(runs, record)
    _tell(result, console)
    return result


def _check(export_path, report_path, seeds, record, quick):
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"`seeds` must be one or more different integers. Received: seeds={seeds}.")
    if quick and record is not None:
        raise ValueError("`quick` trainings are no figures to `record`. Leave out one of the two.")
    shipped(demo_runs.ENCODER)
    check_target(export_path)
    for path in [report_path, *([record] if record is not None else [])]:
        folder = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
            raise ValueError(
                f"{str(path)!r} cannot be written: it must be a file in a folder that is there and writable."
            )


def _train_all(seeds, labels_per_class, quick, console):
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    runs = []
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("epoch {task.completed}/{task.total}")]
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        for seed in seeds:
            for method in demo_runs.RECIPES:
                task = progress.add_task(f"seed {seed}, {method}", total=demo_runs.num_epochs(method, quick))
                run = demo_runs.run(
                    method,
                    seed,
                    labels_per_class,
                    quick=quick,
                    on_epoch_end=lambda epoch, logs, task=task: progress.advance(task),
                )
                progress.remove_task(task)
                console.print(
                    f"  seed {seed}  {method:<19}  accuracy {run.test.accuracy:.3f}  macro-F1 {run.test.macro_f1:.3f}  "
                    f"{run.seconds:5.1f} s"
                )
                runs.append(run)
    return runs


def _table(runs):
    from rich.table import Table

    num_seeds = len({run.seed for run in runs})
    table = Table(title=f"Test images, mean ± standard deviation over {num_seeds} seeds", title_justify="left")
    table.add_column("")
    for name in ("accuracy", "macro-F1", "seconds"):
        table.add_column(name, justify="right")
    for row in demo_runs.summary_rows(runs):
        table.add_row(*row)
    return table


def _first_of_each_class(examples):
    images, labels = examples
    first = [int(np.flatnonzero(labels == label)[0]) for label in range(len(demo_runs.CLASS_NAMES))]
    return images[first], labels[first]


def _tell(result, console):
    best, served = result.best, result.served
    console.print(
        f"Exported to [bold]{result.export_path}[/bold]: {best.method}, seed {best.seed}, chosen by validation. "
        f"Asked again in a process without Keras\n(TensorFlow {served.tensorflow}, C library), largest difference "
        f"{served.max_difference:.1g}:"
    )
    for label, predicted, scores in zip(result.served_examples[1], served.outputs["labels"], served.outputs["scores"]):
        name = demo_runs.CLASS_NAMES[label]
        console.print(
            f"  true {name:<6}  served {predicted:<6}  {scores.max():.2f}{'' if name == predicted else '  wrong'}"
        )
    console.print(f"Report: [bold]{result.report_path}[/bold]")
    console.print("Next, with a folder of images per class: tf-transfer train --images DIR --export saved_models/mine")


def _record(runs, path):
    """Writes one line of JSON a run, all of them or none; what the file held before is replaced."""
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    lines = [
        {
            "benchmark": "demo",
            "method": run.method,
            "seed": run.seed,
            "accuracy": round(run.test.accuracy, 4),
            "macro_f1": round(run.test.macro_f1, 4),
            "test": len(run.test.labels),
            "seconds": round(run.seconds, 2),
            "when": time.strftime("%Y-%m-%d"),
            "versions": {**versions, "tf-transfer": __version__},
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "labels": len(run.digits.train[1]) + len(run.digits.validation[1]),
            "settings": {**demo_runs.recipe(run.method), "batch_size": demo_runs.BATCH_SIZE},
        }
        for run in runs
    ]
    _files.write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
