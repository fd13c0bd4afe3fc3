"""What a Gaussian mechanism on sampled clients costs: epsilon for a delta, by the accountant of Google."""

from tf_transfer import _checks


class PrivacyAccountant:
    """Counts rounds, and says which epsilon they add up to: of whole clients, who are sampled independently.

    Args:
        noise_multiplier: Float above 0, standard deviation of the noise in units of the clipped norm.
        delta: Float in (0, 1), at most one over the number of clients to mean something.

    Attributes:
        rounds: Dict from a probability of taking part to the number of rounds with it.

    Raises:
        ImportError: When `dp-accounting` is not installed.
    """

    def __init__(self, noise_multiplier, delta):
        self._noise = _checks.positive(noise_multiplier, "noise_multiplier")
        if delta is None or not 0 < _checks.number(delta, "delta") < 1:
            raise ValueError(
                "Noise is accounted for as (epsilon, delta): `delta` must be a number between 0 and 1, less than one "
                f"over the number of clients. Received: delta={delta!r}."
            )
        self._delta, self.rounds = float(delta), {}
        _dp_accounting()

    def add(self, probability):
        """Counts a round in which each client took part with a probability."""
        self.rounds[probability] = self.rounds.get(probability, 0) + 1

    def epsilon(self):
        """Returns the epsilon of all rounds, a float."""
        dp_accounting, accountant = _dp_accounting()
        for probability, number in self.rounds.items():
            event = dp_accounting.GaussianDpEvent(self._noise)
            accountant.compose(dp_accounting.PoissonSampledDpEvent(probability, event), number)
        return float(accountant.get_epsilon(self._delta))


def _dp_accounting():
    try:
        import dp_accounting
        from dp_accounting import rdp
    except ImportError as error:
        raise ImportError(
            "Noise needs dp-accounting, which says what privacy it buys: pip install 'tf-transfer[privacy]'."
        ) from error
    return dp_accounting, rdp.RdpAccountant()
