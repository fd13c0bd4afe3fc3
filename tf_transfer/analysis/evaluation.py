"""Runs a model over labelled data and evaluates it."""

import numpy as np

from tf_transfer.analysis.asked import ask
from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation
from tf_transfer.analysis.multi_label_evaluation import MultiLabelEvaluation
from tf_transfer.analysis.regression_evaluation import RegressionEvaluation


def evaluate_classifier(model, data, class_names=None, *, batch_size=None, from_logits=False, verbose=0):
    """Runs a classifier over labelled data and says how good it is.

    Every example counts once; sample weights in the data are left out. The order is that of the data, and scores and
    labels come from the same pass, so a shuffled stream is evaluated right.

    Args:
        model: A `keras.Model` with one output, `(batch, num_classes)`, or `(batch, 1)` for the second of two classes.
        data: What `tft.data.as_dataset` takes, with integer or one-hot labels: arrays `(x, y)`, an `ImageFolder`, or
            a `tf.data.Dataset`, batched or not. It must end.
        class_names: Sequence of strings. Defaults to those of the model's builder or of the folder.
        batch_size: Integer, as in `as_dataset`. Defaults to None.
        from_logits: Boolean, whether the model ends in logits instead of probabilities. Defaults to False.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 0.

    Returns:
        A `ClassifierEvaluation`.

    Raises:
        ValueError: When the outputs are no probabilities, labels do not fit them, class names contradict each other,
            or the data is endless.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Softmax()])
    >>> x, y = np.array([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]], "float32"), np.array([0, 1, 0])
    >>> evaluation = evaluate_classifier(model, (x, y), class_names=["no", "yes"])
    >>> evaluation.predictions.tolist(), round(evaluation.accuracy, 3)
    ([0, 1, 1], 0.667)
    """
    class_names = agreed_names(class_names, model, data)
    asked = ask(model, data, batch_size=batch_size, verbose=verbose)
    return ClassifierEvaluation(probabilities(asked.outputs, from_logits), asked.labels, class_names)


def evaluate_multi_label(model, data, class_names=None, *, threshold=0.5, batch_size=None, verbose=0):
    """Runs a model of several labels an example over labelled data and says how good each label is.

    Args:
        model: A `keras.Model` with one output, `(batch, num_labels)`, independent probabilities, as a builder with
            `multi_label=True` makes it.
        data: As in `evaluate_classifier`, with labels `(batch, num_labels)` of 0 and 1, and -1 where nobody knows.
        class_names: Sequence of strings. Defaults to those of the model's builder.
        threshold: Float in [0, 1], the score from which on a label is given. Defaults to 0.5.
        batch_size: Integer, as in `as_dataset`. Defaults to None.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 0.

    Returns:
        A `MultiLabelEvaluation`.

    Raises:
        ValueError: When outputs are no probabilities, labels do not fit them, or the data is endless.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Activation("sigmoid")])
    >>> x, y = np.array([[2.0, 1.0], [-1.0, 3.0]], "float32"), np.array([[1, 0], [0, 1]])
    >>> evaluate_multi_label(model, (x, y), class_names=["old", "torn"]).f1.round(2).tolist()
    [1.0, 0.67]
    """
    class_names = agreed_names(class_names, model, data)
    asked = ask(model, data, batch_size=batch_size, verbose=verbose)
    return MultiLabelEvaluation(asked.outputs, asked.labels, class_names, threshold)


def evaluate_regressor(model, data, *, batch_size=None, verbose=0):
    """Runs a regressor over examples with known values and says how far off it is.

    Args:
        model: A `keras.Model` with one output, `(batch, num_outputs)`, in the unit of the targets.
        data: As in `evaluate_classifier`, with values in place of labels.
        batch_size: Integer, as in `as_dataset`. Defaults to None.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 0.

    Returns:
        A `RegressionEvaluation`.

    Raises:
        ValueError: When outputs and targets differ in shape, or the data is endless.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(2.0)])
    >>> evaluate_regressor(model, (np.array([[1.0], [2.0]]), np.array([2.0, 5.0]))).mae
    0.5
    """
    asked = ask(model, data, batch_size=batch_size, verbose=verbose)
    return RegressionEvaluation(asked.outputs, asked.labels)


def agreed_names(given, model, data):
    """Returns the class names that are given, or known to the model or the data; None when nobody knows any."""
    sources = {
        "`class_names`": given,
        "the model": getattr(getattr(model, "builder", None), "class_names", None),
        "the data": getattr(data, "class_names", None),
    }
    named = {where: list(names) for where, names in sources.items() if names is not None}
    # What a folder calls class 0 may be another class than the model's class 0: every score would be wrong.
    for where, names in named.items():
        if names != next(iter(named.values())):
            first = next(iter(named))
            raise ValueError(f"Class names must agree. Received: {first} has {named[first]}, {where} has {names}.")
    return next(iter(named.values()), None)


def probabilities(outputs, from_logits):
    """Returns what a classifier gave as probabilities `(num_examples, num_classes)`; raises when they are none."""
    if outputs.ndim != 2:
        raise ValueError(f"The model must give scores (batch, num_classes). Received: shape {outputs.shape}.")
    if outputs.shape[1] == 1:
        outputs = np.concatenate([np.zeros_like(outputs) if from_logits else 1 - outputs, outputs], axis=1)
    if from_logits:
        from scipy.special import softmax

        outputs = softmax(outputs.astype("float64"), axis=1)
    # Written so that NaN fails as well.
    if not (np.all(outputs >= -1e-6) and np.all(np.abs(outputs.sum(axis=1) - 1) <= 1e-3)):
        raise ValueError(
            "The model's outputs are no probabilities: they must be at least 0 and sum to 1 over the classes. "
            f"Received, for the first example: {outputs[0].tolist()}. For a model that ends in logits say "
            "`from_logits=True`."
        )
    return outputs
