"""Numbers that change while a model trains, as functions of its progress from 0 to 1."""

from tf_transfer.schedules.schedule import Schedule, constant, cosine, dann, gaussian, get, linear

__all__ = ["Schedule", "constant", "cosine", "dann", "gaussian", "get", "linear"]
