"""The mean of what clients send: refused where it is not finite, clipped, weighted, with noise where that is asked."""

import numpy as np


class RoundMean:
    """The running mean of a round: however many clients send, two copies of the weights are in memory.

    Args:
        clip_norm: Float, the largest L2 norm of a client's update, or None.
        noise_multiplier: Float, the standard deviation of the noise on the sum, in units of `clip_norm`. With it all
            clients count alike, and the sum is divided by `expected_clients`. Defaults to 0.
        expected_clients: Float, how many clients a round has in expectation, for noise. Defaults to None.

    Attributes:
        num_clients: Integer, how many updates are in the mean.

    Example:

    >>> mean = RoundMean(clip_norm=5.0)
    >>> mean.add([np.array([6.0, 8.0])], 1)  # of norm 10
    >>> mean.add([np.array([1.0, 0.0])], 3)
    >>> mean.result()[0].tolist(), mean.num_clients
    ([1.5, 1.0], 2)
    """

    def __init__(self, clip_norm=None, noise_multiplier=0.0, expected_clients=None):
        self._clip_norm, self._noise, self._expected = clip_norm, noise_multiplier, expected_clients
        self._sum, self._weight, self.num_clients = None, 0, 0

    def add(self, change, num_examples, private=None):
        """Adds the update of a client.

        Args:
            change: List of finite arrays.
            num_examples: Integer, the weight of the client, unless there is noise.
            private: Integer, how many arrays count in the norm and are clipped: those behind them are statistics.
                Defaults to None, all.
        """
        change = clipped(change, self._clip_norm, private)
        weight = 1 if self._noise else num_examples
        if self._sum is None:
            self._sum = [np.zeros(array.shape) for array in change]
        for total, array in zip(self._sum, change, strict=True):
            total += weight * array
        self._weight += weight
        self.num_clients += 1

    def result(self, rng=None, shapes=None):
        """Returns the mean, a list of float64 arrays, or None when nobody sent anything and there is no noise.

        Args:
            rng: `np.random.Generator` of the noise.
            shapes: List of the shapes of the weights, for the noise of a round that nobody took part in.
        """
        if not self._noise:
            return None if self._sum is None else [total / self._weight for total in self._sum]
        # Whether anybody took part is as private as what they sent, so that noise is never left out.
        total = [np.zeros(shape) for shape in shapes] if self._sum is None else self._sum
        deviation = self._noise * self._clip_norm
        return [(array + rng.normal(0.0, deviation, array.shape)) / self._expected for array in total]


def clipped(change, clip_norm, private=None):
    """Returns arrays scaled down so that the L2 norm of all of them together is at most `clip_norm`.

    Args:
        change: List of arrays.
        clip_norm: Float above 0, or None.
        private: Integer, how many of the arrays are meant. Defaults to None, all.
    """
    if clip_norm is None:
        return change
    meant, others = change[:private], change[len(change[:private]) :]
    norm = np.sqrt(sum(np.square(array, dtype="float64").sum() for array in meant))
    if norm <= clip_norm:
        return change
    return [array.astype("float64") * (clip_norm / norm) for array in meant] + others


def not_finite(update):
    """Returns what of an update is NaN or infinite, in words, or None."""
    if not all(np.isfinite(array).all() for array in update.change):
        return "weights that are NaN or infinite"
    wrong = [name for name, value in update.logs.items() if not np.isfinite(value)]
    return f"a {wrong[0]} that is NaN or infinite" if wrong else None
