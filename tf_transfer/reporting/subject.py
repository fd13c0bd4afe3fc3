"""What a report is about: a model, what it answered to examples, and what else is known of it."""

import dataclasses
import typing

import keras
import numpy as np

from tf_transfer.analysis.asked import ask
from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation
from tf_transfer.analysis.domain_gap import DomainGap
from tf_transfer.analysis.evaluation import agreed_names, probabilities
from tf_transfer.analysis.regression_evaluation import RegressionEvaluation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """What the sections of a report draw from.

    Attributes:
        model: Built `keras.Model` with one output.
        data: The examples that it was asked about, as they were given, or None.
        evaluation: `ClassifierEvaluation`, `RegressionEvaluation`, or None where no example has a label.
        inputs: The first examples, an array or a dict of arrays.
        labels: Their labels, or None.
        num_shown: Integer, how many examples to show at most.
        history: `keras.callbacks.History` or dict of lists, or None.
        pretrained: `keras.Model` as it was before, or None.
        source: Examples of the domain that it was trained on, or None.
        target: Examples of the domain where it is used, or None.
        gap: `DomainGap`, or None.
        export_path: Path of the export of this model, or None.
        run: `tft.workflow.Run`, or None.
    """

    model: keras.Model
    data: typing.Any
    evaluation: typing.Any
    inputs: typing.Any
    labels: np.ndarray | None
    num_shown: int = 8
    history: typing.Any = None
    pretrained: keras.Model | None = None
    source: typing.Any = None
    target: typing.Any = None
    gap: DomainGap | None = None
    export_path: typing.Any = None
    run: typing.Any = None

    @property
    def builder(self):
        return getattr(self.model, "builder", None)

    @property
    def num_kept(self):
        return len(keras.tree.flatten(self.inputs)[0])

    @property
    def is_classifier(self):
        return isinstance(self.evaluation, ClassifierEvaluation)

    @property
    def is_regressor(self):
        return isinstance(self.evaluation, RegressionEvaluation)


def asked_subject(
    model, data, *, class_names=None, regression=None, max_examples=500, batch_size=None, verbose=0, **known
):
    """Asks a model about labelled examples and returns the `Subject`.

    Args:
        model: Built `keras.Model` with one output.
        data: Labelled examples, as in `tft.analysis.evaluate_classifier`.
        class_names: Sequence of strings. Defaults to those of the model's builder or of the data.
        regression: Boolean, whether the outputs are values. Defaults to what the model's builder says, else to whether
            they are no probabilities.
        max_examples: Integer, how many of the first examples to keep. Defaults to 500.
        batch_size: Integer, examples at once. Defaults to None.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 0.
        **known: Further attributes of the `Subject`.
    """
    asked = ask(model, data, batch_size=batch_size, keep=max_examples, verbose=verbose)
    if regression is None:
        regression = not _is_classifier(model, asked.outputs)
    if regression:
        evaluation = RegressionEvaluation(asked.outputs, asked.labels)
    else:
        names = agreed_names(class_names, model, data)
        evaluation = ClassifierEvaluation(probabilities(asked.outputs, from_logits=False), asked.labels, names)
    inputs, labels = asked.inputs, asked.labels[: len(keras.tree.flatten(asked.inputs)[0])]
    return Subject(model=model, data=data, evaluation=evaluation, inputs=inputs, labels=labels, **known)


def check_reportable(model):
    """Raises for a model that a report can't be about."""
    if not isinstance(model, keras.Model) or not model.built or len(getattr(model, "outputs", None) or [None]) != 1:
        raise ValueError(f"`model_or_run` must be a built keras.Model with one output. Received: {model!r}.")
    if getattr(getattr(model, "builder", None), "multi_label", False):
        raise ValueError("`report` is for one label an example, or numbers; the model gives several labels.")


def _is_classifier(model, outputs):
    builder = getattr(model, "builder", None)
    return hasattr(builder, "num_classes") if builder is not None else _are_probabilities(outputs)


def _are_probabilities(outputs):
    if outputs.ndim != 2 or outputs.min() < -1e-6:
        return False
    return bool(outputs.max() <= 1 + 1e-6 if outputs.shape[1] == 1 else np.all(np.abs(outputs.sum(1) - 1) < 1e-3))
