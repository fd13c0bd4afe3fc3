import json

import hub_modules
import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.layers import HubLayer


def images(count=8, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4, 4, 1)).astype("float32")


def classifier(layer, optimizer="sgd"):
    model = keras.Sequential([keras.Input((4, 4, 1)), layer, keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer, "mse")
    return model


def state(layer):
    return [np.array(variable) for variable in layer.variables]


def moved(before, layer):
    return [bool(np.any(old != np.array(new))) for old, new in zip(before, layer.variables)]


def by_hand(x, kernel, gamma, beta, mean, variance):
    return (x.reshape(len(x), 16) @ kernel - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def test_output_is_the_modules_arithmetic(image_folder):
    layer = HubLayer(image_folder)
    x = images()
    np.testing.assert_allclose(layer(x), by_hand(x, *state(layer)), atol=1e-5)


def test_frozen_nothing_moves_under_fit_not_even_statistics(image_folder):
    layer = HubLayer(image_folder)
    model, before = classifier(layer), state(layer)
    model.fit(images(), np.ones((8, 1)), epochs=2, verbose=0)
    assert moved(before, layer) == [False] * 5
    assert len(model.trainable_variables) == 2


def test_trainable_weights_and_statistics_move(image_folder):
    layer = HubLayer(image_folder, trainable=True)
    model, before = classifier(layer), state(layer)
    x = images()
    model.fit(x, np.ones((8, 1)), batch_size=8, epochs=1, verbose=0)
    assert moved(before, layer) == [True] * 5
    mean = 0.1 * (x.reshape(8, 16) @ before[0]).mean(axis=0)
    np.testing.assert_allclose(layer.variables[3].numpy(), mean, atol=1e-5)


def test_prediction_leaves_statistics_alone_though_trainable(image_folder):
    layer = HubLayer(image_folder, trainable=True)
    model, before = classifier(layer), state(layer)
    model.predict(images(), verbose=0)
    model.evaluate(images(), np.ones((8, 1)), verbose=0)
    assert moved(before, layer) == [False] * 5


def test_toggling_back_and_forth_after_fit(image_folder):
    layer = HubLayer(image_folder)
    model = classifier(layer, "adam")
    x, y = images(), np.ones((8, 1))
    for trainable in (True, False, True):
        layer.trainable = trainable
        model.compile("adam", "mse")
        before = state(layer)
        model.fit(x, y, verbose=0)
        assert moved(before, layer) == [trainable] * 5
        assert [v.name for v in layer.trainable_variables] == ["block_kernel", "norm_gamma", "norm_beta"] * trainable


def test_gradient_reaches_the_modules_own_variables(image_folder):
    layer = HubLayer(image_folder, trainable=True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(images()))
    gradients = tape.gradient(loss, [variable.value for variable in layer.trainable_variables])
    assert all(float(tf.reduce_max(tf.abs(gradient))) > 0 for gradient in gradients)
    assert layer.variables[0].value is layer.module.trainable_variables[0]


def test_regularization_counts_only_when_trainable_and_once(image_folder):
    layer = HubLayer(image_folder, trainable=True)
    kernel, gamma = state(layer)[:2]
    expected = 0.5 * np.sum(kernel**2) + 0.25 * np.sum(gamma**2)
    left, right = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    model = keras.Model([left, right], keras.layers.add([layer(left), layer(right)]))
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-6)
    model([images(), images()])
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-6)
    layer.trainable = False
    assert model.losses == []


def test_regularization_is_part_of_the_reported_loss_and_of_the_step(image_folder):
    layer = HubLayer(image_folder, trainable=True)
    kernel, gamma = state(layer)[:2]
    model = keras.Sequential([keras.Input((4, 4, 1)), layer])
    # A zero loss leaves the penalty alone: its gradient is the kernel itself.
    model.compile(keras.optimizers.SGD(0.5), loss=lambda y, p: 0.0 * keras.ops.sum(p, axis=-1))
    loss = model.fit(images(), np.zeros((8, 2)), batch_size=8, verbose=0).history["loss"][0]
    assert loss == pytest.approx(0.5 * np.sum(kernel**2) + 0.25 * np.sum(gamma**2), rel=1e-5)
    np.testing.assert_allclose(layer.variables[0].numpy(), 0.5 * kernel, rtol=1e-5)


