"""What an export records of the run that it comes from: how good the model was, and what it was trained on."""

import math

import numpy as np

from tf_transfer.analysis import RegressionEvaluation
from tf_transfer.data import StreamFingerprint


def metrics(evaluation):
    """Returns the figures of an evaluation of classes or values by name, those that are known; none for None."""
    if evaluation is None:
        return {}
    if isinstance(evaluation, RegressionEvaluation):
        low, high = evaluation.mae_interval()
        found = {"mae": evaluation.mae, "mae_95_low": low, "mae_95_high": high, "rmse": evaluation.rmse}
        found |= {"r2": evaluation.r2, "num_examples": len(evaluation.targets)}
    else:
        low, high = evaluation.accuracy_interval()
        found = {"accuracy": evaluation.accuracy, "accuracy_95_low": low, "accuracy_95_high": high}
        found |= {"macro_f1": evaluation.macro_f1, "log_loss": evaluation.log_loss}
        found |= {"num_examples": len(evaluation.labels)}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def files_fingerprint(images):
    """Returns a text that tells the images of a folder and their classes, whatever the names of files and folders.

    It is computed from the contents of the files as they are, so that no size and no decoder changes it.

    Args:
        images: `ImageFolder` or `UnlabeledImages`.

    Example:

    >>> import os
    >>> for name, value in (("ant", 0), ("bee", 255)):
    ...     os.makedirs(f"insects/{name}", exist_ok=True)
    ...     keras.utils.save_img(f"insects/{name}/1.png", np.full((8, 8, 3), value), scale=False)
    >>> files_fingerprint(tft.data.ImageFolder("insects", (4, 4))).endswith("-2")
    True
    """
    names, labels = getattr(images, "class_names", None), getattr(images, "labels", None)
    fingerprint = StreamFingerprint()
    for index, path in enumerate(images.files):
        with open(path, "rb") as file:
            contents = np.array([file.read()], dtype=object)
        fingerprint.update(contents if labels is None else (contents, np.array([names[labels[index]]])))
    return fingerprint.hexdigest()
