"""What all methods share: batch normalization's views, weights, labels of any kind, precision, files, toys."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from semi_supervised_toys import X_LABELLED, X_UNLABELLED, Y, batch, cross_entropy, network, once, softmax

import tf_transfer as tft

METHODS = {
    "PseudoLabel": lambda model, **options: tft.semi_supervised.PseudoLabel(model, 1.0, **options),
    "FixMatch": lambda model, **options: tft.semi_supervised.FixMatch(model, threshold=0.5, **options),
    "FlexMatch": lambda model, **options: tft.semi_supervised.FlexMatch(model, 8, threshold=0.5, **options),
    "MeanTeacher": lambda model, **options: tft.semi_supervised.MeanTeacher(model, 1.0, momentum=0.5, **options),
}


def full():
    return batch(strong=lambda x: 0.5 * x + 0.3, index=np.arange(8))


def moved(old, values, momentum=0.8):
    return momentum * old + (1 - momentum) * values.mean(0)


@pytest.mark.parametrize("policy", ["joint", "interleaved", "separate", "labelled"])
def test_moving_statistics_are_those_of_the_policy(policy):
    plain = network(batch_norm=True)
    kernel, bias = plain.get_weights()[:2]
    strong = 0.5 * X_UNLABELLED + 0.3
    views = [np.tanh(x @ kernel + bias) for x in (X_LABELLED, X_UNLABELLED, strong)]
    together = np.concatenate(views)
    zero = np.zeros(6)
    expected = {
        "joint": moved(zero, together),
        # Of 4 + 8 + 8 examples, five groups of four: the first has every fifth one.
        "interleaved": moved(zero, together[::5]),
        "separate": moved(moved(moved(zero, views[0]), views[1]), views[2]),
        "labelled": moved(zero, views[0]),
    }
    once(tft.semi_supervised.FixMatch(plain, batch_statistics=policy), full())
    np.testing.assert_allclose(plain.get_layer("norm").moving_mean, expected[policy], atol=1e-6)


@pytest.mark.parametrize("policy", ["joint", "interleaved", "labelled"])
def test_each_view_is_normalized_by_what_the_policy_says(policy):
    plain = network(batch_norm=True)
    kernel, bias, *_ = plain.get_weights()
    last = plain.layers[-1].get_weights()
    views = [np.tanh(x @ kernel + bias) for x in (X_LABELLED, X_UNLABELLED)]

    def scores(hidden, statistics):
        normal = (hidden - statistics.mean(0)) / np.sqrt(statistics.var(0) + 1e-3)
        return normal @ last[0] + last[1]

    together = np.concatenate(views)
    if policy == "joint":
        logits = scores(together, together)
    elif policy == "interleaved":
        logits = np.empty((12, 3))
        for start in range(3):
            logits[start::3] = scores(together[start::3], together[start::3])
    else:
        logits = np.concatenate([scores(view, view) for view in views])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    history = once(tft.semi_supervised.PseudoLabel(plain, 1.0, batch_statistics=policy), batch())
    np.testing.assert_allclose(history["classification_loss"], np.mean(-np.log(p[np.arange(4), Y])), rtol=1e-5)
    np.testing.assert_allclose(history["unlabelled_loss"], np.mean(-np.log(p[4:].max(1))), rtol=1e-5)


@pytest.mark.parametrize("method", ["FixMatch", "MeanTeacher"])
def test_with_weight_zero_a_step_is_that_of_plain_training(method):
    plain, other = (network(batch_norm=True, regularizer="l2") for _ in range(2))
    other.compile(keras.optimizers.SGD(0.2), "sparse_categorical_crossentropy")
    options = {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}, "verbose": 0}
    expected = other.fit(X_LABELLED, Y, batch_size=4, **options).history["loss"]
    model = METHODS[method](plain, batch_statistics="labelled")
    model.compile(keras.optimizers.SGD(0.2), "sparse_categorical_crossentropy")
    getattr(model, model.weight_name).assign(0.0)
    history = model.fit(full(), **options).history
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    for one, another in zip(plain.weights, other.weights, strict=True):
        np.testing.assert_allclose(one, another, atol=1e-6, err_msg=one.path)


def test_sample_weights_regularizers_and_smoothed_labels_count_once():
    plain = network(regularizer=keras.regularizers.L2(0.1))
    penalty = 0.1 * np.sum(plain.get_weights()[0] ** 2)
    weights = np.array([1.0, 0.5, 2.0, 0.0], "float32")
    history = once(tft.semi_supervised.PseudoLabel(plain, 0.5), batch(sample_weight=weights))
    supervised = cross_entropy(plain, weights)
    np.testing.assert_allclose(history["classification_loss"], supervised, rtol=1e-5)
    np.testing.assert_allclose(history["loss"], supervised + 0.5 * history["unlabelled_loss"] + penalty, rtol=1e-5)

    one_hot = batch().map(lambda x, y: (x, tf.one_hot(y, 3)))
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.3)
    history = once(tft.semi_supervised.PseudoLabel(plain, 0.5), one_hot, loss=smooth)
    expected = -np.sum((0.7 * np.eye(3)[Y] + 0.1) * np.log(softmax(plain, X_LABELLED)), 1).mean()
    np.testing.assert_allclose(history["classification_loss"], expected, rtol=1e-5)


def test_logits_and_softmax_learn_alike():
    found = []
    for activation, from_logits in (("softmax", False), (None, True)):
        plain = network(activation=activation)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        history = once(METHODS["FixMatch"](plain), full(), rate=0.1, loss=loss)
        found.append([history["loss"], *(w.ravel() for w in plain.get_weights())])
    np.testing.assert_allclose(np.hstack(found[0]), np.hstack(found[1]), atol=1e-5)


def test_one_sigmoid_is_two_classes():
    plain = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, activation="sigmoid")])
    yes = plain(X_UNLABELLED).numpy().ravel()
    data = batch().map(lambda x, y: (x, tf.cast(y > 0, tf.float32)[:, None]))
    history = once(tft.semi_supervised.PseudoLabel(plain, 1.0, threshold=0.6), data, loss="binary_crossentropy")
    confidence = np.maximum(yes, 1 - yes)
    np.testing.assert_allclose(history["mask_share"], np.mean(confidence >= 0.6))
    np.testing.assert_allclose(
        history["unlabelled_loss"], np.mean((confidence >= 0.6) * -np.log(confidence)), rtol=1e-4
    )


def test_several_sigmoids_and_values_are_refused():
    several = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="sigmoid")])
    with pytest.raises(ValueError, match="logits"):
        tft.semi_supervised.PseudoLabel(several)
    values = tft.semi_supervised.PseudoLabel(network(activation=None))
    with pytest.raises(ValueError, match="works on class probabilities"):
        once(values, batch(), loss="mse")


@pytest.mark.parametrize("method", ["FlexMatch", "MeanTeacher"])
def test_mixed_precision_keeps_losses_in_float32(method):
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(6, activation="relu", dtype="mixed_float16")(inputs)
    plain = keras.Model(inputs, keras.layers.Dense(3, dtype="mixed_float16")(hidden))
    model = METHODS[method](plain, dtype="mixed_float16")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    history = model.fit(full().repeat(3), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert {variable.dtype for variable in plain.variables} == {"float32"}


def test_a_batch_of_another_form_is_refused():
    flat = batch().map(lambda x, y: ({**x, "unlabelled": tf.reshape(x["unlabelled"], (8, 5))}, y))
    with pytest.raises(ValueError, match=r"shape \(batch, ratio, ...\)"):
        once(METHODS["PseudoLabel"](network()), flat)


def two_clusters():
    """Returns six labelled examples that mislead, and unlabelled ones whose gap shows where the boundary is."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    x = rng.normal(scale=0.35, size=(400, 2)).astype("float32")
    x[:, 0] += 2.0 * y - 1.0
    # The labelled ones lie on a line, to which that gap is no more likely than any other boundary.
    few = np.array([[-0.9, -1.0], [-0.3, -1.0], [-0.6, -1.0], [1.5, 1.0], [0.3, 1.0], [0.9, 1.0]], "float32")
    return few, np.array([0, 0, 0, 1, 1, 1]), x, y


