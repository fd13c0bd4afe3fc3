"""What is known of a round: means over the clients that took part, and who did not."""

import warnings

import numpy as np

from tf_transfer.federated.aggregation import not_finite


class RoundLogs:
    """Gathers the logs of the clients of a round, weighted by their examples.

    Attributes:
        names: Dict from "clients", "dropped" and "refused" to the names of those.
        last_error: The exception of the client that failed last, or None.
    """

    def __init__(self):
        self.names = {"clients": [], "dropped": [], "refused": []}
        self.last_error = None
        self._sums, self._num_examples = {}, 0

    def took_part(self, name, update):
        """Counts a client whose `ClientUpdate` was used."""
        self.names["clients"].append(name)
        self._num_examples += update.num_examples
        for key, value in update.logs.items():
            self._sums[key] = self._sums.get(key, 0.0) + update.num_examples * value

    def accepts(self, number, name, update):
        """Returns whether an update can be used; says so, and counts its client as refused, when it can't."""
        fault = not_finite(update)
        if fault is not None:
            self.names["refused"].append(name)
            warnings.warn(f"Round {number + 1} refused what client {name!r} sent: {fault}.", stacklevel=2)
        return fault is None

    def dropped(self, name, error=None):
        """Counts a client that did not send anything."""
        self.names["dropped"].append(name)
        self.last_error = error

    def means(self):
        """Returns a dict of floats, the means over the examples of all clients that took part."""
        return {name: total / self._num_examples for name, total in self._sums.items()} or {"loss": np.nan}

    def counts(self):
        """Returns a dict of integers."""
        return {kind: len(names) for kind, names in self.names.items()}

    def warn_of_nobody(self, number):
        """Says that a round ended without any client."""
        counts = ", ".join(f"{len(self.names[kind])} {kind}" for kind in ("dropped", "refused"))
        warnings.warn(f"Round {number + 1} had no client left ({counts}): it taught nothing.", stacklevel=2)
