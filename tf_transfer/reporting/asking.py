"""From a model and labelled examples to what a report is about, output by output."""

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.analysis.asked import Asked, ask
from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation
from tf_transfer.analysis.evaluation import agreed_names, probabilities
from tf_transfer.analysis.multi_label_evaluation import MultiLabelEvaluation
from tf_transfer.analysis.regression_evaluation import RegressionEvaluation
from tf_transfer.builders import one_task
from tf_transfer.data import as_dataset
from tf_transfer.reporting.subject import Subject
from tf_transfer.serving.tasks import output_tensors, returns_several, task_of

_MISSING = -1


def asked_subject(
    model, data, *, class_names=None, regression=None, max_examples=500, batch_size=None, verbose=0, **known
):
    """Asks a model about labelled examples and returns the `Subject`.

    Args:
        model: Built `keras.Model`.
        data: Labelled examples, as in `tft.analysis.evaluate_classifier`; for a model of several outputs labels are a
            dict by output, -1 or NaN where one is missing.
        class_names: Sequence of strings, or a dict of those by output. Defaults to those of the model's builder or of
            the data.
        regression: Boolean, whether the outputs are values. Defaults to what the model's builder says, else to whether
            they are no probabilities.
        max_examples: Integer, how many of the first examples to keep. Defaults to 500.
        batch_size: Integer, examples at once. Defaults to None.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 0.
        **known: Further attributes of the `Subject`.
    """
    names = output_names(model)
    _check_labels(model, names, data)
    if names:
        _check_names(class_names, names)
    asked = ask(model, data, batch_size=batch_size, keep=max_examples, verbose=verbose)
    if names:
        parts = tuple(_part(model, name, asked, class_names, regression, known) for name in names)
        return Subject(model=model, data=data, evaluation=None, inputs=asked.inputs, labels=None, parts=parts, **known)
    evaluation = _evaluated(model, asked, getattr(model, "builder", None), regression,
                            lambda: agreed_names(class_names, model, data))  # fmt: skip
    inputs, labels = asked.inputs, asked.labels[: len(keras.tree.flatten(asked.inputs)[0])]
    return Subject(model=model, data=data, evaluation=evaluation, inputs=inputs, labels=labels, **known)


def check_reportable(model):
    """Raises for a model that a report can't be about."""
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model_or_run` must be a built keras.Model. Received: {model!r}.")
    if hasattr(model, "deployable") and output_names(model.deployable()):
        raise ValueError(
            f"`model_or_run` is {model.name!r}, which trains a model of several outputs. Take the model out of it: "
            "`tft.report(method.deployable(), ...)`."
        )


def output_names(model):
    """Returns the names of the outputs of a model of several, [] for a model of one."""
    return list(output_tensors(model)) if getattr(model, "outputs", None) and returns_several(model) else []


def _part(model, name, asked, class_names, regression, known):
    """Returns the `Subject` of one output, with the examples that have a label of it."""
    single = one_task(model, name) if len(model.outputs) > 1 else keras.Model(model.input, output_tensors(model)[name])
    builder = getattr(model, "builder", None)
    task = getattr(builder, "tasks", {}).get(name)
    single.builder = getattr(builder, "trunk", None)
    labels = asked.labels[name]
    has = _has_label(labels)
    kept = has[: len(keras.tree.flatten(asked.inputs)[0])]
    options = {"model": single, "data": None, "output": name, "num_shown": known.get("num_shown", 8)}
    if not has.any():
        return Subject(**options, evaluation=None, inputs=asked.inputs, labels=None)
    outputs = _by_name(asked.outputs, model)[name]
    labelled = Asked(outputs[has], labels[has], keras.tree.map_structure(lambda part: part[kept], asked.inputs))
    given = (class_names or {}).get(name)
    names = given if given is not None else getattr(task, "class_names", None)
    evaluation = _evaluated(single, labelled, task, regression, lambda: names)
    return Subject(**options, evaluation=evaluation, inputs=labelled.inputs, labels=labelled.labels[: kept.sum()])


def _evaluated(model, asked, task, regression, names):
    """Returns the evaluation of one output.

    Args:
        model: `keras.Model` with one output.
        asked: `Asked`.
        task: Builder that says what the output is, or None.
        regression: As in `asked_subject`.
        names: Function that returns the names of the classes or labels.
    """
    kind = _kind(model, asked.outputs, task, regression)
    if kind == "values":
        return RegressionEvaluation(asked.outputs, asked.labels)
    if kind == "labels":
        return MultiLabelEvaluation(asked.outputs, asked.labels, names())
    return ClassifierEvaluation(probabilities(asked.outputs, from_logits=False), asked.labels, names())


def _kind(model, outputs, task, regression):
    """Returns "values", "labels" (several an example) or "classes"."""
    if regression:
        return "values"
    if task is not None and hasattr(task, "num_classes"):
        return "labels" if getattr(task, "multi_label", False) else "classes"
    if regression is None and task is not None and hasattr(task, "num_outputs"):
        return "values"
    if _are_probabilities(outputs):
        return "classes"
    if getattr(model, "outputs", None) and task_of(model) == "multi_label":
        return "labels"
    return "values" if regression is None else "classes"


def _are_probabilities(outputs):
    if outputs.ndim != 2 or outputs.min() < -1e-6:
        return False
    return bool(outputs.max() <= 1 + 1e-6 if outputs.shape[1] == 1 else np.all(np.abs(outputs.sum(1) - 1) < 1e-3))


def _has_label(labels):
    """Returns which examples have a label: of several values all of them, of several labels one or more."""
    rows = labels.reshape(len(labels), -1)
    if rows.dtype.kind == "f" and np.isnan(rows).any():
        return np.isfinite(rows).all(axis=1)
    # Values may well be below 0; a row of nothing but -1 is no one-hot row and has no label that is known.
    whole = np.all(rows == np.round(rows)) and rows.min() == _MISSING
    return (rows > _MISSING).any(axis=1) if whole else np.ones(len(rows), bool)


def _by_name(outputs, model):
    return outputs if isinstance(outputs, dict) else dict(zip(output_tensors(model), outputs, strict=True))


def _check_labels(model, names, data):
    """Raises, before the model is asked, for labels that do not fit its outputs."""
    spec = as_dataset(data, batch_size=1, missing=True).element_spec[1]
    if not names:
        if getattr(getattr(model, "builder", None), "multi_label", False) and tuple(spec.shape[1:]) != tuple(
            model.output_shape[1:]
        ):
            raise ValueError(
                f"The model gives {model.output_shape[-1]} labels an example, so that `data` must have labels of shape "
                f"{('num_examples', model.output_shape[-1])} of 0 and 1. Received: labels of shape "
                f"{('num_examples', *spec.shape[1:])}."
            )
        return
    if not isinstance(spec, dict) or set(spec) != set(names):
        received = sorted(spec) if isinstance(spec, dict) else "labels without names"
        raise ValueError(
            f"The model has the outputs {sorted(names)}, so that `data` must have a dict of labels with these names, "
            f"-1 (classes) or NaN (values) where one is missing. Received: {received}."
        )


def _check_names(class_names, names):
    if class_names is not None and not isinstance(class_names, dict):
        raise ValueError(f"`class_names` of a model of several outputs must be a dict by output: {sorted(names)}.")
    for name in class_names or ():
        _checks.one_of(name, "class_names", names)
