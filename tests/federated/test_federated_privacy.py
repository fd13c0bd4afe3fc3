"""Clipping is exact, noise has its scale and its fixed denominator, epsilon is the accountant's."""

import sys

import numpy as np
import pytest
from federated_toys import clients, data, gradient_step, linear, network

import tf_transfer as tft
from tf_transfer.federated import server_core
from tf_transfer.federated.aggregation import RoundMean, clipped


class NoAccountant:
    """Stands in where dp-accounting is not installed; it counts rounds as the real one does."""

    def __init__(self, noise_multiplier, delta):
        self.rounds = {}

    def add(self, probability):
        self.rounds[probability] = self.rounds.get(probability, 0) + 1

    def epsilon(self):
        return float(sum(self.rounds.values()))


@pytest.fixture
def without_accountant(monkeypatch):
    monkeypatch.setattr(server_core, "PrivacyAccountant", NoAccountant)


def _fit(server, given, **options):
    return server.fit(given, verbose=0, **{"seed": 0, "batch_size": 64, **options})


def test_an_update_is_clipped_to_the_norm_of_all_its_arrays_together():
    arrays = [np.array([3.0, 0.0], "float32"), np.array([[4.0]], "float32")]
    for limit in (1.0, 4.9, 5.0, 7.0):
        found = clipped(arrays, limit)
        norm = np.sqrt(sum(np.square(array).sum() for array in found))
        assert norm == pytest.approx(min(limit, 5.0), rel=1e-12)
        np.testing.assert_allclose(np.concatenate([array.ravel() for array in found]) / norm, [0.6, 0.0, 0.8])
    # Statistics behind the trained weights are in neither the norm nor the scaling.
    first, second = clipped(arrays, 1.0, private=1)
    assert np.linalg.norm(first) == pytest.approx(1.0) and second is arrays[1]


def test_clipped_clients_are_averaged():
    model, given = linear(), clients(4, 12)
    before = model.get_weights()
    _fit(tft.federated.FedAvg(model, clip_norm=0.2), given)
    total = [np.zeros_like(each, "float64") for each in before]
    for client in given:
        change = [new - old for new, old in zip(gradient_step(before, *client), before, strict=True)]
        norm = np.sqrt(sum(np.square(each).sum() for each in change))
        assert norm > 0.2
        total = [each + len(client[0]) * 0.2 / norm * part for each, part in zip(total, change, strict=True)]
    for found, old, each in zip(model.get_weights(), before, total, strict=True):
        np.testing.assert_allclose(found, old + each / 16, rtol=1e-5)


def test_noise_has_its_standard_deviation_and_clients_count_alike_over_a_fixed_number():
    mean = RoundMean(clip_norm=2.0, noise_multiplier=1.5, expected_clients=10.0)
    mean.add([np.full(200_000, 2e-3)], 1)
    mean.add([np.full(200_000, 1e-3)], 1000)
    (found,) = mean.result(np.random.default_rng(0))
    assert found.std() == pytest.approx(1.5 * 2.0 / 10, rel=0.01)
    # 200,000 draws: the mean has a standard deviation of .3 / 447 = .0007. Both are within the norm.
    assert found.mean() == pytest.approx(3e-3 / 10, abs=0.003)
    other = mean.result(np.random.default_rng(1))[0]
    assert abs(np.corrcoef(found, other)[0, 1]) < 0.01


@pytest.mark.parametrize("length", [0.5, 1.0, 30.0])
def test_one_client_more_changes_the_sum_by_at_most_the_norm(length):
    """The sensitivity, by hand: what is added to a sum before noise, whatever the client has and however much."""
    rng = np.random.default_rng(3)
    sums = []
    for with_client in (False, True):
        mean = RoundMean(clip_norm=1.0, noise_multiplier=1e-300, expected_clients=4.0)
        mean.add([np.array([0.3, 0.4])], 5)
        if with_client:
            direction = rng.normal(size=2)
            mean.add([length * direction / np.linalg.norm(direction)], 100_000)
        sums.append(4.0 * mean.result(np.random.default_rng(0))[0])
    assert np.linalg.norm(sums[1] - sums[0]) == pytest.approx(min(length, 1.0), rel=1e-9)


