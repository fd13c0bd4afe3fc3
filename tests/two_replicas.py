"""Two replicas, logical devices of the processor, in a process of their own, and what has to be as on one device."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np


def run(script, file, timeout=500):
    """Runs a script that may import this module and those beside a test, and returns the lines that it printed."""
    paths = [str(Path(__file__).parent), str(Path(file).parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "TF_CPP_MIN_LOG_LEVEL": "2"},
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout.splitlines()


def strategies():
    """Returns the strategies of one device and of two, before TensorFlow did anything."""
    import tensorflow as tf

    # Once a process: the collective operations of a second strategy would count from the same number.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def check_same_weights(one, two, tolerance=1e-5, name=""):
    """Compares the weights of two models, on each replica."""
    for first, second in zip(one.weights, two.weights, strict=True):
        for copy in getattr(second.value, "values", (second.value,)):
            message = f"{name} {first.path}"
            np.testing.assert_allclose(first.numpy(), copy, rtol=tolerance, atol=tolerance, err_msg=message)


def check_same_history(one, two, tolerance=1e-5, name=""):
    """Compares what was logged."""
    assert set(one) == set(two), set(one) ^ set(two)
    for entry, values in one.items():
        message = f"{name} {entry}"
        np.testing.assert_allclose(values, two[entry], rtol=tolerance, atol=tolerance, err_msg=message)
