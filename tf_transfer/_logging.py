"""Libraries whose words would mislead who reads them say less for a while."""

import contextlib
import logging


@contextlib.contextmanager
def quiet(name, level=logging.ERROR):
    """Keeps a logger from telling what is below a level."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


def without_retracing_warnings():
    """Keeps TensorFlow from taking many models, each traced once, for one that is traced again and again."""
    return quiet("tensorflow")
