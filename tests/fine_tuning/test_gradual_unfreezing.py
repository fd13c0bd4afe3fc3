import copy

import keras
import numpy as np
import pytest

from tf_transfer.backbones import set_trainable
from tf_transfer.fine_tuning import GradualUnfreezing

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")


def dense(units, seed, **options):
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=seed), **options)


def make_model(optimizer=None, batch_norm=False, **compiled):
    norm = [keras.layers.BatchNormalization(name="norm")] if batch_norm else []
    sizes = {"low": 5, "mid": 4, "high": 3}
    layers = [dense(sizes[name], i, activation="tanh", name=name) for i, name in enumerate(sizes, start=1)]
    backbone = keras.Sequential([keras.Input((4,)), *norm, *layers], name="backbone")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, dense(2, 4, name="head", dtype="float32")(backbone(inputs)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, **compiled)
    return model


class Spy(keras.callbacks.Callback):
    """Notes, after each epoch, the backbone's kernels and the optimizer's state by variable."""

    def __init__(self):
        super().__init__()
        self.kernels, self.moments, self.before = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.before.append(self._moments())

    def on_epoch_end(self, epoch, logs=None):
        backbone = self.model.get_layer("backbone")
        self.kernels.append({layer.name: layer.get_weights()[0] for layer in backbone.layers})
        self.moments.append(self._moments())

    def _moments(self):
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        slots = zip(getattr(optimizer, "_trainable_variables", []), getattr(optimizer, "_momentums", []))
        return {variable.path.split("/", 1)[-1]: slot.numpy() for variable, slot in slots}


def run(model, epochs=5, callback=None, **options):
    callback = callback or GradualUnfreezing(verbose=0)
    spy = Spy()
    history = model.fit(X, Y, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback, spy], **options)
    return callback, spy, history


FIRST_EPOCH = {"high": 1, "mid": 2, "low": 3}


@pytest.mark.parametrize(
    "compiled", [{}, {"steps_per_execution": 2}, {"run_eagerly": True}], ids=["plain", "two steps", "eager"]
)
def test_a_block_rests_before_its_epoch_and_moves_from_then_on(compiled):
    model = make_model(**compiled)
    start = {layer.name: layer.get_weights()[0] for layer in model.get_layer("backbone").layers}
    callback, spy, _ = run(model, batch_size=4)
    for name, first in FIRST_EPOCH.items():
        for epoch, kernels in enumerate(spy.kernels):
            if epoch < first:
                np.testing.assert_array_equal(kernels[name], start[name])
            else:
                earlier = spy.kernels[epoch - 1][name]
                assert np.abs(kernels[name] - earlier).max() > 1e-4, (name, epoch)
    assert [(entry["epoch"], entry["blocks"]) for entry in callback.log] == [(1, ["high"]), (2, ["mid"]), (3, ["low"])]
    assert callback.log[-1]["trainable"] == model.count_params()


def test_moments_of_what_trained_before_are_carried_over():
    model = make_model()
    _, spy, _ = run(model)
    for epoch in range(1, 4):
        known = spy.moments[epoch - 1]
        assert set(known) < set(spy.before[epoch])
        for path, moment in known.items():
            np.testing.assert_array_equal(spy.before[epoch][path], moment)
            assert np.abs(moment).max() > 0
    assert int(model.optimizer.iterations) == 5


def adam_by_hand(model, epochs, rate=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Full-batch Adam over all variables, where a variable takes part from its block's epoch on."""
    import tensorflow as tf

    variables = model.trainable_variables
    names = [variable.path.split("/")[-2] for variable in variables]
    state = [(np.zeros(variable.shape), np.zeros(variable.shape)) for variable in variables]
    for step in range(1, epochs + 1):
        with tf.GradientTape() as tape:
            loss = model.loss(Y, model(X, training=True))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        for i, (variable, gradient) in enumerate(zip(variables, gradients)):
            if step - 1 < FIRST_EPOCH.get(names[i], 0):
                continue
            first, second = state[i]
            first = beta_1 * first + (1 - beta_1) * gradient.numpy()
            second = beta_2 * second + (1 - beta_2) * gradient.numpy() ** 2
            state[i] = first, second
            length = rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
            variable.assign(variable.numpy() - length * first / (np.sqrt(second) + epsilon))


def test_equals_a_loop_written_by_hand():
    model, reference = make_model(), make_model()
    run(model, epochs=6, batch_size=16)
    adam_by_hand(reference, epochs=6)
    for ours, theirs in zip(model.get_weights(), reference.get_weights()):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_mixed_precision_keeps_scale_and_moments():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), dynamic_growth_steps=3)
        model = make_model(optimizer)
        initial = optimizer.initial_scale
    finally:
        keras.config.set_dtype_policy("float32")
    _, spy, _ = run(model, epochs=5)
    assert np.abs(spy.kernels[4]["low"] - spy.kernels[2]["low"]).max() > 1e-4
    assert float(model.optimizer.dynamic_scale) == 2 * initial
    for path, moment in spy.moments[2].items():
        np.testing.assert_array_equal(spy.before[3][path], moment)


