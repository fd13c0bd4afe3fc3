"""Files in, labels and scores out, through an exported model or a saved Keras model."""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data import image_files
from tf_transfer.data.example_files import missing
from tf_transfer.layers import load_model
from tf_transfer.layers.keras_files import known_class_names
from tf_transfer.serving import load
from tf_transfer.serving.signatures import Contract
from tf_transfer.workflow.predict_inputs import read_inputs, takes_rows_or_sound


class Prediction(NamedTuple):
    """What a classifier says about one example.

    Attributes:
        file: String, the image or recording; a text or row of a file as FILE:ROW, counted from 1.
        label: String, the class with the highest score; for models that give several labels all of those with a score
            of at least 0.5, separated by commas, which may be none.
        score: Float in [0, 1], the highest score.
        top: Tuple of (label, score) pairs, the highest scores first.
    """

    file: str
    label: str
    score: float
    top: tuple


class PredictedNumbers(NamedTuple):
    """What a regressor says about one example.

    Attributes:
        file: String, as in `Prediction`.
        values: Tuple of floats, one an output, in the unit of what it was trained on.
    """

    file: str
    values: tuple


def predict(model, inputs, *, class_names=None, top_k=3, batch_size=32, skip_bad=False, verbose=1):
    """Asks a model about images, recordings, texts or the rows of a table: for classes, or for numbers.

    Image files go through the model as they are: it decodes and scales them itself, as it does when it is served.

    Args:
        model: String or path: an exported model (NAME, of which the newest version is taken, or NAME/VERSION), or a
            `.keras` file.
        inputs: A path or a list of paths: image files and folders, which are searched with their subfolders. For the
            export of a `tft.AudioClassifier` WAV files and folders of them; of a classifier or regressor of texts or
            tables a file of texts or rows as those that it was trained on, with or without labels, or a text file with
            a text a line.
        class_names: List of strings, for models that don't know them: a `.keras` file that Keras saved. Defaults to
            what an export recorded, or a file of `tft.save_model` carries, else "0", "1", ...
        top_k: Integer, how many of the highest scores to give. Defaults to 3.
        batch_size: Integer, how many images go through the model at once. Defaults to 32.
        skip_bad: Boolean, whether to leave out files that can't be read, with a warning, instead of raising.
            Defaults to False.
        verbose: 0 or 1, whether to show a progress bar (on the error stream). Defaults to 1.

    Returns:
        List with one `Prediction` an example, or of a regressor one `PredictedNumbers`: in the order of `inputs`, those
        of a folder sorted.

    Raises:
        FileNotFoundError: When the model or a file is not there.
        ValueError: When the model gives neither scores nor predictions, or takes other inputs, or some files can't be
            read.

    Example:

    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    >>> model.save("model.keras")
    >>> keras.utils.save_img("photo.png", np.zeros((9, 9, 3)), scale=False)
    >>> predict("model.keras", "photo.png", class_names=["cat", "dog"], verbose=0)
    [Prediction(file='photo.png', label='cat', score=0.5, top=(('cat', 0.5), ('dog', 0.5)))]
    """
    _checks.integer(top_k, "top_k", 1)
    _checks.integer(batch_size, "batch_size", 1)
    model = _existing(model)
    run, names, examples, read = (_keras_model if model.is_file() else _exported_model)(
        model, class_names, inputs, skip_bad
    )
    predictions = []
    with _progress(len(examples), verbose) as advance:
        for start in range(0, len(examples), batch_size):
            batch = examples[start : start + batch_size]
            outputs = run(read(start, start + batch_size))
            predictions += _read_outputs(batch, outputs, names, top_k)
            advance(len(batch))
    return predictions


def _read_images(inputs, skip_bad):
    """Returns the image files, and a function that reads those from one place to another."""
    files = image_files(inputs, skip_bad=skip_bad)
    return files, lambda start, stop: [Path(file).read_bytes() for file in files[start:stop]]


