"""Runs several classifiers over one set of data, weighs them and times them."""

import os
import tempfile

import keras
import numpy as np
import tensorflow as tf

from tf_transfer.analysis.evaluation import evaluate_classifier
from tf_transfer.analysis.model_comparison import ComparedModel, ModelComparison
from tf_transfer.analysis.model_cost import machine, median_seconds
from tf_transfer.builders.taken import taken
from tf_transfer.data import ImageFolder, as_dataset
from tf_transfer.distillation.signals import inputs_for
from tf_transfer.layers import load_model


def compare_models(models, data, class_names=None, *, batch_size=None, from_logits=False, verbose=0):
    """Says of several classifiers what each weighs, how long it takes, and how good it is, on the same data.

    Models may take images of different sizes: each is given its own, from an `ImageFolder` as its files are read,
    else by scaling. Latency is the median of 10 to 100 runs of one example in a compiled graph, after runs to warm up;
    the models take turns, so that what else the machine does disturbs all alike.

    Args:
        models: Dict of names to built `keras.Model`s. The first is the reference that the others agree with or not,
            such as the teacher of a distillation.
        data: As in `tft.analysis.evaluate_classifier`, in the same order in each pass.
        class_names: As in `evaluate_classifier`.
        batch_size: As in `evaluate_classifier`.
        from_logits: As in `evaluate_classifier`, for all models.
        verbose: 0 or 1, whether to show a progress bar a model. Defaults to 0.

    Returns:
        A `ModelComparison` with one `ComparedModel` a model.

    Raises:
        ValueError: When there is no model, one does not fit the data, classes differ, or the data come in another order
            each time.

    Example:

    >>> x, y = np.array([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0], [4.0, 1.0]], "float32"), np.array([0, 1, 0, 0])
    >>> large = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax", kernel_initializer="identity")])
    >>> small = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling([1.0, 0.0]), keras.layers.Softmax()])
    >>> comparison = tft.analysis.compare_models({"large": large, "small": small}, (x, y))
    >>> [(row.name, row.num_parameters, row.accuracy, row.agreement) for row in comparison.rows]
    [('large', 6, 0.75, 1.0), ('small', 0, 0.75, 0.5)]
    >>> comparison.header[:4]
    ['model', 'parameters', 'file in MB', 'latency in ms']
    """
    _check(models)
    fitted = {name: as_taken(data, model, batch_size) for name, model in models.items()}
    names = class_names if class_names is not None else getattr(data, "class_names", None)
    evaluations = {
        name: evaluate_classifier(
            model, fitted[name], names, batch_size=batch_size, from_logits=from_logits, verbose=verbose
        )
        for name, model in models.items()
    }
    _check_alike(evaluations)
    examples = {name: _one_example(each, models[name]) for name, each in fitted.items()}
    seconds = median_seconds(models, examples)
    reference = next(iter(evaluations.values())).predictions
    rows = tuple(
        ComparedModel(
            name,
            model.count_params(),
            _saved_megabytes(model),
            1000 * seconds[name],
            evaluations[name].accuracy,
            evaluations[name].macro_f1,
            float(np.mean(evaluations[name].predictions == reference)),
        )
        for name, model in models.items()
    )
    return ModelComparison(rows, evaluations, machine())


def _check(models):
    if not isinstance(models, dict) or not models:
        raise ValueError(f"`models` must be a dict of names to models, at least one. Received: models={models!r}.")
    for name, model in models.items():
        if not isinstance(name, str) or not isinstance(model, keras.Model) or not model.built:
            raise ValueError(f"`models` must name built keras.Models. Received: {name!r}: {model!r}.")


def as_taken(data, model, batch_size):
    """Returns data with images of the size that a model takes."""
    shape = taken(model)["input_shape"]
    if shape is None or len(shape) != 3 or None in shape:
        return data
    if isinstance(data, ImageFolder):
        return data.resized(shape[:2], shape[2])
    dataset = as_dataset(data, batch_size=batch_size, input_shape=(None, None, shape[2]))
    return dataset.map(lambda x, *labels: (inputs_for(model, x), *labels), num_parallel_calls=tf.data.AUTOTUNE)


def _check_alike(evaluations):
    first_name, first = next(iter(evaluations.items()))
    for name, each in evaluations.items():
        if each.scores.shape[1] != first.scores.shape[1]:
            raise ValueError(
                f"The models must have the same classes. Received: {first_name!r} with {first.scores.shape[1]}, "
                f"{name!r} with {each.scores.shape[1]}."
            )
        if not np.array_equal(each.labels, first.labels):
            raise ValueError(
                "The data must come in the same order in each pass, or nothing can be said about agreement. Leave out "
                "`shuffle`, or give it `reshuffle_each_iteration=False`."
            )


def _one_example(data, model):
    return next(iter(as_dataset(data, batch_size=1, **taken(model))))[0]


def _saved_megabytes(model):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None and optimizer.built:
            # Its memory, for Adam twice the weights, is written too.
            load_model(path, compile=False).save(path)
        return os.path.getsize(path) / 1e6
