import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.fine_tuning import LearningRateSearch, find_learning_rate


def quadratic(curvature, optimizer="sgd"):
    """A model whose loss is curvature / 2 * weight ** 2: plain gradient descent is stable below 2 / curvature."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.ones((1, 1))])
    model.compile(optimizer, "mse")
    x = np.full((8, 1), np.sqrt(curvature / 2), "float32")
    return model, (x, np.zeros((8, 1), "float32"))


@pytest.mark.parametrize("curvature", [0.5, 20.0, 4000.0])
def test_stays_below_the_stability_limit_of_a_quadratic_and_near_it(curvature):
    model, data = quadratic(curvature)
    search = find_learning_rate(model, data, max_rate=100.0, verbose=0)
    limit = 2 / curvature
    assert limit / 100 < float(search) < limit / 3
    assert search.diverged
    assert search.rates[-1] > limit
    np.testing.assert_allclose(search.losses[0], curvature / 2, rtol=1e-5)
    # Step by step as by hand: w <- w - rate * curvature * w.
    weights = np.cumprod(np.concatenate([[1.0], 1 - search.rates[:-1] * curvature]))
    np.testing.assert_allclose(search.losses[:60], (curvature / 2 * weights**2)[:60], rtol=1e-3)


def test_several_curvatures_and_a_wider_range_do_not_fool_it():
    kernel = np.array([[1.0], [1.0]])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([kernel])
    model.compile("sgd", "mse")
    x = np.diag([np.sqrt(50.0), 1.0]).astype("float32")
    data = (np.tile(x, (4, 1)), np.zeros((8, 1), "float32"))
    narrow = find_learning_rate(model, data, min_rate=1e-6, max_rate=1.0, num_steps=100, verbose=0)
    wide = find_learning_rate(model, data, min_rate=1e-10, max_rate=1.0, num_steps=167, verbose=0)
    # Mean of 50 w0² and w1²: the larger second derivative is 50.
    assert 2 / 50 / 100 < float(narrow) < 2 / 50
    assert float(wide) == pytest.approx(float(narrow), rel=0.3)


def blobs(num=512):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(4, 8))
    labels = rng.integers(0, 4, num)
    return (centers[labels] + 0.5 * rng.normal(size=(num, 8))).astype("float32"), labels


def network(optimizer, **compiled):
    layers = [
        keras.Input((8,)),
        keras.layers.Dense(16, activation="relu", kernel_initializer=keras.initializers.HeNormal(seed=1)),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.1, seed=3),
        keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=2), dtype="float32"),
    ]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **compiled)
    return model


@pytest.mark.parametrize("kind", [keras.optimizers.SGD, keras.optimizers.Adam])
def test_training_at_the_suggested_rate_beats_a_hundredth_and_a_hundredfold(kind):
    x, y = blobs()
    model = network(kind(1e-3))
    rate = float(find_learning_rate(model, (x, y), seed=0, verbose=0))
    model.optimizer.build(model.trainable_variables)
    start = [(variable, variable.numpy()) for variable in [*model.variables, *model.optimizer.variables]]

    def final_loss(rate):
        for variable, value in start:
            variable.assign(value)
        model.optimizer.learning_rate = rate
        model.fit(x, y, epochs=3, shuffle=False, verbose=0)
        loss = model.evaluate(x, y, verbose=0)[0]
        return loss if np.isfinite(loss) else np.inf

    suggested = final_loss(rate)
    assert suggested < 0.8 * final_loss(rate / 100)
    assert suggested < 0.8 * final_loss(rate * 100)


def state(model):
    optimizer = [variable.numpy() for variable in model.optimizer.variables]
    return [*(v.numpy() for v in model.variables), *(v.numpy() for v in model.metrics_variables), *optimizer]


def assert_untouched(before, model, optimizer, function):
    for old, new in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(new, old)
    assert model.optimizer is optimizer
    assert model.train_function is function


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_model_is_as_it_was_also_after_an_interruption(interrupted, monkeypatch):
    x, y = blobs(64)
    model, twin = network(keras.optimizers.Adam(0.01)), network(keras.optimizers.Adam(0.01))
    for each in (model, twin):
        each.fit(x, y, epochs=2, shuffle=False, verbose=0)
    before, optimizer, function = state(model), model.optimizer, model.train_function
    if interrupted:
        original, calls = model.train_on_batch, []

        def failing(*args, **kwargs):
            calls.append(1)
            if len(calls) == 5:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        monkeypatch.setattr(model, "train_on_batch", failing)
        with pytest.raises(KeyboardInterrupt):
            find_learning_rate(model, (x, y), num_steps=20, verbose=0)
    else:
        find_learning_rate(model, (x, y), num_steps=20, verbose=0)
    assert_untouched(before, model, optimizer, function)
    for each in (model, twin):
        each.fit(x, y, shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), twin.get_weights()):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_model_that_never_trained_has_an_optimizer_that_never_did():
    model = network(keras.optimizers.Adam(0.01))
    find_learning_rate(model, blobs(64), num_steps=10, verbose=0)
    assert not model.optimizer.built
    assert all(not np.any(variable.numpy()) for variable in model.metrics_variables)


def test_schedules_steps_per_execution_and_mixed_precision():
    x, y = blobs(64)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    plain = find_learning_rate(network(keras.optimizers.SGD(0.5)), (x, y), num_steps=30, seed=1, verbose=0)
    model = network(keras.optimizers.SGD(schedule), steps_per_execution=4)
    other = find_learning_rate(model, (x, y), num_steps=30, seed=1, verbose=0)
    np.testing.assert_allclose(other.losses[:5], plain.losses[:5], rtol=1e-5)
    assert len(other.losses) == len(plain.losses)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = network(keras.optimizers.SGD(schedule))
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer = half.optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert 1e-3 < float(find_learning_rate(half, (x, y), seed=1, verbose=0)) < 1.0
    assert half.optimizer is optimizer


def test_weights_of_classes_and_examples_count():
    model, (x, _) = quadratic(2.0)
    y = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    # The model says 1: examples of class 0 have loss 1, those of class 1 none.
    plain = find_learning_rate(model, (x, y), num_steps=10, batch_size=8, verbose=0)
    by_class = find_learning_rate(model, (x, y), num_steps=10, batch_size=8, class_weight={0: 3.0, 1: 1.0}, verbose=0)
    by_example = find_learning_rate(model, (x, y, np.where(y == 0, 3.0, 1.0)), num_steps=10, batch_size=8, verbose=0)
    np.testing.assert_allclose(plain.losses[0], 0.5, rtol=1e-5)
    np.testing.assert_allclose([by_class.losses[0], by_example.losses[0]], 1.5, rtol=1e-5)


def test_streams_are_repeated_as_needed_and_nan_ends_the_test():
    model, (x, y) = quadratic(2.0)
    stream = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    assert len(find_learning_rate(model, stream, num_steps=12, max_rate=1e-3, verbose=0).losses) == 12
    endless = find_learning_rate(model, stream.repeat(), num_steps=12, max_rate=1e-3, verbose=0)
    assert not endless.diverged

    @tf.function
    def fragile(y_true, y_pred):
        return tf.where(tf.abs(y_pred) < 0.5, np.nan, 1.0) * y_pred**2

    model.compile("sgd", fragile)
    search = find_learning_rate(model, stream, max_rate=1.0, verbose=0)
    assert search.diverged
    assert np.isfinite(search.losses).all()


def test_what_cannot_be_searched_is_said():
    model, data = quadratic(2.0)
    with pytest.raises(ValueError, match="`max_rate` must be above"):
        find_learning_rate(model, data, min_rate=1.0, max_rate=0.1)
    with pytest.raises(ValueError, match="`num_steps` must be an integer of at least 10"):
        find_learning_rate(model, data, num_steps=3)
    with pytest.raises(ValueError, match="must be a compiled"):
        find_learning_rate(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), data)
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must be built"):
        find_learning_rate(unbuilt, data)
    model.trainable = False
    with pytest.raises(ValueError, match="no trainable weights"):
        find_learning_rate(model, data)
    model.trainable = True
    model.compile("sgd", lambda y, p: p * np.nan)
    with pytest.raises(ValueError, match="before any training"):
        find_learning_rate(model, data, verbose=0)
    model.compile(keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(keras.optimizers.SGD())), "mse")
    with pytest.raises(ValueError, match="several learning rates"):
        find_learning_rate(model, data)


def test_a_loss_that_never_falls_suggests_nothing_but_can_be_looked_at():
    noise = np.random.default_rng(0).normal(1.0, 0.05, size=60)
    search = LearningRateSearch(np.geomspace(1e-5, 1, 60), np.concatenate([noise[:50], np.linspace(1, 3, 10)]), True)
    with pytest.raises(ValueError, match="fell at no rate"):
        float(search)
    assert len(search.plot().axes[0].lines) == 2


def test_smoothing_neither_lags_nor_ends_low():
    search = LearningRateSearch(np.geomspace(1e-5, 1, 100), np.linspace(3.0, 2.0, 100), False)
    np.testing.assert_allclose(search.smoothed[15:85], search.losses[15:85], atol=1e-9)
    np.testing.assert_allclose(LearningRateSearch(search.rates, np.full(100, -2.0), False).smoothed, -2.0)


def test_plot_marks_the_suggestion(tmp_path):
    model, data = quadratic(20.0)
    search = find_learning_rate(model, data, verbose=0)
    figure = search.plot()
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[0].lines[2].get_xdata()[0] == pytest.approx(float(search))
    figure.savefig(tmp_path / "search.png")
