"""What is random in a round, as functions of the seed of a run, so that nothing depends on what came before."""

import numpy as np

_PURPOSES = {"draw": 0, "noise": 1, "train": 2}


def round_rng(seed, number, purpose):
    """Returns the generator of a round for one purpose: "draw" for who takes part, or "noise".

    Args:
        seed: Integer, of the run.
        number: Integer, the round, counted from 0.
        purpose: String.
    """
    return np.random.default_rng((seed, number, _PURPOSES[purpose]))


def client_seed(seed, number, client):
    """Returns the seed of the training of a client, a tuple of integers.

    Args:
        seed: Integer, of the run.
        number: Integer, the round, counted from 0.
        client: Integer, the number of the client.
    """
    return (seed, number, _PURPOSES["train"], client)
