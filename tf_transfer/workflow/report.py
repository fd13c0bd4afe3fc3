"""A page about a model or a run: what it is, how good, where it is wrong, what it looks at, what it costs."""

import contextlib
import os

import numpy as np

from tf_transfer import _checks
from tf_transfer.analysis.domain_gap import DomainGap
from tf_transfer.layers import load_model
from tf_transfer.layers.keras_files import known_class_names
from tf_transfer.reporting.asking import asked_subject, check_reportable
from tf_transfer.reporting.pages import check_page, write_page
from tf_transfer.reporting.subject import Subject
from tf_transfer.workflow.report_examples import RunExamples, open_run
from tf_transfer.workflow.run_reproduction import started_in
from tf_transfer.workflow.runs import Run, is_run, read_run


def report(
    model_or_run,
    data=None,
    path="report.html",
    *,
    title=None,
    class_names=None,
    regression=None,
    history=None,
    pretrained=None,
    source=None,
    target=None,
    gap=None,
    export_path=None,
    licence=None,
    max_examples=500,
    num_shown=8,
    batch_size=None,
    verbose=1,
):
    """Writes one HTML file about a model on held-out examples, which needs no network and reads well on a phone.

    What it says follows from what it is given: how often the model is right, with an interval; what it was made from
    and how; classes, confusion and calibration; the most confident mistakes as pictures, sounds, texts or rows, and
    what the model looked at; what fine-tuning moved; how far the target is; what the model weighs and how fast it is
    here; how to serve it. For a regressor errors in the unit of the target instead of classes; for several labels an
    example each label, and which come together; for several outputs these sections for each. A section that would have
    nothing to say is not there.

    Of a run it knows the configuration, the history and the data: without `data` the examples are those that the run
    measured on, found again by its configuration. These chose the best epoch, so that its figures are a little too
    good.

    Args:
        model_or_run: Built `keras.Model`, the path of a `.keras` file, or a `tft.workflow.Run` or its folder, which
            `tf-transfer train`, `auto`, `adapt` or `distill` wrote with `--output`.
        data: Labelled examples that the model was not trained on, as in `tft.analysis.evaluate_classifier`. For a model
            of several labels an example, labels of shape `(num_examples, num_labels)` of 0, 1 and -1 (unknown); for
            one of several outputs a dict of labels by output, -1 or NaN where one is missing. Defaults to those of the
            run.
        path: String or path of the file. Defaults to "report.html".
        title: String. Defaults to the name of the run or model.
        class_names: Sequence of strings, or for several outputs a dict of those by output. Defaults to those of the
            model, its file, or the data.
        regression: Boolean, whether the outputs are values. Defaults to what the model's builder says, else to whether
            they are no probabilities.
        history: What `fit` or `tft.fine_tune` returned, for the curves. Defaults to that of the run.
        pretrained: `keras.Model` with the backbone as it was before, for what moved. Defaults to None.
        source: Examples of the domain that the model was trained on, with labels or without: arrays, a folder, or a
            batched `tf.data.Dataset`. Then the page says how far `target` is from them in the model's own features.
            Defaults to those of an adaptation's run.
        target: The same of the domain where it is used. Defaults to those of an adaptation's run, else to `data`.
        gap: `tft.analysis.DomainGap` that was measured already. Defaults to None.
        export_path: Path of the export of this model, for how to serve it. Defaults to that of the run.
        licence: String, what the weights that the model started from may be used for, as you know it. Defaults to what
            a LICENSE, README or model card beside them says; the page says so where nothing does.
        max_examples: Integer, how many of the first examples mistakes and explanations are taken from. Defaults to 500.
        num_shown: Integer, how many mistakes and explanations to show. Defaults to 8.
        batch_size: Integer, examples at once. Defaults to None, as in `evaluate_classifier`.
        verbose: 0 or 1, whether to show progress and say where the page is. Defaults to 1.

    Returns:
        The path of the file, a string.

    Raises:
        ValueError: When the data are endless or do not fit the model, or there are none.
        OSError: When the file can't be written, or the examples of a run are not where they were.

    Example:

    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2, "softmax")], name="spots")
    >>> x, y = np.random.default_rng(0).uniform(0, 255, (12, 8, 8, 1)), np.arange(12) % 2
    >>> tft.report(model, (x, y), "spots.html", class_names=["left", "right"], verbose=0)
    'spots.html'
    """
    known = {"history": history, "source": source, "target": target, "export_path": export_path}
    known |= {"pretrained": pretrained, "gap": gap, "num_shown": num_shown, "licence": licence}
    asked = {"class_names": class_names, "regression": regression, "max_examples": max_examples}
    asked |= {"batch_size": batch_size, "verbose": verbose}
    path, _ = make_report(model_or_run, data, path, title, known, asked)
    if verbose:
        print(f"Wrote {path}")
    return path


