"""Features of examples with their labels, checked."""

import numpy as np


def checked_features(features, labels, *, name="features"):
    """Returns float64 features `(num_examples, dim)` and the classes as integers 0, 1, ... in their order.

    Args:
        features: Float array of shape `(num_examples, ...)`; what is not flat is flattened.
        labels: Array of shape `(num_examples,)`, integers or strings.
        name: String, what the features are called in the call.

    Raises:
        ValueError: For features that are not finite, labels that do not fit, or a single class.
    """
    features = checked_rows(features, name=name)
    return features, checked_classes(labels, len(features))


def checked_rows(features, *, name="features"):
    """Returns float64 features `(num_examples, dim)`; see `checked_features`."""
    features = np.asarray(features, "float64")
    if features.ndim < 2 or not len(features):
        raise ValueError(f"`{name}` must have a row an example. Received: shape {features.shape}.")
    features = features.reshape(len(features), -1)
    if not np.isfinite(features).all():
        bad = int((~np.isfinite(features).all(axis=1)).sum())
        raise ValueError(f"`{name}` must be finite. Received: {bad} of {len(features)} rows that are not.")
    return features


def checked_classes(labels, num_examples, *, name="labels"):
    """Returns classes as integers 0, 1, ... in their order; see `checked_features`."""
    labels = np.asarray(labels)
    if labels.shape != (num_examples,):
        raise ValueError(
            f"`{name}` must be one class an example, shape ({num_examples},). Received: shape {labels.shape}. One-hot "
            "labels become classes by `labels.argmax(axis=1)`."
        )
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        raise ValueError(f"`{name}` must be classes, integers or strings. Received: {labels.dtype} that are not whole.")
    found, classes = np.unique(labels, return_inverse=True)
    if len(found) < 2:
        raise ValueError(f"`{name}` must be of two classes or more. Received: {found.tolist()} only.")
    return classes
