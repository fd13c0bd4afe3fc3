import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.training import extend_optimizer, refresh_training

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.1),
    "adamw_amsgrad": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1, amsgrad=True),
    "sgd_nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "sgd_plain": lambda: keras.optimizers.SGD(0.1),
    "rmsprop_centered": lambda: keras.optimizers.RMSprop(0.1, momentum=0.5, centered=True),
    "nadam": lambda: keras.optimizers.Nadam(0.1),
    "adafactor": lambda: keras.optimizers.Adafactor(0.1),
    "lion": lambda: keras.optimizers.Lion(0.1),
    "schedule": lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5), momentum=0.9),
    "function": lambda: keras.optimizers.Adam(lambda: 0.1),
    "accumulation": lambda: keras.optimizers.Adam(0.1, gradient_accumulation_steps=2),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.1), initial_scale=8.0, dynamic_growth_steps=4
    ),
    "multi": lambda: keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.Adam(0.1), {"x.*": keras.optimizers.SGD(0.1, momentum=0.5)})
    ),
}


def run(optimizer, variables, gradients, steps):
    for _ in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(gradients[v.name]) for v in variables], variables)


def variables():
    a = keras.Variable([[1.0, 2.0], [3.0, 4.0]], name="a")
    x = keras.Variable([5.0, 6.0], name="x")
    return a, x


GRADIENTS = {"a": np.full((2, 2), 0.3, "float32"), "x": np.array([1.0, -2.0], "float32")}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_known_variables_go_on_as_if_nothing_had_happened(name):
    a, x = variables()
    reference_a, _ = variables()
    optimizer, reference = OPTIMIZERS[name](), OPTIMIZERS[name]()
    run(optimizer, [a], GRADIENTS, 3)
    extended = extend_optimizer(optimizer, [x, a])
    assert extended is not optimizer
    run(extended, [x, a], GRADIENTS, 5)
    run(reference, [reference_a], GRADIENTS, 8)
    np.testing.assert_allclose(a.numpy(), reference_a.numpy(), rtol=1e-6)
    assert not np.allclose(x.numpy(), [5.0, 6.0])
    assert int(extended.iterations) == int(reference.iterations)
    assert extended.get_config().keys() == optimizer.get_config().keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_shrinking_and_reordering_keep_the_slots_of_the_right_variable(name):
    a, x = variables()
    _, reference_x = variables()
    optimizer, reference = OPTIMIZERS[name](), OPTIMIZERS[name]()
    run(optimizer, [a, x], GRADIENTS, 3)
    run(extend_optimizer(optimizer, [x]), [x], GRADIENTS, 3)
    run(reference, [reference_x], GRADIENTS, 6)
    np.testing.assert_allclose(x.numpy(), reference_x.numpy(), rtol=1e-6)


def test_new_variables_start_with_empty_slots():
    a, x = variables()
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    run(optimizer, [a], GRADIENTS, 4)
    extended = extend_optimizer(optimizer, [a, x])
    np.testing.assert_array_equal(extended.momentums[1].numpy(), [0.0, 0.0])
    np.testing.assert_array_equal(extended.momentums[0].numpy(), optimizer.momentums[0].numpy())


def test_moving_average_of_a_new_variable_starts_at_its_value():
    a, x = variables()
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    run(optimizer, [a], GRADIENTS, 2)
    extended = extend_optimizer(optimizer, [a, x])
    run(extended, [a, x], GRADIENTS, 1)
    # x: 5 - 0.1 * 1 = 4.9; half of it and half of 5.
    extended.finalize_variable_values([a, x])
    np.testing.assert_allclose(x.numpy(), [4.95, 6.1], rtol=1e-6)


def test_the_same_object_when_nothing_is_new():
    a, x = variables()
    optimizer = keras.optimizers.Adam()
    assert extend_optimizer(optimizer, [a, x]) is optimizer
    assert optimizer.built
    assert extend_optimizer(optimizer, [a, x]) is optimizer
    assert extend_optimizer(optimizer, [x, a]) is not optimizer


def test_a_learning_rate_set_by_a_callback_and_exclusions_are_kept():
    a, x = variables()
    optimizer = keras.optimizers.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_list=[a])
    optimizer.build([a])
    optimizer.learning_rate = 0.003
    extended = extend_optimizer(optimizer, [a, x])
    assert float(extended.learning_rate) == pytest.approx(0.003)
    assert not extended._use_weight_decay(a)
    assert extended._use_weight_decay(x)


def test_a_dynamic_loss_scale_is_kept():
    a, x = variables()
    optimizer = OPTIMIZERS["loss_scale"]()
    run(optimizer, [a], GRADIENTS, 5)
    extended = extend_optimizer(optimizer, [a, x])
    assert float(extended.dynamic_scale) == 16.0
    assert int(extended.step_counter) == int(optimizer.step_counter)