def test_string_inputs_go_through_the_vocabulary(text_folder):
    layer = HubLayer(text_folder, output_key="embedding")
    np.testing.assert_array_equal(layer(tf.constant(["dog", "unicorn"])), [[3, 4, 5], [9, 10, 11]])


def test_functional_model_on_strings_trains(text_folder):
    words = keras.Input((), dtype="string")
    layer = HubLayer(text_folder, trainable=True, output_key="embedding")
    model = keras.Model(words, keras.layers.Dense(1)(layer(words)))
    model.compile("sgd", "mse")
    before = state(layer)[0]
    model.fit(tf.constant(["dog", "dog"]), np.ones((2, 1)), verbose=0)
    changed = np.any(layer.variables[0].numpy() != before, axis=1)
    assert changed.tolist() == [False, True, False, False]


def test_all_outputs_without_output_key(text_folder):
    outputs = HubLayer(text_folder)(keras.Input((), dtype="string"))
    assert {key: (value.shape, value.dtype) for key, value in outputs.items()} == {
        "embedding": ((None, 3), "float32"),
        "index": ((None,), "int64"),
    }


def test_unknown_output_key_lists_the_keys(text_folder, image_folder):
    with pytest.raises(ValueError, match=r"\['embedding', 'index'\].*'embeding'.*Did you mean 'embedding'"):
        HubLayer(text_folder, output_key="embeding")(tf.constant(["dog"]))
    with pytest.raises(ValueError, match="returns one output"):
        HubLayer(image_folder, output_key="embedding")(images())


def test_mixed_precision_computes_and_returns_float32(image_folder):
    x = images()
    expected = HubLayer(image_folder)(x)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((4, 4, 1))
        layer = HubLayer(image_folder, trainable=True)
        features = layer(keras.layers.Rescaling(1.0)(inputs))
        model = keras.Model(inputs, [features, keras.layers.Dense(1)(features)])
    finally:
        keras.config.set_dtype_policy("float32")
    assert (features.dtype, model.outputs[1].dtype) == ("float32", "float16")
    assert {variable.dtype for variable in layer.variables} == {"float32"}
    np.testing.assert_allclose(model.predict(x, verbose=0)[0], expected, atol=0.02)
    with pytest.raises(ValueError, match="dtypes of a SavedModel are fixed"):
        HubLayer(image_folder, dtype="float16")


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float16"])
def test_numbers_are_cast_to_what_the_module_takes(image_folder, dtype):
    x = np.arange(32).reshape(2, 4, 4, 1)
    layer = HubLayer(image_folder)
    np.testing.assert_allclose(layer(x.astype(dtype)), layer(x.astype("float32")))


def test_shapes_without_running(image_folder, text_folder):
    assert HubLayer(image_folder).compute_output_shape((None, 4, 4, 1)) == (None, 2)
    assert HubLayer(text_folder).compute_output_shape((None,)) == {"embedding": (None, 3), "index": (None,)}
    spec = HubLayer(image_folder).compute_output_spec(keras.KerasTensor((None, 4, 4, 1), dtype="uint8"))
    assert (spec.shape, spec.dtype) == ((None, 2), "float32")


def test_expected_input_shape(image_folder, text_folder, tmp_path):
    assert HubLayer(image_folder).expected_input_shape == (4, 4, 1)
    assert HubLayer(text_folder).expected_input_shape == ()
    module = tf.train.Checkpoint()
    specs = {"a": tf.TensorSpec([None, 1]), "b": tf.TensorSpec([None, 1])}
    module.__call__ = tf.function(lambda inputs: inputs["a"] - inputs["b"], input_signature=[specs])
    tf.saved_model.save(module, str(tmp_path / "m"))
    layer = HubLayer(tmp_path / "m")
    assert layer.expected_input_shape is None
    inputs = {"b": keras.Input((1,), dtype="int32", name="b"), "a": keras.Input((1,), name="a")}
    model = keras.Model(inputs, layer(inputs))
    result = model.predict({"a": np.full((2, 1), 5.0), "b": np.full((2, 1), 2)}, verbose=0)
    np.testing.assert_array_equal(result, [[3], [3]])
    assert layer.compute_output_shape({"a": (None, 1), "b": (None, 1)}) == (None, 1)


