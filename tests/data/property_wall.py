"""What properties are made of: the list that they are in, how they run, and values of any shape and type."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as some_numpy
from PIL import Image

PROPERTIES = []
SEEDS = some.integers(0, 2**16)
ENCODINGS = some.sampled_from(["int64", "uint8", "int32", "float32", "column", "one_hot", "one_hot_int", "list"])
DTYPES = some.sampled_from(["float16", "float32", "float64", "uint8", "int32", "int64", "bool", "<U3"])
SHAPES = some_numpy.array_shapes(min_dims=0, max_dims=3, max_side=4)
COUNTS = some.integers(1, 9)


def property_of(*names, **strategies):
    """Registers what holds for public names; the two tests at the end run it with few and with many examples."""

    def add(body):
        body.names, body.strategies = names, strategies
        PROPERTIES.append(body)
        return body

    return add


def run(body, num_examples):
    options = settings(
        max_examples=num_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    options(given(**body.strategies)(body))()


def encoded(labels, num_classes, encoding):
    if encoding == "list":
        return labels.tolist()
    if encoding.startswith("one_hot"):
        return np.eye(num_classes, dtype="int64" if encoding.endswith("int") else "float32")[labels]
    return labels[:, None] if encoding == "column" else labels.astype(encoding)


def values(shape, dtype, seed):
    return np.random.default_rng(seed).integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)


def joined(dataset):
    return [np.concatenate(parts) for parts in zip(*dataset.as_numpy_iterator(), strict=True)]


def write(folder, name, seed, file_format="PNG"):
    pixels = np.random.default_rng(seed).integers(0, 256, (seed % 7 + 1, seed % 5 + 1, 3), dtype=np.uint8)
    Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(Path(folder, name), file_format)
    return pixels


def says(error_types, call):
    """Holds that a call raises one of these errors with a whole sentence."""
    with pytest.raises(error_types) as caught:
        call()
    assert len(str(caught.value)) > 20
