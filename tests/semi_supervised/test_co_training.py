"""Co-training: who labels what for whom, and what comes out of two views that each tell the class."""

import keras
import numpy as np
import pytest

import tf_transfer as tft


def classifier(seed=0, num_classes=2, dim=1):
    layer = keras.layers.Dense(num_classes, activation="softmax", kernel_initializer=keras.initializers.Zeros())
    model = keras.Sequential([keras.Input((dim,)), layer])
    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    return model


def fixed(slope):
    """Returns a model that does not learn; p(1) rises with slope * x."""
    model = classifier()
    model.set_weights([np.array([[0.0, slope]]), np.zeros(2)])
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    return model


def test_each_model_labels_what_it_is_surest_of_and_disputed_examples_stay():
    first, second = fixed(1.0), fixed(1.0)
    # Both are sure of example 0 alike, of 1 differently; 2 is the second one's choice alone, 3 the first one's.
    views = [np.array([[3.0], [4.0], [0.1], [-5.0]]), np.array([[4.0], [-6.0], [5.0], [0.1]])]
    training = tft.semi_supervised.CoTraining(first, second, num_rounds=1, num_added=2, pool_size=None)
    few = [np.zeros((2, 1))] * 2
    counts = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: None)
    original = first.fit

    def fit(x, y, **options):
        counts.append(sorted(zip(x.ravel().tolist(), y.tolist(), strict=True)))
        return original(x, y, callbacks=[watch], **options)

    first.fit = fit
    training.fit(few, np.array([0, 1]), views, verbose=0)
    # The first: {0, 1} as 1, {3} as 0. The second: {0, 2} as 1, {1} as 0. Of 1 they are sure of different labels.
    assert training.history_ == {"num_labelled": [2], "num_added": [3], "agreement": [0.5]}
    assert counts == [[(0.0, 0), (0.0, 1)], [(-5.0, 0), (0.0, 0), (0.0, 1), (0.1, 1), (3.0, 1)]]


def two_views(num, seed):
    """Two views with one informative column each, independent given the class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, num)
    return [(rng.normal(size=(num, 6)) + 1.6 * np.outer(2 * y - 1, np.eye(6)[0])).astype("float32") for _ in "ab"], y


@pytest.mark.slow
def test_unlabelled_examples_help_and_the_product_of_both_is_best():
    views, y = two_views(1000, 0)
    few = np.concatenate([np.flatnonzero(y == label)[:3] for label in (0, 1)])
    tests, truth = two_views(2000, 1)
    scores = {}
    for rounds in (1, 6):
        models = classifier(dim=6), classifier(dim=6)
        training = tft.semi_supervised.CoTraining(
            *models, num_rounds=rounds, num_added=15 if rounds > 1 else 1, pool_size=300, seed=0
        )
        training.fit([view[few] for view in views], y[few], views, epochs=4, batch_size=16, verbose=0)
        both = training.deployable()
        each = [np.mean(m.predict(x, verbose=0).argmax(1) == truth) for m, x in zip(models, tests, strict=True)]
        scored = [np.maximum(m.predict(x, verbose=0), 1e-7) for m, x in zip(models, tests, strict=True)]
        product = np.prod(scored, axis=0)
        answer = both.predict({"first": tests[0], "second": tests[1]}, verbose=0)
        np.testing.assert_allclose(answer, product / product.sum(1, keepdims=True), atol=1e-5)
        scores[rounds] = [*each, np.mean(answer.argmax(1) == truth)]
    assert np.all(np.array(scores[6]) > np.array(scores[1]) + 0.02)
    assert scores[6][2] > max(scores[6][:2]) + 0.02


def test_the_seed_repeats_it_and_one_hot_labels_stay_one_hot(tmp_path):
    views, y = two_views(60, 0)

    def run():
        models = classifier(dim=6), classifier(dim=6)
        for model in models:
            model.compile(keras.optimizers.Adam(0.1), "categorical_crossentropy")
        training = tft.semi_supervised.CoTraining(*models, num_rounds=1, seed=4)
        return training.fit([view[:6] for view in views], np.eye(2)[y[:6]], views, verbose=0)

    first, again = run(), run()
    assert first.history_ == again.history_ and first.history_["num_labelled"][0] == 6
    for one, other in zip(first.models[0].get_weights(), again.models[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    first.deployable().save(tmp_path / "both.keras")
    inputs = {"first": views[0], "second": views[1]}
    loaded = keras.models.load_model(tmp_path / "both.keras")
    np.testing.assert_allclose(loaded.predict(inputs, verbose=0), first.deployable().predict(inputs, verbose=0))


@pytest.mark.slow
def test_it_ends_when_nothing_is_left():
    views, y = two_views(20, 0)
    training = tft.semi_supervised.CoTraining(classifier(dim=6), classifier(dim=6), num_added=20, seed=0)
    training.fit([view[:4] for view in views], y[:4], views, verbose=0)
    assert len(training.history_["num_labelled"]) < 30


@pytest.mark.slow
def test_a_restart_trains_as_if_all_labels_had_been_there_from_the_start():
    views, y = two_views(40, 0)
    few = [view[:6] for view in views]
    models = classifier(dim=6), classifier(dim=6)
    for model in models:
        model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    training = tft.semi_supervised.CoTraining(*models, num_rounds=1, restart=True, seed=0)
    seen = []
    own = models[0].fit
    models[0].fit = lambda x, y, **options: (seen.append((x, y)), own(x, y, **options))
    training.fit(few, y[:6], views, epochs=3, verbose=0)
    anew = classifier(dim=6)
    x, labels = seen[-1]
    assert len(x) > 6
    anew.fit(x, labels, epochs=3, shuffle=False, verbose=0)
    for one, other in zip(anew.get_weights(), models[0].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
