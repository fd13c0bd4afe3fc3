"""One page about a trained model: how good it is, where it is wrong, what it looks at, what it costs."""

import os

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.analysis.asked import ask
from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation
from tf_transfer.analysis.domain_gap import DomainGap
from tf_transfer.analysis.evaluation import agreed_names, probabilities
from tf_transfer.analysis.regression_evaluation import RegressionEvaluation
from tf_transfer.layers import load_model
from tf_transfer.layers.keras_files import known_class_names
from tf_transfer.reporting import report_sections as sections
from tf_transfer.reporting.html_report import HTMLReport


def report(
    model,
    data,
    path="report.html",
    *,
    title=None,
    class_names=None,
    regression=None,
    history=None,
    pretrained=None,
    gap=None,
    export_path=None,
    max_examples=500,
    num_shown=8,
    batch_size=None,
    verbose=1,
):
    """Writes one HTML file about a model on held-out examples, which needs no network and reads well on a phone.

    What it says follows from what it is given: how often the model is right, with an interval; classes, confusion and
    calibration; the most confident mistakes as pictures, texts or rows, and what the model looked at there; the curves
    of the training; what fine-tuning moved; how far the target is; what the model weighs and how fast it is here; how
    to serve it. For a regressor errors in the unit of the target instead of classes.

    Args:
        model: Built `keras.Model` with one output, or the path of a `.keras` file.
        data: Labelled examples that the model was not trained on, as in `tft.analysis.evaluate_classifier`.
        path: String or path of the file. Defaults to "report.html".
        title: String. Defaults to the name of the model.
        class_names: Sequence of strings. Defaults to those of the model, its file, or the data.
        regression: Boolean, whether the outputs are values. Defaults to what the model's builder says, else to whether
            they are no probabilities.
        history: What `fit` or `tft.fine_tune` returned, for the curves. Defaults to None.
        pretrained: `keras.Model` with the backbone as it was before, for what moved. Defaults to None.
        gap: `tft.analysis.DomainGap` of source and target. Defaults to None.
        export_path: Path of the export of this model, for how to serve it. Defaults to None.
        max_examples: Integer, how many of the first examples mistakes and explanations are taken from. Defaults to 500.
        num_shown: Integer, how many mistakes and explanations to show. Defaults to 8.
        batch_size: Integer, examples at once. Defaults to None, as in `evaluate_classifier`.
        verbose: 0 or 1, whether to show progress and say where the page is. Defaults to 1.

    Returns:
        The path of the file, a string.

    Raises:
        ValueError: When the data are endless or do not fit the model.
        OSError: When the file can't be written.

    Example:

    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2, "softmax")], name="spots")
    >>> x, y = np.random.default_rng(0).uniform(0, 255, (12, 8, 8, 1)), np.arange(12) % 2
    >>> tft.report(model, (x, y), "spots.html", class_names=["left", "right"], verbose=0)
    'spots.html'
    """
    _checks.integer(max_examples, "max_examples", 1)
    _checks.integer(num_shown, "num_shown", 1)
    model, class_names = _opened(model, class_names)
    _check(path, gap, model)
    asked = ask(model, data, batch_size=batch_size, keep=max_examples, verbose=verbose)
    evaluation = _evaluation(model, data, asked, class_names, regression)
    page = HTMLReport(title if title is not None else f"{model.name}: what it knows")
    sections.summary(page, model, evaluation)
    sections.figures(page, evaluation)
    if isinstance(evaluation, ClassifierEvaluation):
        sections.mistakes(page, model, evaluation, asked.inputs, num_shown)
        sections.explanations(page, model, evaluation, asked.inputs, num_shown)
    sections.columns(page, model, asked)
    sections.training(page, history)
    sections.moved(page, pretrained, model, data)
    sections.domain_gap(page, gap)
    sections.cost(page, model, asked.inputs)
    sections.serving(page, model, export_path)
    path = page.save(path)
    if verbose:
        print(f"Wrote {path}")
    return path


def _opened(model, class_names):
    if not isinstance(model, keras.Model):
        model = load_model(os.fspath(model))
        class_names = known_class_names(model) if class_names is None else class_names
    if not model.built or len(getattr(model, "outputs", None) or [None]) != 1:
        raise ValueError(f"`model` must be a built keras.Model with one output. Received: {model!r}.")
    return model, class_names


def _check(path, gap, model):
    """Raises for what would only fail after the model has run."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or (os.path.isdir(folder) and not os.access(folder, os.W_OK)):
        raise OSError(f"`path` must be a file that can be written. Received: {os.fspath(path)!r}.")
    if gap is not None and not isinstance(gap, DomainGap):
        raise ValueError(f"`gap` must be what `tft.analysis.domain_gap` returns. Received: {gap!r}.")
    if getattr(getattr(model, "builder", None), "multi_label", False):
        raise ValueError("`report` is for one label an example, or numbers; the model gives several labels.")


def _evaluation(model, data, asked, class_names, regression):
    builder = getattr(model, "builder", None)
    if regression is None:
        known = hasattr(builder, "num_classes") if builder is not None else _are_probabilities(asked.outputs)
        regression = not known
    if regression:
        return RegressionEvaluation(asked.outputs, asked.labels)
    names = agreed_names(class_names, model, data)
    return ClassifierEvaluation(probabilities(asked.outputs, from_logits=False), asked.labels, names)


def _are_probabilities(outputs):
    if outputs.ndim != 2 or outputs.min() < -1e-6:
        return False
    return bool(outputs.max() <= 1 + 1e-6 if outputs.shape[1] == 1 else np.all(np.abs(outputs.sum(1) - 1) < 1e-3))
