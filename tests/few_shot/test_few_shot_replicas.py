"""Two replicas learn from episodes as one, and so does a network in mixed precision nearly, in a process of its own."""

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
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 5)).astype("float32"), np.arange(48) // 6
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    room = tft.few_shot
    options = {"inner_batch_size": 3, "seed": 0}
    methods = {
        "PrototypicalNetwork": lambda model: room.PrototypicalNetwork(model),
        "MAML": lambda model: room.MAML(model, 0.1, 2, learned_rates=True),
        "Reptile": lambda model: room.Reptile(model, 0.05, 3, step_size=tft.schedules.linear(1.0, 0.0), **options),
        "Reptile, SGD": lambda model: room.Reptile(model, 0.05, 3, inner_optimizer="sgd", **options),
    }

    def train(make, strategy, steps_per_execution=1, dtype="float32"):
        with strategy.scope():
            layers = [keras.Input((5,)), keras.layers.Dense(6, "tanh", kernel_regularizer="l2", dtype=dtype)]
            plain = keras.Sequential([*layers, keras.layers.Dense(3, dtype=dtype)])
            weights = np.random.default_rng(1)
            plain.set_weights([weights.normal(size=w.shape) for w in plain.get_weights()])
            model = make(plain)
            model.compile(keras.optimizers.SGD(0.3), steps_per_execution=steps_per_execution)
        stream = tft.data.episodes(x, y, 3, 3, 2, num_episodes=16, batch_size=4, fixed=True, seed=0)
        return model, model.fit(stream, epochs=2, verbose=0).history

    def compare(name, one, two, a, b, tolerance):
        for first, second in zip(one.weights, two.weights, strict=True):
            for copy in mirrored.experimental_local_results(second.value):
                np.testing.assert_allclose(
                    first.numpy(), copy, rtol=tolerance, atol=tolerance, err_msg=name + first.path)
        assert set(a) == set(b)
        for entry in a:
            np.testing.assert_allclose(a[entry], b[entry], rtol=tolerance, atol=tolerance, err_msg=name + entry)

    for name, make in methods.items():
        single = tf.distribute.get_strategy()
        (one, a), (two, b) = (train(make, strategy) for strategy in (single, mirrored))
        compare(name, one, two, a, b, 1e-4)
        compare(name, one, *(lambda made: (made[0], a, made[1]))(train(make, single, 4)), 1e-4)
        assert abs(train(make, single, dtype="mixed_bfloat16")[1]["loss"][-1] / a["loss"][-1] - 1) < 0.1
        print(name)
"""


@pytest.mark.slow
def test_two_replicas_several_steps_and_mixed_precision_train_as_one_step_of_one():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], capture_output=True, text=True, env=environment, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["PrototypicalNetwork", "MAML", "Reptile", "Reptile, SGD"]
