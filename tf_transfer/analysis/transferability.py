"""How well features will serve a new task, judged without training: from features and labels alone."""

import numpy as np

from tf_transfer import _checks
from tf_transfer.analysis.labelled_features import checked_features, checked_rows

_MOST_STEPS = 100


def log_me(features, labels, *, regression=False):
    """Returns LogME: the log evidence, an example, of a Bayesian linear model of the labels on the features.

    Value: max over alpha, beta of log p(y | F, alpha, beta) / n with y = F w + noise, w ~ N(0, 1 / alpha), noise ~
    N(0, 1 / beta); for classes the mean over one-against-the-rest targets. Evidence weighs how well the features fit
    against how many of them it takes, so that wide features do not win by width. Higher is better; values of different
    data sets can't be compared.

    Args:
        features: Float array of shape `(num_examples, ...)`.
        labels: Array of shape `(num_examples,)`, classes; with `regression` floats of shape `(num_examples,)` or
            `(num_examples, num_outputs)`.
        regression: Boolean, whether labels are numbers. Defaults to False.

    Returns:
        A float.

    Raises:
        ValueError: For features that are not finite, or labels that do not fit.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(90) % 3
    >>> good, bad = np.eye(3)[labels] + 0.3 * rng.normal(size=(90, 3)), rng.normal(size=(90, 3))
    >>> tft.analysis.log_me(good, labels) > tft.analysis.log_me(bad, labels)
    True

    Reference:
        You et al., 2021, https://arxiv.org/abs/2102.11005
    """
    if regression:
        features, targets = checked_rows(features), np.asarray(labels, "float64")
        if len(targets.shape) not in (1, 2) or len(targets) != len(features) or not np.isfinite(targets).all():
            raise ValueError(
                f"`labels` must be finite numbers, a row for each of {len(features)} examples. Received: shape "
                f"{targets.shape}, of which {int((~np.isfinite(targets)).sum())} values are not finite."
            )
        targets = targets.reshape(len(features), -1)
    else:
        features, classes = checked_features(features, labels)
        targets = np.eye(classes.max() + 1)[classes]
    left, sizes, _ = np.linalg.svd(features, full_matrices=False)
    return float(np.mean([_evidence(features.shape, left.T @ y, sizes**2, y @ y) for y in targets.T]))


def _evidence(shape, projected, sizes, length):
    """Returns the largest log evidence an example, by MacKay's fixed point.

    Args:
        shape: Tuple, that of the features.
        projected: Array `(rank,)`, the target in the directions of the features.
        sizes: Array `(rank,)`, the squared singular values of the features.
        length: Float, the squared length of the target.
    """
    num, dim = shape
    outside = max(length - projected @ projected, 0.0)
    alpha = beta = 1.0

    def fitted():
        """Returns the part of each direction that is kept, the squared length of the weights, and the squared error."""
        kept = beta * sizes / (alpha + beta * sizes)
        weight = np.sum(kept**2 * projected**2 / np.maximum(sizes, 1e-300))
        return kept, weight, np.sum(((1 - kept) * projected) ** 2) + outside

    for _ in range(_MOST_STEPS):
        kept, weight, error = fitted()
        before, effective = (alpha, beta), kept.sum()
        # What is fitted without an error has no noise; so small a one stands for it.
        alpha = effective / max(weight, 1e-12)
        beta = (num - effective) / max(error, 1e-12)
        if np.allclose(np.log([alpha, beta]), np.log(before), rtol=0, atol=1e-6):
            break
    precision = np.log(alpha + beta * sizes).sum() + (dim - len(sizes)) * np.log(alpha)
    _, weight, error = fitted()
    fit = dim * np.log(alpha) + num * np.log(beta / (2 * np.pi)) - beta * error - alpha * weight
    return 0.5 * (fit - precision) / num


def h_score(features, labels, *, regularized=True):
    """Returns the H-score: the variance of the classes' mean features, in units of the features' covariance.

    Value: tr(cov(f)^-1 cov(E[f | y])), between 0 and the smaller of dim and classes - 1. With few examples for many
    features the inverse is mostly noise and the value meaningless; so by default the covariance is shrunk by Ledoit's
    and Wolf's amount a, and the value is (1 - a) tr(cov_a(f)^-1 cov(E[f | y])). Higher is better. Where the features
    are about as long in all directions, a is 1 and the value 0, as the paper has it.

    Args:
        features: Float array of shape `(num_examples, ...)`.
        labels: Array of shape `(num_examples,)`, classes.
        regularized: Boolean, whether the covariance is shrunk. Defaults to True.

    Returns:
        A float of at least 0.

    Raises:
        ValueError: For features that are not finite, or labels that do not fit.

    Example:

    >>> labels = np.arange(60) % 3
    >>> round(tft.analysis.h_score(np.eye(3)[labels] + 1e-6, labels, regularized=False), 3)
    2.0

    Reference:
        Bao et al., 2019, https://ieeexplore.ieee.org/document/8803726; regularized: Ibrahim et al., 2021,
        https://arxiv.org/abs/2110.06893
    """
    from sklearn.covariance import ledoit_wolf

    features, classes = checked_features(features, labels)
    features = features - features.mean(axis=0)
    means = _class_means(features, classes)[classes]
    between = means.T @ means / len(features)
    if not regularized:
        return float(np.trace(np.linalg.pinv(features.T @ features / len(features), hermitian=True) @ between))
    covariance, shrinkage = ledoit_wolf(features, assume_centered=True)
    return float((1 - shrinkage) * np.trace(np.linalg.pinv(covariance, hermitian=True) @ between))


def trans_rate(features, labels, *, distortion=1e-4):
    """Returns TransRate: the bits it takes to code the features, less those that it takes once the class is known.

    Value: R(Z) - sum_c n_c / n R(Z_c), with R(Z) = 1/2 logdet(I + Z^T Z / (n e)), in nats, of centred features. Higher
    is better. It grows with the scale and the width of the features; compare encoders of one family.

    Args:
        features: Float array of shape `(num_examples, ...)`.
        labels: Array of shape `(num_examples,)`, classes.
        distortion: Float above 0, e, the squared error of the code. Defaults to 1e-4.

    Returns:
        A float.

    Raises:
        ValueError: For features that are not finite, or labels that do not fit.

    Example:

    >>> labels = np.arange(60) % 3
    >>> noise = np.random.default_rng(0).normal(size=(60, 3))
    >>> tft.analysis.trans_rate(np.eye(3)[labels] + 0.1 * noise, labels) > tft.analysis.trans_rate(noise, labels)
    True

    Reference:
        Huang et al., 2022, https://arxiv.org/abs/2106.09362
    """
    _checks.positive(distortion, "distortion")
    features, classes = checked_features(features, labels)
    features = features - features.mean(axis=0)
    parts = (features[classes == kind] for kind in range(classes.max() + 1))
    known = sum(len(part) * _rate(part, distortion) for part in parts) / len(features)
    return float(_rate(features, distortion) - known)


def _rate(features, distortion):
    # The smaller of both products has the same determinant.
    product = features.T @ features if features.shape[1] <= len(features) else features @ features.T
    return 0.5 * np.linalg.slogdet(np.eye(len(product)) + product / (len(features) * distortion))[1]


def _class_means(features, classes):
    return np.stack([features[classes == kind].mean(axis=0) for kind in range(classes.max() + 1)])