def make_report(model_or_run, data, path, title, known, asked):
    """Writes the page and returns its path and the `Subject` that it is about.

    Args:
        model_or_run: As in `report`.
        data: As in `report`, or a function that reads it for a model that knows its builder.
        path: As in `report`.
        title: As in `report`.
        known: Dict of what else is known of the model, attributes of a `Subject`; None is found in the run. "source"
            may be such a function too.
        asked: Dict of how to ask the model, arguments of `asked_subject`.
    """
    _checks.integer(asked["max_examples"], "max_examples", 1)
    _checks.integer(known["num_shown"], "num_shown", 1)
    check_page(path)
    if known["gap"] is not None and not isinstance(known["gap"], DomainGap):
        raise ValueError(f"`gap` must be what `tft.analysis.domain_gap` returns. Received: {known['gap']!r}.")
    model, run = opened(model_or_run)
    if run is None:
        subject = _subject(model, RunExamples(held_out=_read(data, model)), known, asked)
        return write_page(subject, path, title), subject
    found = {"history": run.history or None, "export_path": _export(run), "run": run}
    known = {**known, **{name: value for name, value in found.items() if known.get(name) is None}}
    if data is None:
        whole = os.path.abspath(path)
        # The files of the run are read while the page is made.
        with started_in(run):
            subject = _subject(model, _of_run(run, model), known, asked)
            write_page(subject, whole, title)
        return os.fspath(path), subject
    with started_in(run), contextlib.suppress(OSError, ValueError):
        model.builder = open_run(run, model).builder
    subject = _subject(model, RunExamples(held_out=_read(data, model)), known, asked)
    return write_page(subject, path, title), subject


def _read(data, model):
    return data(model) if callable(data) else data


def _subject(model, examples, known, asked):
    """Asks the model and returns what the page is about."""
    for name in ("source", "target"):
        own = known[name]
        known = {**known, name: getattr(examples, name) if own is None else _read(own, model)}
    if examples.held_out is not None:
        names = known_class_names(model) if asked["class_names"] is None else asked["class_names"]
        return asked_subject(model, examples.held_out, **{**asked, "class_names": names}, **known)
    if examples.target is None:
        raise ValueError("Give `data`: labelled examples that the model was not trained on.")
    inputs = _some(examples.target, asked["max_examples"])
    return Subject(model=model, data=None, evaluation=None, inputs=inputs, labels=None, **known)


def opened(model_or_run):
    """Returns a model, and the `Run` that it is from or None.

    Raises:
        ValueError: When it is neither a model nor a run, or a model that a report can't be about.
        OSError: When there is no such file.
    """
    run = model_or_run if isinstance(model_or_run, Run) else None
    if isinstance(model_or_run, str | os.PathLike) and os.path.isdir(model_or_run):
        if not is_run(model_or_run):
            raise ValueError(
                f"{os.fspath(model_or_run)!r} is not the folder of a run, which --output of train, auto, adapt and "
                "distill writes. Of an exported model give the .keras file; an export has no layers to look into."
            )
        run = read_run(model_or_run)
    if run is not None:
        model = load_model(run.model_path)
    else:
        model = load_model(os.fspath(model_or_run)) if isinstance(model_or_run, str | os.PathLike) else model_or_run
    check_reportable(model)
    return model, run


def _of_run(run, model):
    """Returns what the run measured on, and gives the model its builder."""
    try:
        examples = open_run(run, model)
    except OSError as error:
        raise FileNotFoundError(f"The examples of the run are not where they were: {error} Give others.") from error
    model.builder = examples.builder
    return examples


def _export(run):
    path = run.settings.get("export")
    return path if path is not None and os.path.isdir(path) else None


def _some(images, num):
    """Returns the first examples of a folder without labels as an array."""
    batches = [np.asarray(batch) for batch in images.dataset(32).take(-(-num // 32))]
    return np.concatenate(batches)[:num]
