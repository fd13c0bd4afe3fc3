"""Two replicas, whose halves of a batch have unequal numbers of labels, learn what one device does."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPLICAS = """
    import keras, numpy as np, sys, tensorflow as tf
    sys.path[:0] = {paths!r}
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    from task_toys import MISSING, X, losses, network
    import tf_transfer as tft

    def plain():
        model = network(l2=0.1)
        model.compile(keras.optimizers.SGD(0.1), losses())
        return model

    def balanced(cls, **options):
        method = cls(network(l2=0.1), **options)
        method.compile(keras.optimizers.SGD(0.1), losses())
        return method

    makers = dict(
        plain=plain,
        uncertainty=lambda: balanced(tft.UncertaintyWeighting),
        averaging=lambda: balanced(tft.DynamicWeightAveraging),
        grad_norm=lambda: balanced(tft.GradNorm, learning_rate=0.1),
        pc_grad=lambda: balanced(tft.PCGrad, seed=4),
    )
    weights = dict.fromkeys(MISSING, np.linspace(0.5, 2.0, 16))
    # One for all: a second one would count its collective operations from the same number.
    strategies = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), tf.distribute.get_strategy()
    for name, make in makers.items():
        results = []
        for strategy in strategies:
            with strategy.scope():
                model = make()
            options = dict(batch_size=8, epochs=3, sample_weight=weights, verbose=0, shuffle=False)
            results.append((model.fit(X, MISSING, **options).history, model.get_weights()))
        (one, weights_of_one), (other, weights_of_other) = results
        for entry in other:
            np.testing.assert_allclose(one[entry], other[entry], rtol=1e-4, atol=1e-6, err_msg=name + " " + entry)
        for a, b in zip(weights_of_one, weights_of_other):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=name)
        print(name, "equal")
"""


@pytest.mark.slow
def test_two_replicas_train_as_one():
    code = textwrap.dedent(REPLICAS.format(paths=[str(Path(__file__).parent)]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600)
    assert done.stdout.split()[-2:] == ["pc_grad", "equal"], done.stdout + done.stderr[-3000:]
