"""Clients of federated learning: each example once, parts alike or with few classes, the seed says which."""

import numpy as np
import pytest

import tf_transfer as tft

Y = np.random.default_rng(0).permutation(np.arange(10).repeat(60))


def _classes(parts):
    return [len(np.unique(Y[part])) for part in parts]


@pytest.mark.parametrize("skew", [None, "shards", "dirichlet"])
def test_every_example_goes_to_one_client_and_the_seed_says_which(skew):
    parts = tft.data.partition_clients(Y, 20, skew, seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(600))
    again, other = (tft.data.partition_clients(Y, 20, skew, seed=seed) for seed in (3, 4))
    assert all(np.array_equal(*pair) for pair in zip(parts, again, strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(parts, other, strict=True))


def test_parts_that_are_alike_have_all_classes_and_the_same_size():
    parts = tft.data.partition_clients(Y, 7)
    assert {len(part) for part in parts} == {85, 86}
    assert _classes(parts) == [10] * 7


def test_shards_of_one_class_make_clients_of_at_most_two():
    # 40 shards of 15: each class has four, so that no shard has two classes.
    parts = tft.data.partition_clients(Y, 20, "shards")
    assert {len(part) for part in parts} == {30}
    assert max(_classes(parts)) == 2
    assert max(_classes(tft.data.partition_clients(Y, 40, "shards", shards_per_client=1))) == 1
    # A class is not cut in the order of its examples in the file.
    first = np.sort(Y)
    assert any(np.diff(part).max() > 1 for part in tft.data.partition_clients(first, 40, "shards", shards_per_client=1))


def test_a_small_alpha_skews_and_a_large_one_does_not():
    def skew(alpha):
        parts = tft.data.partition_clients(Y, 10, "dirichlet", alpha=alpha, seed=1)
        shares = np.array([np.bincount(Y[part], minlength=10) for part in parts]) / 60
        return shares.std()

    # Of a Dirichlet's share the variance is (1/k)(1 - 1/k) / (k alpha + 1): .028 for alpha=10.
    assert skew(0.1) > 0.15 and abs(skew(10.0) - np.sqrt(0.09 / 101)) < 0.012
    sizes = [len(part) for part in tft.data.partition_clients(Y, 10, "dirichlet", alpha=0.3, min_examples=20, seed=0)]
    assert min(sizes) >= 20


def test_what_can_not_be_dealt_out_is_refused():
    for skew in (None, "shards", "dirichlet"):
        with pytest.raises(ValueError, match="600 examples are too few for num_clients=601"):
            tft.data.partition_clients(Y, 601, skew)
    with pytest.raises(ValueError, match="larger `alpha`"):
        tft.data.partition_clients(Y, 50, "dirichlet", alpha=1e-3)
    with pytest.raises(ValueError, match="integers for skew='dirichlet'"):
        tft.data.partition_clients(np.linspace(0, 1, 9), 3, "dirichlet")
    assert len(tft.data.partition_clients(np.linspace(0, 1, 9), 3, "shards")) == 3
