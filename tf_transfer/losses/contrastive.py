"""Contrastive losses between two views of the same examples, such as images and their captions."""

import keras
import tensorflow as tf

from tf_transfer import _checks, ops
from tf_transfer.distribution.sums import gather_over_replicas

# What stands for the cosine of a view with itself: no softmax sees it, and 0 times it is 0.
ITSELF = -1e6


class ContrastiveLoss(keras.losses.Loss):
    """What losses between two views share: each example has to find its match in the other view of the whole batch.

    Called as `loss(first, second)`. Under a strategy an example is compared with those of all replicas, and the value
    is a replica's share of the mean.

    Args:
        temperature: Float above 0, what the cosines are divided by.
        name: String.
        reduction: As in `keras.losses.Loss`. Defaults to "sum_over_batch_size".
        dtype: Of the computation. Defaults to None: "float32", also for views of lower precision.

    Example:

    >>> loss = tft.losses.InfoNCE(temperature=1.0)
    >>> isinstance(loss, tft.losses.ContrastiveLoss), loss.values(np.eye(2), np.eye(2), 0.0, groups=[3, 3]).shape
    (True, TensorShape([2]))
    """

    # What is added to the scores; the softmax does not see it.
    bias = 0.0

    def __init__(self, temperature, *, name, reduction="sum_over_batch_size", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype or "float32")
        self.temperature = _checks.positive(temperature, "temperature")

    def call(self, first, second):
        return self.values(first, second, 1.0 / self.temperature, bias=self.bias)

    def values(self, first, second, scale, groups=None, bias=0.0):
        """Returns a value for each example.

        Args:
            first: Float tensor of shape `(batch, dim)`, one view.
            second: The other view, of the same shape.
            scale: Scalar that multiplies the cosines.
            groups: Integer tensor of shape `(batch,)`; examples of one group match each other. Defaults to None: each
                matches itself.
            bias: Scalar that is added to them. Defaults to 0.
        """
        first, second = _views(first, second)
        groups = _numbers(first) if groups is None else tf.reshape(tf.cast(groups, tf.int64), [-1])
        match = groups[:, tf.newaxis] == gather_over_replicas(groups)[tf.newaxis]
        forth = scale * tf.matmul(first, gather_over_replicas(second), transpose_b=True)
        back = scale * tf.matmul(second, gather_over_replicas(first), transpose_b=True)
        return self._of_scores(forth, back, match, bias)

    def _of_scores(self, forth, back, match, bias):
        raise NotImplementedError(f"{type(self).__name__} must define `_of_scores`.")

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="tf_transfer")
class InfoNCE(ContrastiveLoss):
    """The softmax loss of CLIP: -log softmax_j(cos(a_i, b_j) / T) at j = i, and the same from b to a, halved.

    Where several examples belong to one group the aim is to find all of them: the mean of the log-probabilities over
    the matches. Equal embeddings give log(batch).

    Args:
        temperature: Float above 0. Defaults to 0.07. In a `tft.ContrastiveModel` it is learned, from this value on.
        name: String. Defaults to "info_nce".
        **kwargs: `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        first: Float tensor of shape `(batch, dim)`, one view; scaled to length 1 here.
        second: The other view, of the same shape.

    Example:

    >>> loss = tft.losses.InfoNCE(temperature=1.0)
    >>> round(float(loss(np.eye(2), 3.0 * np.eye(2))), 4)  # log(1 + 1 / e)
    0.3133

    Reference:
        Radford et al., 2021, https://arxiv.org/abs/2103.00020
    """

    def __init__(self, temperature=0.07, *, name="info_nce", **kwargs):
        super().__init__(temperature, name=name, **kwargs)

    def _of_scores(self, forth, back, match, bias):
        aim = tf.cast(match, forth.dtype)
        aim = aim / tf.reduce_sum(aim, axis=1, keepdims=True)
        return -0.5 * tf.reduce_sum(aim * (tf.nn.log_softmax(forth) + tf.nn.log_softmax(back)), axis=1)