def _existing(model):
    path = Path(model)
    if not path.exists():
        raise FileNotFoundError(missing(path, "model"))
    if path.is_file() and path.suffix not in (".keras", ".h5"):
        raise ValueError(f"A model is an exported folder or a .keras file. Received: {str(path)!r}.")
    return path


def _exported_model(path, class_names, inputs, skip_bad):
    served = load(path)
    rows = takes_rows_or_sound(served)
    if not rows and "serving_bytes" not in served.signatures:
        raise ValueError(
            f"{served.path!r} was exported without the signature 'serving_bytes', so it takes no image files, and is "
            "no model of texts, rows or recordings by a builder either. Its signatures are "
            f"{sorted(served.signatures)}; see `tft.serving.load`."
        )
    recorded = served.class_names
    if class_names is not None and recorded is not None and list(class_names) != list(recorded):
        raise ValueError(f"The export has its own class names: {list(recorded)}. Received: {list(class_names)}.")
    run = served.predict if rows else served.predict_bytes
    examples, read = read_inputs(served, inputs, skip_bad) if rows else _read_images(inputs, skip_bad)
    return run, recorded or class_names, examples, read


def _keras_model(path, class_names, inputs, skip_bad):
    # The same code that an export serves, so that a file and its export say the same.
    opened = load_model(path, compile=False)
    known = known_class_names(opened)
    if class_names is not None and known is not None and list(class_names) != list(known):
        raise ValueError(f"The file has class names of its own: {list(known)}. Received: {list(class_names)}.")
    contract = Contract(opened, class_names if known is None else known)
    if contract.image_size is None:
        shapes = [tuple(spec.shape) for spec in contract.inputs]
        raise ValueError(
            f"{str(path)!r} takes no images of one size and 1, 3 or 4 channels; it takes {shapes}. Classifiers of "
            "texts, rows and recordings answer from their export: `tf-transfer export`."
        )
    serve = tf.function(contract.serve_bytes, input_signature=[tf.TensorSpec((None,), tf.string)])

    def run(contents):
        outputs = {name: value.numpy() for name, value in serve(tf.constant(contents)).items()}
        if "labels" in outputs:
            outputs["labels"] = np.char.decode(outputs["labels"].astype("S"), "utf-8")
        return outputs

    return run, contract.class_names, *_read_images(inputs, skip_bad)


def _read_outputs(files, outputs, names, top_k):
    if "scores" not in outputs:
        return _read_numbers(files, outputs)
    scores, labels = outputs["scores"], outputs.get("labels")
    if labels is not None and scores.shape[1] == 1 and len(names) == 2:
        # One score says how likely the second of two classes is.
        scores = np.concatenate([1 - scores, scores], axis=1)
    names = list(names) if names is not None else [str(index) for index in range(scores.shape[1])]
    if len(names) != scores.shape[1]:
        raise ValueError(f"The model has {scores.shape[1]} classes. Received {len(names)} class names: {names}.")
    predictions = []
    for row, file in enumerate(files):
        order = np.argsort(-scores[row], kind="stable")
        label = names[order[0]] if labels is None else ", ".join(filter(None, np.atleast_1d(labels[row]).tolist()))
        top = tuple((names[index], float(scores[row, index])) for index in order[:top_k])
        predictions.append(Prediction(os.fspath(file), label, float(scores[row, order[0]]), top))
    return predictions


def _read_numbers(files, outputs):
    if set(outputs) != {"predictions"} or outputs["predictions"].ndim != 2:
        shapes = {name: value.shape for name, value in sorted(outputs.items())}
        raise ValueError(
            "`predict` asks models that give 'scores' of classes, or 'predictions' of shape (batch, num_outputs). "
            f"Received: {shapes}. Take `tft.serving.load`, which gives them as they are."
        )
    rows = outputs["predictions"].tolist()
    return [PredictedNumbers(os.fspath(file), tuple(row)) for file, row in zip(files, rows, strict=True)]


@contextlib.contextmanager
def _progress(total, verbose):
    """Yields a function that moves the bar."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not verbose) as bar:
        task = bar.add_task("Predicting", total=total)
        yield lambda count: bar.advance(task, count)
