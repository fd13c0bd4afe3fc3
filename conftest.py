"""What every test and doctest runs under: the same backend, no GPU, no home folder, no network."""

import importlib
import os
import sys
import tempfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent
# Kept here so that the folders live as long as the process.
_HOME = tempfile.TemporaryDirectory(prefix="tf_transfer_tests_")

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["KERAS_HOME"] = os.path.join(_HOME.name, "keras")
os.environ["TF_TRANSFER_CACHE"] = os.path.join(_HOME.name, "cache")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")

# Python runs `sitecustomize` at its start, so the processes that tests start are offline as well.
_OFFLINE = str(_ROOT / "tests" / "offline")
os.environ["PYTHONPATH"] = os.pathsep.join([_OFFLINE, str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
sys.path.insert(0, _OFFLINE)
importlib.import_module("no_network")


@pytest.fixture(autouse=True)
def doctest_names(request, doctest_namespace, tmp_path, monkeypatch):
    """Gives examples in docstrings the names that users have, and a folder of their own."""
    if not isinstance(request.node, pytest.DoctestItem):
        return
    import keras
    import numpy as np
    import tensorflow as tf

    import tf_transfer as tft

    monkeypatch.chdir(tmp_path)
    doctest_namespace.update(keras=keras, np=np, tf=tf, tft=tft)
