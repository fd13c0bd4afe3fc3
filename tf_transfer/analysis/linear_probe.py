"""How good the features of an encoder are: the accuracy of a linear classifier on them."""

import numpy as np

from tf_transfer import _checks
from tf_transfer.analysis.asked import ask
from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation
from tf_transfer.builders.taken import taken
from tf_transfer.data import as_dataset

# Strengths of the penalty, as scikit-learn counts them: the larger, the weaker.
_STRENGTHS = np.logspace(-4, 2, 7)


def linear_probe(encoder, train, validation, *, class_names=None, batch_size=64, cache=None, seed=0):
    """Trains a linear classifier on the features of an encoder, which stays as it is, and evaluates it.

    The classifier is logistic regression on standardized features, which has nothing to tune: the strength of its
    penalty is chosen by cross-validation within the training data. So it compares encoders, before and after
    pretraining or among pretrained ones, in seconds. For a model to deploy, put a head on the encoder:
    `tft.ImageClassifier(num_classes=5, backbone=encoder)` and `tft.fine_tune`.

    Args:
        encoder: `keras.Model` from inputs to features, such as `tft.load_backbone` gives it; maps and sequences are
            averaged.
        train: Labelled examples, what `tft.data.as_dataset` takes.
        validation: Labelled examples that the classifier is evaluated on.
        class_names: Sequence of strings, kept in the evaluation. Defaults to those of a folder, or numbers.
        batch_size: Integer, examples that go through the encoder at once. Defaults to 64.
        cache: `tft.FeatureCache` that keeps the features on disk for later probes of the same encoder. Defaults to
            None: they are computed anew.
        seed: Integer, of the parts of the cross-validation. Defaults to 0.

    Returns:
        A `tft.analysis.ClassifierEvaluation`, with an interval of the accuracy.

    Raises:
        ValueError: When there is one class, or validation has a class that training has not.

    Example:

    >>> encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, kernel_initializer="ones")])
    >>> x = np.array([[0.0, 0.0], [9.0, 9.0]] * 20) + np.random.default_rng(0).normal(size=(40, 2))
    >>> y = np.array([0, 1] * 20)
    >>> linear_probe(encoder, (x[:20], y[:20]), (x[20:], y[20:]))
    <ClassifierEvaluation of 20 examples: accuracy 1.000 (95% interval 0.839 to 1.000), macro-F1 1.000>
    """
    _checks.integer(batch_size, "batch_size", 1)
    x, y = features_and_labels(encoder, train, batch_size, cache)
    x_validation, y_validation = features_and_labels(encoder, validation, batch_size, cache)
    num_classes = int(y.max()) + 1
    missing = sorted((set(range(num_classes)) | set(y_validation.tolist())) - set(y.tolist()))
    if num_classes < 2 or missing:
        raise ValueError(
            "`train` must have an example of every class, of two or more. "
            f"Received: {num_classes} classes, none of {missing}."
        )
    probe = _classifier(np.bincount(y).min(), seed).fit(x, y)
    names = class_names if class_names is not None else getattr(train, "class_names", None)
    return ClassifierEvaluation(probe.predict_proba(x_validation), y_validation, names)


def _classifier(smallest, seed):
    """Returns a classifier, to be fitted, for classes of which the smallest has so many examples."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    plain = Pipeline([("standardized", StandardScaler()), ("linear", LogisticRegression(max_iter=1000))])
    if smallest < 2:
        return plain
    parts = StratifiedKFold(min(5, int(smallest)), shuffle=True, random_state=seed)
    return GridSearchCV(plain, {"linear__C": _STRENGTHS}, cv=parts, scoring="neg_log_loss")


def features_and_labels(encoder, data, batch_size, cache):
    """Returns float64 features `(num_examples, dim)` of an encoder and integer labels, from a cache if there is one."""
    if cache is None:
        features, labels, _ = ask(encoder, data, batch_size=batch_size)
    else:
        cached = cache.features(encoder, as_dataset(data, batch_size=batch_size, **taken(encoder)), verbose=0)
        features, labels = np.asarray(cached.features), np.asarray(cached.labels)
    if features.ndim > 2:
        features = features.mean(axis=tuple(range(1, features.ndim - 1)))
    return features.astype("float64"), labels.argmax(-1) if labels.ndim > 1 and labels.shape[1] > 1 else labels.ravel()
