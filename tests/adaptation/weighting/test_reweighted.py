"""A network under weights of its own features: the objective, when weights are found, and what it is for."""

import keras
import numpy as np
import pytest

import tf_transfer as tft

import domain_toys

REWEIGHTED = tft.adaptation.Reweighted


class Counts(tft.adaptation.ImportanceWeights):
    """Weighs by the size of the first feature, and counts its fits."""

    def __init__(self, fits=0):
        self.fits = fits

    def _estimate(self, x_source, x_target):
        self.fits += 1
        self.sizes_ = len(x_source), len(x_target)
        return self._ratio(x_source)

    def _ratio(self, x):
        return np.abs(x[:, 0]).astype("float64")


def made(estimator, rate=0.0, **options):
    model = REWEIGHTED(*domain_toys.networks(), estimator, **options)
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_the_loss_is_the_weighted_one_with_weights_of_the_features():
    x_source, y, x_target = domain_toys.arrays(24)
    given = np.linspace(0.5, 1.5, 24).astype("float32")
    model = made(Counts())
    history = model.fit(domain_toys.pairs(x_source, y, x_target, 24, given), verbose=0).history
    features = model.encoder.predict(x_source, verbose=0)
    weights = np.abs(features[:, 0]) / np.abs(features[:, 0]).mean()
    scores = model.classifier.predict(features, verbose=0)
    losses = -np.log(scores[np.arange(24), y])
    np.testing.assert_allclose(history["loss"], [np.mean(weights * given * losses)], rtol=1e-5)
    np.testing.assert_allclose(history["mean_weight"], [1.0], rtol=1e-5)
    np.testing.assert_allclose(history["effective_share"], [1.0 / np.mean(weights**2)], rtol=1e-5)


def test_weights_are_found_anew_every_so_many_epochs_from_so_many_examples():
    pairs = domain_toys.pairs(*domain_toys.arrays(24))
    model = made(Counts(), rate=0.1, every=2, max_examples=10)
    model.fit(pairs, epochs=5, verbose=0)
    assert model.estimator.fits == 3 and model.estimator.sizes_ == (16, 16)
    assert made(Counts()).estimator.fits == 0


def test_no_gradient_flows_through_the_weights_and_the_step_is_the_weighted_one():
    x_source, y, x_target = domain_toys.arrays(24)
    model, plain = made(Counts(), rate=0.5), keras.Sequential(domain_toys.networks())
    weights = np.abs(model.encoder.predict(x_source, verbose=0)[:, 0])
    plain.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    model.fit(domain_toys.pairs(x_source, y, x_target, 24), verbose=0)
    plain.fit(x_source, y, sample_weight=weights / weights.mean(), batch_size=24, verbose=0)
    for one, other in zip(model.trainable_variables, plain.trainable_variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_line_fits_the_curve_where_the_target_is():
    rng = np.random.default_rng(0)
    x_source, x_target = rng.normal(0, 1, (512, 1)), rng.normal(1, 0.3, (512, 1))
    errors = []
    for weighted in (False, True):
        encoder = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        head = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        encoder.trainable = False
        model = REWEIGHTED(encoder, head) if weighted else keras.Sequential([encoder, head])
        model.compile(keras.optimizers.Adam(0.05), "mse")
        pairs = tft.data.pair_domains((x_source, x_source**2), x_target, batch_size=128, seed=0)
        model.fit(pairs if weighted else pairs.map(lambda x, y: (x["source"], y)), epochs=30, verbose=0)
        errors.append(model.evaluate(x_target, x_target**2, verbose=0))
    assert errors[1] < 0.3 * errors[0]


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="must be an estimator of importance weights"):
        REWEIGHTED(*domain_toys.networks(), "KLIEP")
    with pytest.raises(ValueError, match="pair_domains"):
        made(Counts()).fit(np.ones((8, 4)), np.zeros(8))
