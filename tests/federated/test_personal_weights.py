"""What stays at a client: heads that differ on a backbone that is one, and batch normalization, shared or not."""

import numpy as np
import pytest
from federated_toys import network, opposed

import tf_transfer as tft
from tf_transfer.federated.personal_states import PersonalStates


def _fit(server, given, **options):
    return server.fit(given, verbose=0, **{"seed": 0, "batch_size": 8, "rounds": 2, **options})


def _named(model, *names):
    return {weight.path: weight.numpy() for weight in model.weights if any(name in weight.path for name in names)}


def _accuracy(model, x, y):
    return np.mean(np.argmax(model(x), axis=1) == y)


@pytest.mark.parametrize("folder", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_personal_heads_differ_and_the_backbone_is_one(folder, tmp_path):
    given, model = opposed(), network()
    initial = _named(model, "head")
    server = tft.federated.FedAvg(model, personal="head", personal_folder=tmp_path if folder else None)
    history = _fit(server, given, rounds=12, local_epochs=4, validation_data=given)
    own = [server.client_model(client) for client in range(4)]
    for weight, first in _named(model, "head").items():
        np.testing.assert_array_equal(first, initial[weight], err_msg="the server trains nobody's head")
    backbones = [each.get_layer("backbone").get_weights() for each in (model, *own)]
    for arrays in zip(*backbones, strict=True):
        assert all(np.array_equal(arrays[0], array) for array in arrays)
    heads = [each.get_layer("head").get_weights()[0] for each in own]
    assert all(np.abs(heads[even] - heads[odd]).max() > 0.5 for even in (0, 2) for odd in (1, 3))
    # Half of the clients call the classes the other way round: one head for all can only guess.
    assert history.history["val_accuracy"][-1] > 0.8
    together = tft.federated.FedAvg(network())
    _fit(together, given, rounds=12, local_epochs=4)
    assert np.mean([_accuracy(together.model, *each) for each in given]) < 0.65
    scores = [_accuracy(each, *examples) for each, examples in zip(own, given, strict=True)]
    assert np.mean(scores) == pytest.approx(history.history["val_accuracy"][-1])
    assert len(list(tmp_path.iterdir())) == (4 if folder else 0)


def test_a_folder_of_personal_weights_serves_the_next_server_too(tmp_path):
    given = opposed(2)
    first = tft.federated.FedAvg(network(), personal=["head"], personal_folder=tmp_path)
    _fit(first, given)
    second = tft.federated.FedAvg(network(), personal=["head"], personal_folder=tmp_path)
    for one, other in zip(first.personal_states.get(1), second.personal_states.get(1), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_version_that_counts_is_not_written_over(tmp_path):
    states = PersonalStates([np.zeros(1)], tmp_path, in_memory=False)
    for value in (1.0, 2.0):
        states.stage(7, [np.full(1, value)])
        states.commit()
        states.remove_outdated()
    kept = states.versions
    states.stage(7, [np.full(1, 3.0)])
    again = PersonalStates([np.zeros(1)], tmp_path)
    again.restore(kept)
    assert [states.get(7)[0].item(), again.get(7)[0].item(), again.get(8)[0].item()] == [2.0, 2.0, 0.0]


def test_data_to_validate_on_are_one_entry_a_client_where_they_have_weights_of_their_own():
    given = opposed(3)
    with pytest.raises(ValueError, match="one entry for each of the 3"):
        _fit(tft.federated.FedAvg(network(), personal="head"), given, validation_data=given[:2])
    with pytest.raises(TypeError, match="`validation_data` must be arrays"):
        _fit(tft.federated.FedAvg(network()), given, validation_data=given)
    with pytest.raises(ValueError, match="Nothing stays at a client"):
        tft.federated.FedAvg(network(), personal_folder="never made")


def test_layers_are_named_by_path_or_expression():
    every = {name: tft.federated.FedAvg(network(), personal=name).weights for name in ("head", "re:^head$", "backbone")}
    paths = {name: [weight.path for weight in found.personal] for name, found in every.items()}
    assert paths["head"] == paths["re:^head$"] == ["head/kernel", "head/bias"]
    assert all("head" not in path for path in paths["backbone"]) and len(paths["backbone"]) == 2
    for wrong in ("heads", "re:nothing"):
        with pytest.raises(ValueError, match=wrong):
            tft.federated.FedAvg(network(), personal=wrong)
    with pytest.raises(ValueError, match="no weights left"):
        tft.federated.FedAvg(network(), personal=["head", "backbone"])


@pytest.mark.parametrize("kept", [pytest.param("shared", marks=pytest.mark.slow), "local", "local_statistics"])
def test_batch_normalization_is_shared_or_stays(kept):
    given, model = opposed(), network(batch_norm=True)
    before = _named(model, "batch_norm")
    server = tft.federated.FedAvg(model, batch_norm=kept)
    _fit(server, given, validation_data=given[0] if kept == "shared" else given)
    own = [_named(server.client_model(client), "moving_mean", "gamma") for client in range(4)]
    means, gammas = ([array for each in own for path, array in each.items() if kind in path] for kind in
                     ("moving_mean", "gamma"))  # fmt: skip
    differ = {name: not np.allclose(found[0], found[1]) for name, found in (("means", means), ("gammas", gammas))}
    assert differ == {"means": kept != "shared", "gammas": kept == "local"}
    moved = {path.split("/")[-1] for path, array in _named(model, "batch_norm").items()
             if not np.allclose(array, before[path])}  # fmt: skip
    wanted = {"shared": {"gamma", "beta", "moving_mean", "moving_variance"}, "local_statistics": {"gamma", "beta"}}
    assert moved == wanted.get(kept, set())


def test_shared_statistics_are_the_weighted_mean_also_where_the_server_makes_steps_of_adam():
    given, means = opposed(2), []
    for each in given:
        model = network(batch_norm=True)
        _fit(tft.federated.FedAvg(model), [each], rounds=1, batch_size=64)
        means.append(_named(model, "moving"))
    model = network(batch_norm=True)
    _fit(tft.federated.FedAdam(model, server_learning_rate=0.1), given, rounds=1, batch_size=64)
    for path, array in _named(model, "moving").items():
        np.testing.assert_allclose(array, (means[0][path] + means[1][path]) / 2, rtol=1e-5)


def test_batch_normalization_that_is_not_there_can_not_stay():
    with pytest.raises(ValueError, match="no batch normalization"):
        tft.federated.FedAvg(network(), batch_norm="local")


def test_frozen_weights_are_not_sent():
    model = network(batch_norm=True)
    model.get_layer("backbone").trainable = False
    server = tft.federated.FedAvg(model)
    assert [weight.path for weight in server.weights.shared] == ["head/kernel", "head/bias"]
    before = _named(model, "backbone", "dense", "batch_norm")
    _fit(server, opposed())
    for path, array in _named(model, "backbone", "dense", "batch_norm").items():
        np.testing.assert_array_equal(array, before[path])
