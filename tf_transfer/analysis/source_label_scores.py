"""How well a source classifier's answers, or clusters of its features, tell the classes of a new task."""

import numpy as np

from tf_transfer import _checks
from tf_transfer.analysis.labelled_features import checked_classes, checked_features


def leep(source_probabilities, labels):
    """Returns LEEP: the mean log likelihood of the labels given what a source classifier says.

    Value: 1/n sum_i log sum_z p(y_i | z) theta_z(x_i), with theta the source probabilities and p(y | z) = sum over i
    of class y of theta_z(x_i) / sum over all i. At most 0, and higher is better.

    LEEP looks at the answers of the source's head and not at the features that are transferred: over encoders of
    different kinds its order was found to have little to do with accuracy after fine-tuning, or the reverse. For
    choosing a backbone take `tft.analysis.h_score` or `tft.analysis.log_me`.

    Args:
        source_probabilities: Float array of shape `(num_examples, num_source_classes)`, rows that sum to 1.
        labels: Array of shape `(num_examples,)`, classes of the target.

    Returns:
        A float of at most 0.

    Raises:
        ValueError: For rows that are no probabilities, or labels that do not fit.

    Example:

    >>> tft.analysis.leep(np.eye(2)[[0, 0, 1, 1]], [3, 3, 5, 5])
    0.0

    Reference:
        Nguyen et al., 2020, https://arxiv.org/abs/2002.12462
    """
    theta, classes = checked_features(source_probabilities, labels, name="source_probabilities")
    if theta.min() < -1e-6 or np.abs(theta.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            "`source_probabilities` must be rows that sum to 1. Received: values from "
            f"{theta.min():.3g} to {theta.max():.3g} and sums from {theta.sum(axis=1).min():.3g} to "
            f"{theta.sum(axis=1).max():.3g}. Logits become probabilities by `keras.ops.softmax`."
        )
    joint = np.eye(classes.max() + 1)[classes].T @ theta
    given = joint / np.maximum(joint.sum(axis=0), 1e-300)
    likelihood = np.einsum("iz,iz->i", given[classes], theta)
    return float(np.log(np.maximum(likelihood, 1e-300)).mean() + 0.0)


def nleep(features, labels, *, num_components=None, explained=0.8, seed=0):
    """Returns NLEEP: LEEP with clusters of the features in place of the source's classes.

    The clusters are a Gaussian mixture on principal components of the features, so that encoders without a head have a
    score, and the head of the source does not matter. At most 0, and higher is better.

    Args:
        features: Float array of shape `(num_examples, ...)`.
        labels: Array of shape `(num_examples,)`, classes.
        num_components: Integer, how many clusters. Defaults to five a class, at most a third of the examples.
        explained: Float in (0, 1), the share of the variance that the principal components keep. Defaults to 0.8.
        seed: Integer, of the start of the mixture. Defaults to 0.

    Returns:
        A float of at most 0.

    Raises:
        ValueError: For features that are not finite, or labels that do not fit.

    Example:

    >>> labels = np.arange(90) % 3
    >>> features = 5 * np.eye(3)[labels] + np.random.default_rng(0).normal(size=(90, 3))
    >>> tft.analysis.nleep(features, labels) > tft.analysis.nleep(features, labels[::-1] % 2)
    True

    Reference:
        Li et al., 2021, https://arxiv.org/abs/2011.11200
    """
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    features, classes = checked_features(features, labels)
    if not 0 < _checks.number(explained, "explained", 0.0, 1.0) < 1:
        raise ValueError(f"`explained` must be between 0 and 1. Received: explained={explained}.")
    if num_components is None:
        num_components = max(2, min(5 * (classes.max() + 1), len(features) // 3))
    _checks.integer(num_components, "num_components", 1, len(features))
    # One thread: pools of threads of their own make the sums differ from run to run.
    with threadpool_limits(1):
        reduced = PCA(explained, svd_solver="full").fit_transform(features)
        mixture = GaussianMixture(num_components, random_state=_checks.integer(seed, "seed", 0)).fit(reduced)
        return leep(mixture.predict_proba(reduced), classes)


def nce(source_labels, labels):
    """Returns NCE: minus the conditional entropy of the labels given the source's labels of the same examples.

    Value: 1/n sum_i log p(y_i | z_i) by counts; between -log(classes) and 0, and higher is better. The source's labels
    may be the classes that a source classifier gives.

    Args:
        source_labels: Array of shape `(num_examples,)`, classes of the source.
        labels: Array of shape `(num_examples,)`, classes of the target.

    Returns:
        A float of at most 0.

    Raises:
        ValueError: For labels that do not fit one another.

    Example:

    >>> tft.analysis.nce([0, 0, 1, 1], ["ant", "ant", "bee", "bee"])
    0.0
    >>> round(tft.analysis.nce([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    -0.6931

    Reference:
        Tran et al., 2019, https://arxiv.org/abs/1908.08142
    """
    labels = np.asarray(labels)
    classes = checked_classes(labels, len(labels))
    _, source = np.unique(np.asarray(source_labels), return_inverse=True)
    if source.shape != classes.shape:
        raise ValueError(
            f"`source_labels` must be one class an example, as `labels`. Received: {np.shape(source_labels)} and "
            f"{labels.shape}."
        )
    joint = np.zeros((source.max() + 1, classes.max() + 1))
    np.add.at(joint, (source, classes), 1)
    given = joint / joint.sum(axis=1, keepdims=True)
    return float(np.log(given[source, classes]).mean() + 0.0)