def test_a_round_without_anybody_has_noise_all_the_same():
    mean = RoundMean(clip_norm=1.0, noise_multiplier=2.0, expected_clients=2.0)
    (found,) = mean.result(np.random.default_rng(0), [(50_000,)])
    assert found.std() == pytest.approx(1.0, rel=0.02)
    assert RoundMean().result() is None


def test_with_noise_clients_are_drawn_independently(without_accountant):
    server = tft.federated.FedAvg(linear(), clip_norm=1.0, noise_multiplier=0.1, delta=1e-5)
    history = _fit(server, clients(*[2] * 20), rounds=40, clients_per_round=5).history
    counts = np.array(history["clients"])
    # Binomial(20, 1/4): mean 5, variance 3.75; of a fixed number the variance is 0.
    assert abs(counts.mean() - 5) < 1.1 and 1.5 < counts.var() < 8
    assert history["epsilon"] == [float(number) for number in range(1, 41)]


def test_the_noise_of_a_fit_reaches_the_weights(without_accountant):
    moved = []
    for seed in range(2):
        model = linear(dim=400)
        before = model.get_weights()[0]
        server = tft.federated.FedAvg(model, clip_norm=1e-6, noise_multiplier=1e6, delta=1e-5)
        _fit(server, [data(3, dim=400)] * 4, clients_per_round=2, seed=seed)
        moved.append(model.get_weights()[0] - before)
        assert moved[-1].std() == pytest.approx(0.5, rel=0.15)
    assert not np.allclose(*moved)


def test_what_noise_does_not_cover_is_refused(without_accountant):
    options = {"clip_norm": 1.0, "noise_multiplier": 1.0, "delta": 1e-5}
    with pytest.raises(ValueError, match="batch_norm='local'"):
        tft.federated.FedAvg(network(batch_norm=True), **options)
    server = tft.federated.FedAvg(network(batch_norm=True), batch_norm="local", **options)
    assert not server.weights.statistics and len(server.weights.trained) == 4


def test_without_dp_accounting_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(ImportError, match=r"pip install 'tf-transfer\[privacy\]'"):
        tft.federated.FedAvg(linear(), clip_norm=1.0, noise_multiplier=1.0, delta=1e-5)


def test_epsilon_is_that_of_the_gaussian_mechanism():
    pytest.importorskip("dp_accounting", reason="needs pip install dp-accounting, the extra `privacy`")
    server = tft.federated.FedAvg(linear(), clip_norm=1.0, noise_multiplier=2.0, delta=1e-5)
    history = _fit(server, clients(2, 2), rounds=8).history
    # All take part in each round: no amplification. Renyi divergence of T Gaussians: alpha T / (2 z^2), and
    # epsilon = min over alpha of it + log((alpha - 1) / alpha) - (log delta + log alpha) / (alpha - 1).
    alpha = np.arange(1.01, 200, 0.001)
    for rounds in (1, 8):
        divergence = alpha * rounds / (2 * 2.0**2)
        epsilon = divergence + np.log1p(-1 / alpha) - (np.log(1e-5) + np.log(alpha)) / (alpha - 1)
        assert history["epsilon"][rounds - 1] == pytest.approx(epsilon.min(), rel=0.02)
    sampled = tft.federated.FedAvg(linear(), clip_norm=1.0, noise_multiplier=2.0, delta=1e-5)
    less = _fit(sampled, clients(*[2] * 50), rounds=1, clients_per_round=5).history["epsilon"][0]
    assert less < history["epsilon"][0] / 3
    with pytest.raises(ValueError, match="`delta`"):
        tft.federated.FedAvg(linear(), clip_norm=1.0, noise_multiplier=2.0)
