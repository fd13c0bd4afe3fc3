"""Another objective in plain `fit`: the step it makes, its logs, and the model afterwards."""

import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

X = np.random.default_rng(0).normal(size=(12, 2)).astype("float32")
Y = (X @ [[1.0], [-2.0]]).astype("float32")


def line(regularizer=None):
    layers = [keras.Input((2,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(1, name="out")]
    layers[1].kernel_regularizer = regularizer
    return tft.backbones.reinitialize(keras.Sequential(layers, name="line"), 1)


class Hidden(tft.training.AddedObjective):
    """0.5 * compiled loss + weight * mean square of the hidden layer + regularization."""

    def __init__(self, weight=0.3, scale=None):
        super().__init__()
        self.weight, self.scale = weight, scale
        for name in ("size_loss", "weight"):
            self.add_part(name)

    def begin(self, model):
        self.variable = self.scheduled("weight", self.weight)
        self.projector = None
        if self.scale is not None:
            self.projector = keras.Variable(self.scale, name="scale")

    def watched_layers(self):
        return ["hidden"]

    def trainable_variables(self):
        return [] if self.projector is None else [self.projector]

    def objective(self, batch, compiled_loss, regularization):
        hidden = batch.layer_outputs["hidden"]
        hidden = hidden if self.projector is None else hidden * self.projector
        size = tf.reduce_mean(hidden**2)
        self.log_part("size_loss", size, batch.num_examples)
        self.log_part("weight", self.variable, batch.num_examples)
        return 0.5 * compiled_loss + self.variable * tft.training.share(size) + regularization


def expected(model, weight, scale=1.0, sample_weight=1.0, l2=0.0):
    """Returns the objective, its parts and the gradients of kernels and scale, for a model as it is."""
    hidden, out = model.layers
    scale = tf.Variable(scale)
    variables = [*(variable.value for variable in model.trainable_variables), scale]
    with tf.GradientTape() as tape:
        h = tf.constant(X) @ hidden.kernel + hidden.bias
        errors = tf.reduce_mean(
            tf.cast(sample_weight, "float32") * tf.reduce_mean((h @ out.kernel + out.bias - Y) ** 2, axis=1)
        )
        size = tf.reduce_mean((h * scale) ** 2)
        total = 0.5 * errors + weight * size + l2 * tf.reduce_sum(hidden.kernel**2)
    return float(total), float(size), tape.gradient(total, variables)


def compiled(model, optimizer=None, **options):
    model.compile(optimizer or keras.optimizers.SGD(0.1), "mse", **options)
    return model


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}, {"jit_compile": True}])
@pytest.mark.parametrize("scale", [None, 2.0])
def test_a_step_is_that_of_the_objective(options, scale):
    model = compiled(line(keras.regularizers.L2(0.01)), **options)
    weights = np.linspace(0.5, 2.0, 12)
    total, size, gradients = expected(model, 0.3, scale or 1.0, weights, l2=0.01)
    before = [variable.numpy() for variable in model.trainable_variables]
    added = Hidden(scale=scale)
    history = model.fit(X, Y, 12, sample_weight=weights, verbose=0, callbacks=[added]).history
    assert {name: pytest.approx(values[0], rel=1e-5) for name, values in history.items()} == {
        "loss": total,
        "size_loss": size,
        "weight": 0.3,
    }
    after = [*model.trainable_variables, *added.trainable_variables()]
    for new, old, gradient in zip(after, [*before, scale], gradients, strict=False):
        np.testing.assert_allclose(new, old - 0.1 * gradient, rtol=1e-4, atol=1e-6)


def test_the_means_are_over_an_epoch_and_a_schedule_is_followed_step_by_step():
    model = compiled(line(), keras.optimizers.SGD(0.0))
    _, size, _ = expected(model, 0.0)
    history = model.fit(X, Y, 4, epochs=2, verbose=0, callbacks=[Hidden(tft.schedules.linear(0.0, 0.6))]).history
    np.testing.assert_allclose(history["weight"], [0.1, 0.4], rtol=1e-5)
    np.testing.assert_allclose(history["size_loss"], [size, size], rtol=1e-5)


