"""How good a few-shot learner is over many episodes, and how sure that figure is."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _checks


@dataclasses.dataclass(frozen=True, eq=False)
class EpisodeEvaluation:
    """The accuracy of a learner in each of many episodes.

    Args:
        accuracies: Float array of shape `(num_episodes,)`, the share of right answers in each.

    Attributes:
        accuracy: Float, the mean over the episodes.

    Example:

    >>> evaluation = tft.few_shot.EpisodeEvaluation(np.array([0.9, 1.0, 0.8, 0.9]))
    >>> evaluation
    <EpisodeEvaluation of 4 episodes: accuracy 0.900 (95% interval 0.770 to 1.000)>
    """

    accuracies: np.ndarray

    def __post_init__(self):
        accuracies = np.asarray(self.accuracies, "float64")
        if accuracies.ndim != 1 or not len(accuracies):
            raise ValueError(f"`accuracies` must have one value an episode. Received: shape {accuracies.shape}.")
        object.__setattr__(self, "accuracies", accuracies)

    def __repr__(self):
        low, high = self.interval()
        return (
            f"<EpisodeEvaluation of {len(self.accuracies)} episodes: accuracy {self.accuracy:.3f} "
            f"(95% interval {low:.3f} to {high:.3f})>"
        )

    @property
    def accuracy(self):
        return float(self.accuracies.mean())

    def interval(self, confidence=0.95):
        """Returns (low, high), Student's interval of the mean accuracy over episodes of this kind.

        Args:
            confidence: Float in (0, 1). Defaults to 0.95.
        """
        from scipy.stats import sem, t

        _checks.number(confidence, "confidence", 0.0, 1.0)
        if len(self.accuracies) < 2 or np.ptp(self.accuracies) == 0:
            return self.accuracy, self.accuracy
        low, high = t.interval(confidence, len(self.accuracies) - 1, self.accuracy, sem(self.accuracies))
        return max(0.0, float(low)), min(1.0, float(high))


def evaluate_episodes(model, episodes, num_episodes=600, *, verbose=0):
    """Asks a few-shot learner about episodes: it learns from each support and answers each query.

    Args:
        model: A method of `tft.few_shot`, or any function from the inputs of a batch of episodes to scores
            `(num_episodes, num_queries, ways)`.
        episodes: `tf.data.Dataset` of batches of episodes, as `tft.data.episodes` makes them. Take `fixed=True` there
            to compare models on the same ones.
        num_episodes: Integer, how many to ask about, or None for one epoch. Defaults to 600, as in the papers.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 0.

    Returns:
        An `EpisodeEvaluation`.

    Raises:
        ValueError: When the stream ends before `num_episodes`, or is endless and `num_episodes` is None.

    Example:

    >>> x, y = np.eye(8)[np.arange(8).repeat(4)], np.arange(8).repeat(4)
    >>> stream = tft.data.episodes(x, y, ways=3, shots=1, queries=2, seed=0)
    >>> model = tft.few_shot.PrototypicalNetwork(keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)]))
    >>> tft.few_shot.evaluate_episodes(model, stream, num_episodes=20).accuracy
    1.0
    """
    if num_episodes is not None:
        _checks.integer(num_episodes, "num_episodes", 1)
    elif episodes.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The episodes are endless: say with `num_episodes` how many to ask about.")
    answer = tf.function(lambda inputs: model(inputs), reduce_retracing=True)
    progress = keras.utils.Progbar(num_episodes, verbose=verbose, unit_name="episode")
    found, num_found = [], 0
    for inputs, labels in episodes:
        right = np.argmax(answer(inputs).numpy(), axis=-1) == labels.numpy()
        found.append(right.mean(axis=1))
        num_found += len(right)
        progress.update(min(num_found, num_episodes or num_found))
        # Without a number all of an epoch is asked about.
        if num_episodes is not None and num_found >= num_episodes:
            break
    if num_found < (num_episodes or 1):
        raise ValueError(
            f"The stream ended after {num_found} episodes. Expected: num_episodes={num_episodes}. Give as many to "
            "`tft.data.episodes`, or leave `num_episodes` out there for an endless stream."
        )
    return EpisodeEvaluation(np.concatenate(found)[:num_episodes])