@keras.saving.register_keras_serializable(package="tf_transfer")
class NTXent(ContrastiveLoss):
    """The loss of SimCLR between two random views of each example, which are told from all others of both views.

    The mean over the 2N views v of -log(exp(cos(v, v') / T) / sum over u != v of exp(cos(v, u) / T)), v' being the
    other view of the same example. `InfoNCE` leaves out the views of the same side. Where several examples belong to
    one group, each view has to find all others of its group: the supervised contrastive loss. Equal embeddings give
    log(2N - 1).

    Args:
        temperature: Float above 0. Defaults to 0.1.
        name: String. Defaults to "nt_xent".
        **kwargs: `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        first: Float tensor of shape `(batch, dim)`, one view; scaled to length 1 here.
        second: The other view, of the same shape.

    Example:

    >>> loss = tft.losses.NTXent(temperature=1.0)
    >>> round(float(loss(np.eye(2), 3.0 * np.eye(2))), 4)  # log(1 + 2 / e)
    0.5514

    Reference:
        Chen et al., 2020, https://arxiv.org/abs/2002.05709; groups: Khosla et al., 2020,
        https://arxiv.org/abs/2004.11362
    """

    def __init__(self, temperature=0.1, *, name="nt_xent", **kwargs):
        super().__init__(temperature, name=name, **kwargs)

    def values(self, first, second, scale, groups=None, bias=0.0):
        groups = _numbers(first) if groups is None else tf.reshape(tf.cast(groups, tf.int64), [-1])
        match = groups[:, tf.newaxis] == gather_over_replicas(groups)[tf.newaxis]
        halves = []
        for asking, answering in ((first, second), (second, first)):
            across, within = view_cosines(asking, answering)
            aim = tf.cast(tf.concat([match, match & (within != ITSELF)], axis=1), across.dtype)
            aim = aim / tf.reduce_sum(aim, axis=1, keepdims=True)
            halves.append(tf.reduce_sum(aim * tf.nn.log_softmax(scale * tf.concat([across, within], axis=1)), axis=1))
        return -0.5 * (halves[0] + halves[1])


@keras.saving.register_keras_serializable(package="tf_transfer")
class SigmoidContrastive(ContrastiveLoss):
    """The sigmoid loss of SigLIP: each pair by itself is a match or not, sum_j -log sigmoid(z_ij (cos_ij / T + bias)).

    z is 1 for matches and -1 for others; the value is the sum over all examples of the other view. It needs no large
    batches.

    Args:
        temperature: Float above 0. Defaults to 0.1. In a `tft.ContrastiveModel` it is learned, from this value on.
        bias: Float, how rare matches are. Defaults to -10. In a `tft.ContrastiveModel` it is learned.
        name: String. Defaults to "sigmoid_contrastive".
        **kwargs: `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        first: Float tensor of shape `(batch, dim)`, one view; scaled to length 1 here.
        second: The other view, of the same shape.

    Example:

    >>> loss = tft.losses.SigmoidContrastive(temperature=1.0, bias=0.0)
    >>> round(float(loss(np.eye(2), np.eye(2))), 4)  # log(1 + 1 / e) + log 2
    1.0064

    Reference:
        Zhai et al., 2023, https://arxiv.org/abs/2303.15343
    """

    def __init__(self, temperature=0.1, bias=-10.0, *, name="sigmoid_contrastive", **kwargs):
        super().__init__(temperature, name=name, **kwargs)
        self.bias = _checks.number(bias, "bias")

    def _of_scores(self, forth, back, match, bias):
        scores = forth + bias
        return tf.reduce_sum(tf.nn.softplus(tf.where(match, -scores, scores)), axis=1)

    def get_config(self):
        return {**super().get_config(), "bias": self.bias}


def _views(first, second):
    if len(first.shape) != 2 or len(second.shape) != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            "Two views must be embeddings of one shape (batch, dim). "
            f"Received: {tuple(first.shape)} and {tuple(second.shape)}."
        )
    return ops.normalize(first), ops.normalize(second)


def view_cosines(asking, answering):
    """Returns the cosines of one view of each example with both views of the examples of all replicas.

    Args:
        asking: Float tensor of shape `(batch, dim)`, the view.
        answering: The other view.

    Returns:
        Two tensors of shape `(batch, examples of all replicas)`: with the other view, and with the same one, where a
        view with itself has a number that no softmax sees.
    """
    asking, answering = _views(asking, answering)
    numbers = _numbers(asking)
    itself = numbers[:, tf.newaxis] == gather_over_replicas(numbers)[tf.newaxis]
    across = tf.matmul(asking, gather_over_replicas(answering), transpose_b=True)
    within = tf.matmul(asking, gather_over_replicas(asking), transpose_b=True)
    return across, tf.where(itself, tf.cast(ITSELF, within.dtype), within)


def _numbers(rows):
    """Returns a number for each example that no other has, on any replica."""
    context = tf.distribute.get_replica_context()
    replica = tf.cast(0 if context is None else context.replica_id_in_sync_group, tf.int64)
    return replica * 2**32 + tf.range(tf.shape(rows)[0], dtype=tf.int64)