def test_one_optimizer_under_two_patterns_stays_one():
    a, x = variables()
    shared = keras.optimizers.Adam(0.1)
    choice = keras.optimizers.OptimizerMap(shared, {"x.*": shared})
    optimizer = keras.optimizers.MultiOptimizer(choice)
    optimizer.build([a])
    assert len(extend_optimizer(optimizer, [a, x]).optimizers) == 1


def test_multi_optimizer_of_a_function_is_refused():
    a, x = variables()
    inner = keras.optimizers.SGD(0.1)
    optimizer = keras.optimizers.MultiOptimizer(lambda variable: inner)
    optimizer.build([a])
    with pytest.raises(ValueError, match="OptimizerMap"):
        extend_optimizer(optimizer, [a, x])


def small_model(optimizer="adam", **compiled):
    layers = [keras.layers.Input((3,)), keras.layers.Dense(4, name="base"), keras.layers.Dense(1, name="head")]
    model = keras.Sequential(layers)
    model.get_layer("base").trainable = False
    model.compile(optimizer, "mse", **compiled)
    return model


X, Y = np.random.default_rng(0).normal(size=(8, 3)), np.ones((8, 1))


def test_refresh_training_trains_what_the_flags_say_both_ways():
    model = small_model()
    base, head = model.get_layer("base"), model.get_layer("head")
    model.fit(X, Y, verbose=0)
    base.trainable, head.trainable = True, False
    refresh_training(model)
    base_before, head_before = base.kernel.numpy(), head.kernel.numpy()
    model.fit(X, Y, verbose=0)
    assert np.abs(base.kernel.numpy() - base_before).max() > 1e-5
    np.testing.assert_array_equal(head.kernel.numpy(), head_before)


def test_the_trap_refresh_training_is_there_for():
    model = small_model()
    model.fit(X, Y, verbose=0)
    model.get_layer("base").trainable = True
    before = model.get_layer("base").kernel.numpy()
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.get_layer("base").kernel.numpy(), before)


@pytest.mark.parametrize("name", ["adam", "multi", "loss_scale", "accumulation"])
def test_refreshed_model_saves_its_optimizer(name, tmp_path):
    model = small_model(OPTIMIZERS[name]())
    model.fit(X, Y, verbose=0)
    model.get_layer("base").trainable = True
    refresh_training(model)
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    model.fit(X, Y, epochs=2, verbose=0)
    loaded.fit(X, Y, epochs=2, verbose=0)
    np.testing.assert_allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)


def test_refresh_inside_fit_with_several_steps_per_execution():
    model = small_model(steps_per_execution=2)
    base = model.get_layer("base")
    moved = []

    def unfreeze(epoch, logs):
        moved.append(base.kernel.numpy())
        if epoch == 0:
            base.trainable = True
            refresh_training(model)

    callback = keras.callbacks.LambdaCallback(on_epoch_end=unfreeze)
    model.fit(X, Y, batch_size=2, epochs=2, verbose=0, callbacks=[callback])
    assert np.abs(moved[1] - moved[0]).max() > 1e-5
    assert int(model.optimizer.iterations) == 8


def test_a_model_that_is_not_compiled_or_never_trained_is_left_alone():
    layers = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    refresh_training(layers)
    refresh_training(layers.layers[0])
    model = small_model()
    optimizer = model.optimizer
    refresh_training(model)
    assert model.optimizer is optimizer
    assert not optimizer.built


def test_a_checkpoint_holds_the_new_slots(tmp_path):
    model = small_model()
    model.fit(X, Y, verbose=0)
    model.get_layer("base").trainable = True
    refresh_training(model)
    model.fit(X, Y, verbose=0)
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "checkpoint"))
    expected = [slot.numpy() for slot in model.optimizer.variables]
    for slot in model.optimizer.variables:
        slot.assign(keras.ops.zeros_like(slot))
    tf.train.Checkpoint(model=model).restore(path)
    for slot, value in zip(model.optimizer.variables, expected):
        np.testing.assert_array_equal(slot.numpy(), value)


@pytest.mark.slow
def test_two_replicas_keep_the_state_too():
    script = """
        import numpy as np, keras, tensorflow as tf
        from tf_transfer.training import refresh_training
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
        def train(strategy):
            with strategy.scope():
                model = keras.Sequential([
                    keras.layers.Input((3,)),
                    keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=1)),
                    keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed=2))])
                model.layers[0].trainable = False
                model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
            x = np.random.default_rng(0).normal(size=(8, 3))
            y = x.sum(axis=1, keepdims=True)
            model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
            model.layers[0].trainable = True
            refresh_training(model)
            model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
            return [w for w in model.get_weights()], [m.numpy() for m in model.optimizer.momentums]
        two = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
        one = train(tf.distribute.get_strategy())
        for a, b in zip(two[0] + two[1], one[0] + one[1]):
            np.testing.assert_allclose(a, b, atol=1e-6)
        print("equal", len(two[1]))
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, env=environment, timeout=300
    )
    assert "equal 4" in done.stdout, done.stderr[-3000:]