def test_unknown_rank_asks_for_output_shape(tmp_path):
    module = tf.train.Checkpoint()
    module.__call__ = tf.function(
        lambda x: tf.py_function(lambda y: y * 2.0, [x], tf.float32), input_signature=[tf.TensorSpec([None, 3])]
    )
    tf.saved_model.save(module, str(tmp_path / "m"))
    with pytest.raises(ValueError, match="Pass `output_shape`"):
        HubLayer(tmp_path / "m")(keras.Input((3,)))
    assert HubLayer(tmp_path / "m", output_shape=(3,))(keras.Input((3,))).shape == (None, 3)


def test_names_are_clean_unique_and_below_the_layer(image_folder):
    layer = HubLayer(image_folder, name="hub")
    assert [variable.path for variable in layer.variables][:2] == ["hub/block_kernel", "hub/norm_gamma"]
    from tf_transfer.layers import _hub_module

    names = _hub_module.unique_names(["a/kernel:0", "a_kernel:0", "kernel:0", "kernel", "a/kernel_1:0", ":0"])
    assert names == ["a_kernel", "a_kernel_1", "kernel", "kernel_1", "a_kernel_1_1", "variable"]


def test_config_is_complete(image_folder):
    layer = HubLayer(str(image_folder), trainable=True, arguments={}, output_shape=(2,), name="hub")
    config = json.loads(json.dumps(layer.get_config(), default=list))
    copy = HubLayer.from_config(config)
    assert copy.get_config() == layer.get_config()
    assert (copy.name, copy.trainable, copy.output_shape) == ("hub", True, (2,))


def test_arguments_reach_the_module(tmp_path):
    module = tf.train.Checkpoint()
    module.__call__ = tf.function(lambda x, sign="plus": x if sign == "plus" else -x)
    for sign in ("plus", "minus"):
        module.__call__.get_concrete_function(tf.TensorSpec([None, 1]), sign=sign)
    tf.saved_model.save(module, str(tmp_path / "m"))
    assert float(HubLayer(tmp_path / "m", arguments={"sign": "minus"})(np.ones((1, 1)))[0, 0]) == -1.0


def test_arguments_that_cannot_be_saved_or_clash(image_folder):
    with pytest.raises(ValueError, match="fit for JSON"):
        HubLayer(image_folder, arguments={"x": object()})
    with pytest.raises(ValueError, match="must not hold 'training'"):
        HubLayer(image_folder, arguments={"training": True})


def test_module_outlives_every_other_reference(image_folder):
    import gc

    model = classifier(HubLayer(image_folder))
    gc.collect()
    assert model.predict(images(), verbose=0).shape == (8, 1)


def test_jit_is_not_attempted(text_folder):
    assert HubLayer(text_folder).supports_jit is False


def test_tf1_hub_module_is_named_as_such(image_folder, tmp_path):
    import shutil

    shutil.copytree(image_folder, tmp_path / "m")
    (tmp_path / "m" / "tfhub_module.pb").write_bytes(b"\x08\x03")
    with pytest.raises(ValueError, match=r"is a TF1 Hub module.*TF2 version"):
        HubLayer(tmp_path / "m")


