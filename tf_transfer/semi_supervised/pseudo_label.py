"""The network's own guesses as labels: pseudo-labels, and FixMatch, which learns them under strong augmentation."""

import keras
import tensorflow as tf

from tf_transfer import _checks, schedules
from tf_transfer.semi_supervised.semi_supervised_model import SemiSupervisedModel


@keras.saving.register_keras_serializable(package="tf_transfer")
class PseudoLabel(SemiSupervisedModel):
    """Pseudo-labels: what the network thinks of an unlabelled example is taken for its label.

    Objective: compiled loss + weight * mean_i 1[max p_i >= threshold] * -log q_i[argmax p_i] + regularization, where p
    and q are the class probabilities of unlabelled example i. Batches without a strong view have q = p; else p are
    those of the "unlabelled" view, q those of the "strong" one. No gradient flows through the choice of a label. Each
    step guesses anew.

    The weight rises slowly: as long as the network knows little, its guesses are noise. The paper's rises from 0
    to 3, on a straight line from a tenth of the training to six tenths.

    History: `loss`, `classification_loss`, `unlabelled_loss` (before its weight), `unlabelled_weight`, `mask_share`
    (the share of the unlabelled examples whose guess counts), and the compiled metrics, on the labelled examples.

    Args:
        model, batch_statistics: See `tft.semi_supervised.SemiSupervisedModel`.
        unlabelled_weight: Float of at least 0 or a schedule. Defaults to None, which is the paper's schedule,
            `tft.schedules.linear(0.0, 3.0, begin=0.1, finish=0.6)`.
        threshold: Float from 0 to 1, the least probability of a guess that counts. Defaults to 0: all count.
        **kwargs: `name` of a `keras.Model`.

    Example:

    >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    >>> model = tft.semi_supervised.PseudoLabel(network)
    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> labelled, unlabelled = np.random.default_rng(0).normal(size=(2, 48, 2))
    >>> batches = tft.data.pair_labelled((labelled[:6], np.arange(6) % 3), unlabelled, batch_size=6, ratio=2)
    >>> sorted(model.fit(batches, verbose=0).history)[:4]
    ['accuracy', 'classification_loss', 'loss', 'mask_share']
    >>> model.deployable() is network
    True

    Reference:
        Lee, 2013, Pseudo-Label: the simple and efficient semi-supervised learning method for deep neural networks,
        ICML workshop on challenges in representation learning
    """

    def __init__(self, model, unlabelled_weight=None, threshold=0.0, batch_statistics="joint", **kwargs):
        if unlabelled_weight is None:
            unlabelled_weight = schedules.linear(0.0, 3.0, begin=0.1, finish=0.6)
        super().__init__(model, unlabelled_weight, batch_statistics, **kwargs)
        self.threshold = _checks.number(threshold, "threshold", 0.0, 1.0)
        self.add_part("mask_share")

    def objective(self, logits, x):
        probabilities = tf.nn.softmax(tf.stop_gradient(logits["unlabelled"]))
        guesses, confidence = tf.argmax(probabilities, -1, tf.int32), tf.reduce_max(probabilities, -1)
        counts = tf.cast(self.select(guesses, confidence, x), tf.float32)
        learnt = logits.get("strong", logits["unlabelled"])
        values = tf.nn.sparse_softmax_cross_entropy_with_logits(guesses, learnt)
        return tf.reduce_mean(counts * values), {"mask_share": tf.reduce_mean(counts)}

    def select(self, guesses, confidence, x):
        """Returns which guesses count, booleans of shape `(num_examples,)`.

        Args:
            guesses: int32 tensor of shape `(num_examples,)`, classes.
            confidence: Float tensor of that shape, their probabilities.
            x: The batch.
        """
        return confidence >= self.threshold

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable(package="tf_transfer")
class FixMatch(PseudoLabel):
    """FixMatch: a guess on a weakly changed example, if it is a confident one, is the label of a strongly changed one.

    Objective: compiled loss + weight * mean_i 1[max p_i >= threshold] * -log q_i[argmax p_i] + regularization, where p
    are the class probabilities of the weak views of the unlabelled examples, q those of the strong ones. No gradient
    flows through p.

    Batches come from `tft.data.pair_labelled(..., weak=..., strong=...)`. The paper evaluates an average of the weights
    over the steps, which Keras' optimizers make: `keras.optimizers.SGD(0.03, momentum=0.9, nesterov=True,
    use_ema=True, ema_momentum=0.999)`.

    History: as of `PseudoLabel`.

    Args:
        model, batch_statistics: See `tft.semi_supervised.SemiSupervisedModel`.
        unlabelled_weight: Float of at least 0 or a schedule. Defaults to 1.
        threshold: Float from 0 to 1, the least probability of a guess that counts. Defaults to 0.95.
        **kwargs: `name` of a `keras.Model`.

    Raises:
        ValueError: When the batches have no strong view.

    Example:

    >>> layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    >>> model = tft.semi_supervised.FixMatch(keras.Sequential(layers), threshold=0.8)
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> images = np.random.default_rng(0).uniform(0, 255, (24, 8, 8, 1))
    >>> batches = tft.data.pair_labelled((images[:6], np.arange(6) % 3), images, batch_size=6, ratio=2,
    ...                                  weak="no_flip", strong="cutout_no_flip", seed=0)
    >>> sorted(model.fit(batches, verbose=0).history)
    ['classification_loss', 'loss', 'mask_share', 'unlabelled_loss', 'unlabelled_weight']

    Reference:
        Sohn et al., 2020, https://arxiv.org/abs/2001.07685
    """

    needs_strong = True

    def __init__(self, model, unlabelled_weight=1.0, threshold=0.95, batch_statistics="joint", **kwargs):
        super().__init__(model, unlabelled_weight, threshold, batch_statistics, **kwargs)