def test_a_second_fit_goes_on_or_starts_again():
    whole, parts = make_model(), make_model()
    run(whole, epochs=5)
    callback = GradualUnfreezing(verbose=0)
    run(parts, epochs=3, callback=callback)
    run(parts, epochs=5, callback=callback, initial_epoch=3)
    for ours, theirs in zip(parts.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    before = parts.get_layer("backbone").get_layer("low").get_weights()[0]
    run(parts, epochs=2, callback=callback)
    np.testing.assert_array_equal(parts.get_layer("backbone").get_layer("low").get_weights()[0], before)


def test_schedule_takes_names_numbers_and_everything(capsys):
    schedule = {1: 1, 3: "mid", 4: True, 5: False}
    callback, spy, _ = run(make_model(), epochs=6, callback=GradualUnfreezing(schedule))
    blocks = [(entry["epoch"], entry["blocks"]) for entry in callback.log]
    assert blocks == [(1, ["high"]), (3, ["mid"]), (4, ["low"]), (5, [])]
    np.testing.assert_array_equal(spy.kernels[5]["high"], spy.kernels[4]["high"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Epoch 2: high trains now")
    assert lines[3].startswith("Epoch 6: blocks were frozen")


def test_several_blocks_at_once_down_to_a_last_one():
    callback = GradualUnfreezing(epochs_per_block=2, num_blocks=2, last_block="mid", verbose=0)
    run(make_model(), epochs=6, callback=callback)
    assert [(entry["epoch"], entry["blocks"]) for entry in callback.log] == [(2, ["high", "mid"])]


def test_a_block_of_nothing_but_batch_norm_counts_only_when_that_may_train():
    callback, _, _ = run(make_model(batch_norm=True))
    assert [entry["blocks"] for entry in callback.log] == [["high"], ["mid"], ["low"]]
    model = make_model(batch_norm=True)
    thawed, _, _ = run(model, callback=GradualUnfreezing(batch_norm="trainable", verbose=0))
    assert [entry["blocks"] for entry in thawed.log] == [["high"], ["mid"], ["low"], ["norm"]]
    # Its moving mean started at zero, which is not the mean of the data.
    assert np.abs(model.get_layer("backbone").get_layer("norm").get_weights()[2]).max() > 0


def test_without_a_nested_backbone_the_top_layer_is_the_head():
    model = keras.Sequential([keras.Input((4,)), dense(3, 1, name="first"), dense(2, 2, name="second")])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = GradualUnfreezing(verbose=0)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    assert [(entry["epoch"], entry["blocks"]) for entry in callback.log] == [(1, ["first"])]


def test_an_already_unfrozen_backbone_is_frozen_first():
    model = make_model()
    set_trainable(model, True, verbose=False)
    model.fit(X, Y, verbose=0)
    before = model.get_layer("backbone").get_layer("high").get_weights()[0]
    run(model, epochs=2, callback=GradualUnfreezing({1: "high"}, verbose=0))
    after = model.get_layer("backbone").get_layer("low").get_weights()[0]
    assert model.get_layer("backbone").get_layer("high").trainable
    assert not model.get_layer("backbone").get_layer("low").trainable
    assert before.shape != after.shape


def test_keras_tuner_can_copy_it_and_a_saved_model_trains_on(tmp_path):
    model = make_model()
    run(model, epochs=3, callback=copy.deepcopy(GradualUnfreezing(verbose=0)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        each.fit(X, Y, shuffle=False, verbose=0)
    for ours, theirs in zip(loaded.get_weights(), model.get_weights()):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs_per_block": 9}, "Nothing would be unfrozen in 3 epochs"),
        ({"schedule": {7: True}}, "Nothing would be unfrozen in 3 epochs"),
        ({"schedule": {0: False}}, "Nothing would be unfrozen"),
        ({"schedule": {1: "hihg"}}, "Did you mean 'high'"),
        ({"schedule": {1: 4}}, "`schedule` must be an integer from 1 to 3"),
        ({"last_block": "lo"}, "Did you mean 'low'"),
    ],
)
def test_plans_that_do_nothing_or_name_nothing_raise_before_training(options, message):
    model = make_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        run(model, epochs=3, callback=GradualUnfreezing(**options))
    np.testing.assert_array_equal(model.get_weights()[-2], before[-2])


def test_nothing_to_unfreeze_raises():
    inputs = keras.Input((4,))
    backbone = keras.Sequential([inputs, keras.layers.BatchNormalization()])
    model = keras.Model(inputs, keras.layers.Dense(2)(backbone(inputs)))
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="nothing to unfreeze"):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[GradualUnfreezing()])


@pytest.mark.parametrize(
    "options",
    [{"schedule": {}}, {"schedule": [1, 2]}, {"schedule": {-1: True}}, {"schedule": {1: 0.5}}, {"num_blocks": 0}],
)
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=r"`(epoch of )?(`?schedule|num_blocks)"):
        GradualUnfreezing(**options)


def test_a_hub_layer_is_one_block():
    from tf_transfer.backbones.reusable import shipped
    from tf_transfer.layers import HubLayer

    layer = HubLayer(shipped("mnist_encoder"), name="encoder")
    model = keras.Sequential([keras.Input((28, 28, 1)), layer, keras.layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).uniform(0, 1, size=(4, 28, 28, 1))
    callback = GradualUnfreezing(verbose=0)
    before = layer.get_weights()
    model.fit(x, np.arange(4), epochs=2, verbose=0, callbacks=[callback])
    assert [(entry["epoch"], entry["blocks"]) for entry in callback.log] == [(1, ["encoder"])]
    assert any(np.abs(old - new).max() > 0 for old, new in zip(before, layer.get_weights()))