@pytest.mark.slow
@pytest.mark.parametrize("method", ["PseudoLabel", "FixMatch", "FlexMatch"])
def test_unlabelled_examples_move_the_boundary_into_their_gap(method):
    few, labels, x, y = two_clusters()

    def trained(make):
        keras_network = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros")]
        )
        model = make(keras_network)
        model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
        noisy = lambda x: x + tf.random.normal(tf.shape(x), stddev=0.25, seed=1)  # noqa: E731
        stream = tft.data.pair_labelled((few, labels), x, 6, ratio=8, weak=noisy, strong=noisy, index=True, seed=0)
        model.fit(stream.repeat(), steps_per_epoch=60, epochs=2, verbose=0)
        return np.mean(model.predict(x, verbose=0).argmax(1) == y), np.abs(keras_network.get_weights()[0][:, 0])

    ways = {
        "PseudoLabel": lambda model: tft.semi_supervised.PseudoLabel(model, tft.schedules.linear(0.0, 3.0)),
        "FixMatch": lambda model: tft.semi_supervised.FixMatch(model, threshold=0.7, unlabelled_weight=3.0),
        "FlexMatch": lambda model: tft.semi_supervised.FlexMatch(model, 400, 3.0, threshold=0.7),
    }
    without, kernel = trained(lambda model: tft.semi_supervised.PseudoLabel(model, 0.0))
    found, own = trained(ways[method])
    assert own[0] / own[1] > 1.3 * kernel[0] / kernel[1]
    assert found >= without