def test_saved_model_for_serving_is_named_as_such(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.export(tmp_path / "served", verbose=False)
    with pytest.raises(ValueError, match=r"signatures \['serve', 'serving_default'\].*export_reusable"):
        HubLayer(tmp_path / "served")


def test_module_that_was_never_traced(tmp_path):
    module = tf.train.Checkpoint()
    module.__call__ = tf.function(lambda x: x)
    tf.saved_model.save(module, str(tmp_path / "m"))
    with pytest.raises(ValueError, match="never traced"):
        HubLayer(tmp_path / "m")


def test_trainable_without_anything_to_train_raises(tmp_path):
    hub_modules.save_image_module(tmp_path / "m", lists_variables=False)
    with pytest.raises(ValueError, match="lists no `trainable_variables`"):
        HubLayer(tmp_path / "m", trainable=True)
    layer = HubLayer(tmp_path / "m")
    layer.trainable = True
    assert HubLayer.from_config(layer.get_config()).trainable


def test_other_files_than_the_fingerprint_says(image_folder, tmp_path):
    hub_modules.save_image_module(tmp_path / "m", seed=3)
    fingerprint = HubLayer(image_folder).fingerprint
    assert HubLayer(image_folder, fingerprint=fingerprint).fingerprint == fingerprint
    with pytest.raises(ValueError, match=f"expected was {fingerprint}"):
        HubLayer(tmp_path / "m", fingerprint=fingerprint)


def test_reinitialize_draws_kernels_and_resets_statistics(image_folder):
    layer = HubLayer(image_folder, trainable=True)
    pretrained = layer.variables[0].numpy()
    classifier(layer).fit(images(), np.ones((8, 1)), verbose=0)
    first = state(layer.reinitialize(seed=1))
    assert np.abs(first[0]).max() <= np.sqrt(6 / 18)
    assert not np.any(first[0] == pretrained)
    for value, expected in zip(first[1:], [1, 0, 0, 1]):
        np.testing.assert_array_equal(value, expected)
    again, other = (state(HubLayer(image_folder).reinitialize(seed=seed))[0] for seed in (1, 2))
    np.testing.assert_array_equal(first[0], again)
    assert np.any(first[0] != other)


def test_reinitialize_refuses_to_guess(tmp_path):
    module = tf.train.Checkpoint(temperature=tf.Variable(2.0, name="temperature"), kernel=tf.Variable([[3.0]]))
    module.__call__ = tf.function(
        lambda x: x * module.temperature @ module.kernel, input_signature=[tf.TensorSpec([None, 1])]
    )
    module.variables = module.trainable_variables = [module.temperature, module.kernel]
    tf.saved_model.save(module, str(tmp_path / "m"))
    layer = HubLayer(tmp_path / "m")
    with pytest.raises(ValueError, match=r"How to initialize \['temperature'\]"):
        layer.reinitialize()
    assert [float(np.squeeze(value)) for value in state(layer)] == [2.0, 3.0]


def test_two_replicas_equal_one(image_folder):
    # Statistics are averaged over replicas, so that each half has the same mean: rows are repeated.
    printed = hub_modules.run_fresh(
        """
        import sys, json, numpy as np, tensorflow as tf, keras
        from tf_transfer.layers import HubLayer
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        half = np.random.default_rng(0).normal(size=(4, 4, 4, 1)).astype("float32")
        x, y = np.concatenate([half, half]), np.ones((8, 1), "float32")
        def run(strategy):
            with strategy.scope():
                layer = HubLayer(sys.argv[1], trainable=True)
                head = keras.layers.Dense(1, kernel_initializer="ones")
                model = keras.Sequential([keras.Input((4, 4, 1)), layer, head])
                model.compile(keras.optimizers.SGD(0.01), "mse")
            loss = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"]
            return loss, [np.array(v).tolist() for v in model.variables]
        one = run(tf.distribute.OneDeviceStrategy("CPU:0"))
        two = run(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
        assert tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).num_replicas_in_sync == 2
        print("RESULT", json.dumps([one, two]))
        """,
        image_folder,
    )
    (loss_one, weights_one), (loss_two, weights_two) = json.loads(printed.split("RESULT")[1])
    np.testing.assert_allclose(loss_two, loss_one, rtol=1e-5)
    assert loss_one[-1] < loss_one[0]
    for one, two in zip(weights_one, weights_two):
        np.testing.assert_allclose(two, one, atol=1e-5)


def test_export_carries_vocabulary_and_serves_without_keras(text_folder, tmp_path):
    words = keras.Input((), dtype="string", name="words")
    model = keras.Model(words, keras.layers.Dense(1)(HubLayer(text_folder, output_key="embedding")(words)))
    expected = model.predict(tf.constant(["cat", "fish", "?"]), verbose=0)
    model.export(tmp_path / "served", verbose=False)
    assert (tmp_path / "served" / "assets" / "vocabulary.txt").read_text() == "cat\ndog\nfish\n"
    moved_folder = (tmp_path / "served").rename(tmp_path / "elsewhere")
    printed = hub_modules.run_fresh(
        """
        import sys, tensorflow as tf
        served = tf.saved_model.load(sys.argv[1])
        print("RESULT", served.serve(tf.constant(["cat", "fish", "?"])).numpy().ravel().tolist())
        """,
        moved_folder,
    )
    np.testing.assert_allclose(json.loads(printed.split("RESULT")[1]), expected.ravel(), rtol=1e-5)
