"""FlexMatch: FixMatch with a threshold a class, lower for classes that are learnt later."""

import keras
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.distribution.sums import gather_over_replicas
from tf_transfer.semi_supervised.pseudo_label import FixMatch

_MAPPINGS = {
    "convex": lambda x: x / (2.0 - x),
    "linear": lambda x: x,
    "concave": lambda x: tf.math.log1p(x) / tf.math.log(2.0),
}
_NOT_YET = -1


@keras.saving.register_keras_serializable(package="tf_transfer")
class FlexMatch(FixMatch):
    """FlexMatch: FixMatch in which the threshold of a class is lower as long as fewer examples are guessed to be of it.

    The last confident guess (max p > threshold) on each of the N unlabelled examples is kept. With n_c of them of class
    c, beta_c = n_c / max(max_k n_k, N - sum_k n_k), and the threshold of class c is M(beta_c) * threshold. The second
    term of the maximum is the warm-up: until most examples have had a confident guess, all thresholds rise from 0.
    Guesses of a step count from the next step on.

    Batches come from `tft.data.pair_labelled(..., index=True)`, which say which example each is.

    History: as of `PseudoLabel`, and `mean_threshold`, over the classes.

    Args:
        model, batch_statistics: See `tft.semi_supervised.SemiSupervisedModel`.
        num_unlabelled: Positive integer, N.
        unlabelled_weight: Float of at least 0 or a schedule. Defaults to 1.
        threshold: Float from 0 to 1, the highest of the thresholds. Defaults to 0.95.
        mapping: "convex", M(x) = x / (2 - x); "linear", x; or "concave", log(1 + x) / log(2). Defaults to "convex",
            which the paper found best.
        warm_up: Boolean. False leaves the warm-up out. Defaults to True.
        **kwargs: `name` of a `keras.Model`.

    Raises:
        ValueError: When the batches have no strong view, or do not say which example is which.

    Example:

    >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    >>> model = tft.semi_supervised.FlexMatch(network, num_unlabelled=24)
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> x = np.random.default_rng(0).normal(size=(24, 2))
    >>> batches = tft.data.pair_labelled((x[:6], np.arange(6) % 3), x, batch_size=6, ratio=2,
    ...                                  strong=lambda x: 0.9 * x, index=True, seed=0)
    >>> history = model.fit(batches, verbose=0)
    >>> model.thresholds().shape
    TensorShape([3])

    Reference:
        Zhang et al., 2021, https://arxiv.org/abs/2110.08263
    """

    def __init__(
        self,
        model,
        num_unlabelled,
        unlabelled_weight=1.0,
        threshold=0.95,
        batch_statistics="joint",
        *,
        mapping="convex",
        warm_up=True,
        **kwargs,
    ):
        super().__init__(model, unlabelled_weight, threshold, batch_statistics, **kwargs)
        self.num_unlabelled = _checks.integer(num_unlabelled, "num_unlabelled", minimum=1)
        self.mapping = _checks.one_of(mapping, "mapping", _MAPPINGS)
        self.warm_up = _checks.one_of(warm_up, "warm_up", [False, True])
        self.last_guesses = self.add_weight(
            shape=(self.num_unlabelled,),
            dtype="int32",
            initializer=keras.initializers.Constant(_NOT_YET),
            trainable=False,
            name="last_guesses",
        )
        self.add_part("mean_threshold")

    def thresholds(self):
        """Returns the threshold of each class now, a float32 tensor of shape `(num_classes,)`."""
        last = tf.convert_to_tensor(self.last_guesses)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(last, tf.float32), last, self.num_classes)
        most = tf.reduce_max(counts)
        if self.warm_up:
            most = tf.maximum(most, float(self.num_unlabelled) - tf.reduce_sum(counts))
        return self.threshold * _MAPPINGS[self.mapping](tf.math.divide_no_nan(counts, most))

    def objective(self, logits, x):
        value, parts = super().objective(logits, x)
        return value, {**parts, "mean_threshold": tf.reduce_mean(self._local.thresholds)}

    def select(self, guesses, confidence, x):
        self._local.thresholds = self.thresholds()
        counts = confidence > tf.gather(self._local.thresholds, guesses)
        self._keep(tf.reshape(x["index"], [-1]), tf.where(confidence > self.threshold, guesses, _NOT_YET))
        return counts

    def _keep(self, index, found):
        # Each replica sees a part of the batch, and all have to know the same.
        index, found = gather_over_replicas(index), gather_over_replicas(found)
        last = tf.convert_to_tensor(self.last_guesses)
        kept = tf.where(found != _NOT_YET, found, tf.gather(last, index))
        self.last_guesses.assign(tf.tensor_scatter_nd_update(last, index[:, None], kept))

    def _check_batch(self, x):
        super()._check_batch(x)
        if "index" not in x:
            raise ValueError(
                "`FlexMatch.fit` takes batches that say which of the unlabelled examples is which. Received: "
                f"{sorted(x)}. Make them with `tft.data.pair_labelled(..., index=True)`."
            )

    def get_config(self):
        own = {"num_unlabelled": self.num_unlabelled, "mapping": self.mapping, "warm_up": self.warm_up}
        return {**super().get_config(), **own}
