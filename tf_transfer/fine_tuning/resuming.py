"""The `RunState` of a training that may be stopped, by the argument `resume`."""

import contextlib

from tf_transfer.distribution import is_chief
from tf_transfer.training import RunState


def state_of(resume, settings, *, seed, model, verbose):
    """Returns a context with the `RunState` of this run, or of the one that it is a part of.

    Args:
        resume: Path of a folder, a `RunState`, or None, which keeps nothing.
        settings: Dict of plain data, what the run depends on.
        seed: Integer of the run, or None.
        model: `keras.Model`, by whose strategy it is known who writes.
        verbose: 0, 1 or 2.

    Raises:
        ValueError: For a folder without a seed.
    """
    if isinstance(resume, RunState):
        return contextlib.nullcontext(resume)
    if resume is not None and seed is None:
        raise ValueError("`resume` needs a `seed`: without one the examples come in other orders when the run goes on.")
    return RunState(resume, settings, verbose=int(bool(verbose)), chief=is_chief(model.distribute_strategy))