SCRIPT = """
    import sys
    import keras, numpy as np
    import tf_transfer
    sys.path[:0] = [sys.argv[3]]
    from test_semi_supervised_model import full, X_LABELLED
    for name in sys.argv[2].split(","):
        model = keras.models.load_model(f"{sys.argv[1]}/{name}.keras", safe_mode=True)
        history = model.fit(full().repeat(2), verbose=0).history
        np.savez(f"{sys.argv[1]}/{name}.npz", loss=history["loss"], predictions=model.predict(X_LABELLED, verbose=0),
                 iterations=int(model.optimizer.iterations))
"""


@pytest.mark.slow
def test_a_file_trains_on_in_a_fresh_process(tmp_path):
    models = {}
    for name, make in METHODS.items():
        model = models[name] = make(network(batch_norm=True))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(full().repeat(2), verbose=0)
        model.save(tmp_path / f"{name}.keras")
    here = __file__.rsplit("/", 1)[0]
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path), ",".join(METHODS), here]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, model in models.items():
        expected = model.fit(full().repeat(2), verbose=0).history["loss"]
        found = np.load(tmp_path / f"{name}.npz")
        np.testing.assert_allclose(found["loss"], expected, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(found["predictions"], model.predict(X_LABELLED, verbose=0), atol=1e-6)
        assert found["iterations"] == 4


@pytest.mark.parametrize("method", ["MeanTeacher"])
def test_inputs_of_several_parts(method):
    inputs = {"number": keras.Input((1,), name="number"), "word": keras.Input((1,), dtype="string", name="word")}
    words = keras.layers.StringLookup(vocabulary=["u", "v"], output_mode="one_hot")(inputs["word"])
    both = keras.layers.Concatenate()([inputs["number"], words])
    model = METHODS[method](keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(both)))
    table = {"number": np.arange(12.0) / 12, "word": np.array(["u", "v", "w"] * 4, dtype=object)}
    few = {name: column[:6] for name, column in table.items()}
    stream = tft.data.pair_labelled(
        (few, np.arange(6) % 3), table, 6, ratio=2, strong=lambda x: {**x, "number": x["number"] + 0.1}
    )
    history = once(model, stream, rate=0.1)
    assert np.isfinite(history["loss"]) and model.predict(table, verbose=0).shape == (12, 3)


def test_keras_own_average_of_the_weights_is_what_is_deployed():
    stepped, averaged = network(), network()
    path = []
    for _ in range(2):
        once(METHODS["FixMatch"](stepped), full(), rate=0.1)
        path.append(stepped.get_weights())
    model = METHODS["FixMatch"](averaged)
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.75), "sparse_categorical_crossentropy")
    model.fit(full().repeat(2), verbose=0)
    for found, first, second in zip(model.deployable().get_weights(), *path, strict=True):
        np.testing.assert_allclose(found, 0.75 * first + 0.25 * second, atol=1e-6)
