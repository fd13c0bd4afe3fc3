"""How far two sets of predictions are apart, and the sentence when that is too far."""

import numpy as np


def differences(expected, received):
    """Measures how far predictions are apart, output by output.

    Args:
        expected: Dict of arrays by output name.
        received: Dict of arrays that has at least the names of `expected`.

    Returns:
        Dict of floats by output name: the largest `|e - r| / max(1, |e|)`, hence the absolute
        difference for scores and the relative one for large values; the share of entries that
        differ for strings and integers; infinity where shapes differ or values are not finite.

    Example:

    >>> differences({"scores": np.array([0.5, 200.0])}, {"scores": np.array([0.25, 201.0])})
    {'scores': 0.25}
    """
    return {name: _difference(np.asarray(value), np.asarray(received[name])) for name, value in expected.items()}


def require_close(expected, received, tolerance, what):
    """Returns the `differences`, or raises a `RuntimeError` with the numbers when one is above `tolerance`."""
    missing = sorted(set(expected) - set(received))
    if missing:
        raise RuntimeError(f"{what}: there is no output {missing}, only {sorted(received)}.")
    measured = differences(expected, received)
    worst = max(measured, key=measured.get)
    if measured[worst] > tolerance:
        raise RuntimeError(
            f"{what}: output {worst!r} is {measured[worst]:.3g} apart, more than tolerance={tolerance:g}. "
            f"{_where(np.asarray(expected[worst]), np.asarray(received[worst]))}"
        )
    return measured


def _difference(expected, received):
    if expected.shape != received.shape:
        return float("inf")
    if expected.size == 0:
        return 0.0
    if not np.issubdtype(expected.dtype, np.floating):
        return float(np.mean(expected != received))
    expected, received = expected.astype("float64"), received.astype("float64")
    if not (np.isfinite(expected).all() and np.isfinite(received).all()):
        return float("inf")
    return float(np.max(np.abs(expected - received) / np.maximum(1.0, np.abs(expected))))


def _where(expected, received):
    if expected.shape != received.shape:
        return f"Expected shape {expected.shape}, received {received.shape}."
    apart = expected != received
    if np.issubdtype(expected.dtype, np.floating):
        bad = ~(np.isfinite(expected) & np.isfinite(received))
        apart = bad if bad.any() else np.abs(expected - received) / np.maximum(1.0, np.abs(expected))
    index = tuple(int(i) for i in np.unravel_index(np.argmax(apart), expected.shape))
    return f"At {index}: expected {expected[index]}, received {received[index]}."