def test_evaluation_keeps_the_compiled_loss():
    model = compiled(line(), keras.optimizers.SGD(0.0))
    plain = model.evaluate(X, Y, verbose=0)
    history = model.fit(X, Y, 12, validation_data=(X, Y), verbose=0, callbacks=[Hidden()]).history
    assert history["val_loss"][0] == pytest.approx(plain, rel=1e-5)
    assert set(history) == {"loss", "size_loss", "weight", "val_loss"}


def attributes(model):
    names = {"call", "compute_loss", "train_step", "make_train_function"}
    return [name for layer in (model, *model.layers) for name in names & set(vars(layer))]


def test_the_model_is_afterwards_as_it_was():
    model, twin = compiled(line()), compiled(line())
    model.fit(X, Y, 4, verbose=0, shuffle=False, callbacks=[Hidden()])
    twin.set_weights(model.get_weights())
    assert not attributes(model)
    for each in (model, twin):
        each.fit(X, Y, 4, verbose=0, shuffle=False)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_after_an_interruption_the_next_fit_is_plain():
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model, twin = compiled(line()), compiled(line())
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, 4, verbose=0, shuffle=False, callbacks=[Hidden(), Interrupt()])
    assert model.evaluate(X, Y, verbose=0) >= 0.0
    twin.set_weights(model.get_weights())
    histories = [each.fit(X, Y, 4, verbose=0, shuffle=False).history for each in (model, twin)]
    assert not attributes(model)
    assert set(histories[0]) == {"loss"} and histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)
    # And once more with the objective, by the same callback.
    assert "size_loss" in model.fit(X, Y, 4, verbose=0, callbacks=[Hidden()]).history
    assert not attributes(model)


def test_a_file_that_is_written_during_training_is_that_of_the_plain_model(tmp_path):
    model = compiled(line())
    keep = keras.callbacks.ModelCheckpoint(tmp_path / "kept.keras")
    model.fit(X, Y, 4, verbose=0, callbacks=[Hidden(), keep])
    again = keras.models.load_model(tmp_path / "kept.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-6)


def test_further_variables_and_a_training_step_of_its_own_are_refused():
    class Own(keras.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    model = compiled(Own([keras.Input((2,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(1)]))
    with pytest.raises(ValueError, match="Own has a training step of its own"):
        model.fit(X, Y, verbose=0, callbacks=[Hidden(scale=1.0)])


def test_mixed_precision_scales_the_gradients_and_not_the_loss():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model, plain = compiled(line()), None
    finally:
        keras.config.set_dtype_policy("float32")
    plain = compiled(line())
    histories = [each.fit(X, Y, 12, verbose=0, callbacks=[Hidden(scale=2.0)]).history for each in (model, plain)]
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-2)
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-2, atol=2e-3)


REPLICAS = """
    import keras, numpy as np, sys, tensorflow as tf
    sys.path[:0] = {paths!r}
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    from test_added_objective import Hidden, X, Y, compiled, line
    results = []
    for strategy in (tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), tf.distribute.get_strategy()):
        with strategy.scope():
            model = compiled(line(keras.regularizers.L2(0.01)))
            history = model.fit(X, Y, 4, epochs=2, verbose=0, shuffle=False, callbacks=[Hidden(scale=2.0)]).history
        results.append((history, model.get_weights()))
    (one, weights), (other, others) = results
    for name in other:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, err_msg=name)
    for a, b in zip(weights, others):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    print("equal")
"""


@pytest.mark.slow
def test_two_replicas_train_as_one():
    here = Path(__file__).parent
    code = textwrap.dedent(REPLICAS.format(paths=[str(here), str(here.parent)]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.strip().endswith("equal"), done.stderr[-3000:]
