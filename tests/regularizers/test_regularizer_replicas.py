"""Regularizers on two replicas, in a process of their own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SCRIPT = """
    import keras, numpy as np, tensorflow as tf
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    import tf_transfer as tft
    from regularizer_toys import X, Y, arrays, classifier, moved, source_classifier
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)

    def train(strategy):
        with strategy.scope():
            model = classifier(keras.optimizers.SGD(0.1, 0.9), regularizer=keras.regularizers.L2(0.01))
        methods = [tft.L2SP(0.3), tft.DELTA(layers=["low", "high"]), tft.LearningWithoutForgetting(),
                   tft.CoTuning(source=source_classifier())]
        callback = tft.regularizers.RegularizationCallback(methods, model, (X, Y), verbose=0)
        model.set_weights(moved(arrays(model)))
        history = model.fit(stream, epochs=3, verbose=0, callbacks=[callback]).history
        assert not any("call" in vars(layer) for layer in model._flatten_layers())
        return history, [*model.weights, *callback.trainable_variables()]

    one, two = train(tf.distribute.get_strategy()), train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    for name, values in one[0].items():
        np.testing.assert_allclose(two[0][name], values, rtol=1e-4, err_msg=name)
    assert len(one[1]) == 8
    for a, b in zip(one[1], two[1]):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), atol=1e-5, err_msg=a.path)
    print("equal")
"""


@pytest.mark.slow
def test_two_replicas_train_as_one_device():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["equal"]
