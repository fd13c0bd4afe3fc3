"""A `fit` with regularizers: its history, what it leaves behind, what it refuses, copies, precisions."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf
from regularizer_toys import X, Y, arrays, backbone, classifier, moved, source_classifier

import tf_transfer as tft

ALL = {
    "L2SP": lambda: tft.L2SP(),
    "DELTA": lambda: tft.DELTA(layers=["low", "high"]),
    "BSS": lambda: tft.BSS(0.1),
    "LearningWithoutForgetting": lambda: tft.LearningWithoutForgetting(),
    "CoTuning": lambda: tft.CoTuning(source=source_classifier()),
}
FITTING = {"batch_size": 3, "epochs": 2, "shuffle": False, "verbose": 0}


def together(model=None):
    made = [make() for make in ALL.values()]
    return tft.regularizers.RegularizationCallback(made, model, (X, Y), verbose=0)


def test_the_parts_in_the_history_sum_to_the_loss_over_uneven_batches():
    model = classifier()
    history = model.fit(X, Y, callbacks=[together(model)], validation_data=(X, Y), **FITTING).history
    parts = [values for name, values in history.items() if name not in ("loss", "val_loss")]
    assert len(parts) == 1 + 2 + 2 + 1 + 1 + 1
    np.testing.assert_allclose(np.sum(parts, axis=0), history["loss"], rtol=1e-5)
    # Evaluation is that of the compiled loss.
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)


def test_afterwards_the_model_is_plain_again(tmp_path):
    model, twin = classifier(), classifier()
    model.fit(X, Y, callbacks=[together(model)], **FITTING)
    twin.fit(X, Y, **FITTING)
    for layer, plain in zip(model._flatten_layers(), twin._flatten_layers(), strict=True):
        assert set(vars(layer)) == set(vars(plain))
    assert len(model.weights) == 6
    model.save(tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(opened.predict(X, verbose=0), model.predict(X, verbose=0))
    twin.set_weights(model.get_weights())
    histories = [each.fit(X, Y, **FITTING).history for each in (model, opened, twin)]
    assert [set(history) for history in histories] == [{"loss"}] * 3
    for history in histories[1:]:
        np.testing.assert_allclose(history["loss"], histories[0]["loss"], rtol=1e-5)


def test_an_interrupted_fit_leaves_nothing_for_the_next():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = classifier()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, callbacks=[together(model), Stop()], **FITTING)
    assert set(model.fit(X, Y, **FITTING).history) == {"loss"}
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


def test_without_a_model_the_source_is_what_the_first_fit_begins_with_and_it_stays():
    model = classifier()
    callback = tft.L2SP(2.0, beta=0.0).callback()
    model.set_weights(moved(arrays(model)))
    source = arrays(model)[:4]
    assert model.fit(X, Y, 8, verbose=0, callbacks=[callback]).history["l2_sp_loss"] == [0.0]
    expected = sum(np.sum((a - b) ** 2) for a, b in zip(arrays(model)[:4], source, strict=True))
    history = model.fit(X, Y, 8, verbose=0, callbacks=[callback]).history
    assert history["l2_sp_loss"] == [pytest.approx(expected, rel=1e-4)]


@pytest.mark.parametrize("method", ALL)
def test_a_copy_as_tuners_make_it_starts_with_the_model_of_its_own_fit(method):
    first, second = classifier(), classifier(pretrained=backbone(seed=5))
    callback = ALL[method]().callback(first, (X, Y), verbose=0)
    first.fit(X, Y, callbacks=[callback], **FITTING)
    copied = copy.deepcopy(callback)
    histories = []
    for each in (copied, ALL[method]().callback(second, (X, Y), verbose=0)):
        second = classifier(pretrained=backbone(seed=5))
        histories.append(second.fit(X, Y, callbacks=[each], **FITTING).history)
    assert set(histories[0]) == set(histories[1])
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-5, err_msg=name)


def test_a_copy_leaves_the_source_of_the_original_alone():
    first = classifier()
    callback = tft.L2SP(2.0, beta=0.0).callback(first)
    classifier().fit(X, Y, callbacks=[copy.deepcopy(callback)], **FITTING)
    first.set_weights(moved(arrays(first)))
    assert first.fit(X, Y, 8, verbose=0, callbacks=[callback]).history["l2_sp_loss"][0] > 0.1


@pytest.mark.parametrize("method", ALL)
def test_a_frozen_backbone_warns(method):
    model = classifier()
    tft.set_trainable(model, False, verbose=False)
    with pytest.warns(UserWarning, match="Nothing in the backbone of 'classifier' trains"):
        model.fit(X, Y, callbacks=[ALL[method]().callback(model, (X, Y), verbose=0)], **FITTING)


def test_a_frozen_part_is_not_held_and_a_part_that_is_unfrozen_later_is():
    model = classifier()
    callback = tft.L2SP(2.0, beta=0.0).callback(model)
    source = arrays(model)
    model.set_weights(moved(source))
    now = arrays(model)
    distances = [np.sum((a - b) ** 2) for a, b in zip(now, source, strict=True)]
    for frozen, parts in ((True, distances[2:4]), (False, distances[:4])):
        model.get_layer("pretrained").get_layer("low").trainable = not frozen
        model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
        history = model.fit(X, Y, 8, verbose=0, callbacks=[callback]).history
        assert history["l2_sp_loss"] == [pytest.approx(sum(parts), rel=1e-4)]


@pytest.mark.slow
def test_class_weights_and_streams_and_dict_inputs_and_steps_per_execution():
    histories = []
    stream = tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).batch(4)
    for data, options in (((X, Y), {"batch_size": 4, "shuffle": False}), ((stream,), {})):
        for steps in (1, 2):
            model = classifier()
            model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", steps_per_execution=steps)
            fitting = {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}, "verbose": 0, "epochs": 2, **options}
            histories.append(model.fit(*data, callbacks=[together(model)], **fitting).history)
    for history in histories[1:]:
        for name, values in histories[0].items():
            np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("method", ALL)
def test_half_precision_stays_finite_and_trains(method):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = classifier(keras.optimizers.SGD(0.05))
        source = source_classifier()
    finally:
        keras.config.set_dtype_policy("float32")
    made = tft.CoTuning(source=source) if method == "CoTuning" else ALL[method]()
    callback = made.callback(model, (X, Y), verbose=0)
    before = model.get_weights()
    history = model.fit(X, Y, 8, epochs=12, verbose=0, callbacks=[callback]).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert not np.array_equal(model.get_weights()[0], before[0])
    assert history["compiled_loss"][-1] < history["compiled_loss"][0]


def test_the_head_of_the_source_keeps_its_rate_when_the_loss_scale_has_fallen():
    steps = []
    for scale in (2.0**30, 1.0):
        keras.config.set_dtype_policy("mixed_float16")
        try:
            model = classifier(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0), initial_scale=scale))
        finally:
            keras.config.set_dtype_policy("float32")
        callback = tft.CoTuning(source=source_classifier()).callback(model, (X, Y), verbose=0)
        # Overflows halve the scale until the gradients are finite; at a rate of 0 nothing moves by then.
        stream = tf.data.Dataset.from_tensors((X, Y)).repeat(25)
        model.fit(stream, verbose=0, shuffle=False, callbacks=[callback])
        assert scale == 1.0 or float(model.optimizer.dynamic_scale) < scale / 4
        model.optimizer.inner_optimizer.learning_rate = 0.1
        before = [variable.numpy() for variable in callback.trainable_variables()]
        model.fit(X, Y, 8, verbose=0, callbacks=[callback])
        pairs = zip(before, callback.trainable_variables(), strict=True)
        steps.append([variable.numpy() - old for old, variable in pairs])
    for one, other in zip(*steps, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.02, atol=1e-4)


def flat():
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    made.compile("sgd", "sparse_categorical_crossentropy")
    return made


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: tft.L2SP().callback(flat()), "no backbone nested"),
        (lambda: tft.L2SP(source=flat()).callback(classifier()), "must have the backbone that is trained"),
        (lambda: tft.L2SP(source=keras.Sequential([keras.layers.Dense(2)])), "must be a built keras.Model"),
        (lambda: tft.DELTA(layers=["lo"]).callback(classifier()), "Did you mean 'low'"),
        (lambda: tft.DELTA(layers="low"), "sequence of layer names"),
        (lambda: tft.DELTA(attention="supervised").callback(classifier()), r"data=\(x, y\)"),
        (lambda: tft.BSS(layer="hgih").callback(classifier()), "Did you mean 'high'"),
        (lambda: tft.CoTuning(source=source_classifier()).callback(classifier()), r"data=\(x, y\)"),
        (lambda: tft.CoTuning(source=flat()).callback(classifier(), (X, Y)), "takes the 3 features"),
        (lambda: tft.CoTuning(source=source_classifier()).callback(classifier(units=1), (X, Y)), "one output a class"),
        (lambda: tft.LearningWithoutForgetting(source=backbone()).callback(classifier()), "takes the 3 features"),
        (lambda: tft.regularizers.RegularizationCallback([tft.BSS(), "BSS"]), "twice"),
    ],
)
def test_what_can_not_be_is_said_before_training(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_labels_are_asked_for():
    model = classifier()
    with pytest.raises(ValueError, match="Give `fit` labels"):
        model.fit(X, verbose=0, callbacks=[tft.L2SP().callback(model)])
