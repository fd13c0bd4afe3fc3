"""The clients of a simulation: who there is, what they have, who is drawn."""

import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data import ClassFolder


class Clients:
    """Clients by number; what one has is read when its turn comes, and not kept.

    Args:
        clients: Sequence, or dict from names, of what each has: arrays `(x, y[, sample_weight])`, a `tf.data.Dataset`,
            an `ImageFolder` or `AudioFolder`, or a function without arguments that returns one of those. Anything with
            `__len__` and `__getitem__` is a sequence.
        what: String, what an error calls it. Defaults to "clients".
    """

    def __init__(self, clients, what="clients"):
        if not hasattr(clients, "__len__") or not hasattr(clients, "__getitem__"):
            raise TypeError(
                f"`{what}` must be a sequence or a dict of what each client has. Received: {type(clients).__name__}."
            )
        self.names = list(clients) if isinstance(clients, dict) else range(len(clients))
        self._clients = clients
        if not len(self.names):
            raise ValueError(f"`{what}` is empty. Expected at least one client.")
        for name in self.names if isinstance(clients, list | tuple | dict) else ():
            check_kind(clients[name], f"{what}[{name!r}]")

    def __len__(self):
        return len(self.names)

    def read(self, number):
        """Returns the examples of a client."""
        given = self._clients[self.names[number]]
        given = given() if callable(given) else given
        check_kind(given, f"clients[{self.names[number]!r}]", lazy=False)
        return given

    def draw(self, num, rng, poisson=False):
        """Returns the sorted numbers of clients that are drawn.

        Args:
            num: Integer, how many; in expectation with `poisson`, where each is drawn by itself.
            rng: `np.random.Generator`.
            poisson: Boolean. Defaults to False.
        """
        return drawn(len(self), num, rng, num / len(self) if poisson else None)


def drawn(num_there, num, rng, probability=None):
    """Returns a sorted list of who takes part, of those that are there.

    Args:
        num_there: Integer.
        num: Integer, how many to draw, or all where fewer are there.
        rng: `np.random.Generator`.
        probability: Float, with which each is drawn by itself, whatever `num` is. Defaults to None.
    """
    if probability is not None:
        return np.flatnonzero(rng.random(num_there) < probability).tolist()
    return np.sort(rng.choice(num_there, min(num, num_there), replace=False)).tolist()


def number_a_round(clients_per_round, num_clients):
    """Returns how many clients a round has, for an integer, a part of all, or None for all."""
    if clients_per_round is None:
        return num_clients
    if isinstance(clients_per_round, float):
        part = _checks.number(clients_per_round, "clients_per_round", 0.0, 1.0)
        return max(round(part * num_clients), 1)
    return _checks.integer(clients_per_round, "clients_per_round", 1, num_clients)


def check_kind(given, name, lazy=True):
    """Raises a `TypeError` for what no client can have.

    Args:
        given: Anything.
        name: String, what the error calls it.
        lazy: Boolean, whether it may be a function. Defaults to True.
    """
    arrays = isinstance(given, tuple) and len(given) in (2, 3)
    if not (arrays or isinstance(given, tf.data.Dataset | ClassFolder) or (lazy and callable(given))):
        raise TypeError(
            f"{name} must be arrays (x, y) or (x, y, sample_weight) in a tuple, a tf.data.Dataset, a folder, or a "
            f"function that returns one of those. Received: {type(given).__name__}."
        )
