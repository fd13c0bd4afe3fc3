"""What each public object of `tft.federated` holds beyond its docstring."""

import importlib.util

import keras
import numpy as np

import tf_transfer as tft

from contract_parts import check_refuses
from contract_registry import row

CLIENTS = [(np.eye(2), np.array([[1.0], [number]])) for number in range(2)]


def model():
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    made.compile(keras.optimizers.SGD(0.5), "mse")
    return made


def goes_on(kind, **options):
    """Two rounds in one call and in two end alike, so that a server is what lasts from one to the next."""
    one, two = (kind(model(), **options) for _ in range(2))
    one.fit(CLIENTS, 2, batch_size=2, seed=0, verbose=0)
    for _ in range(2):
        two.fit(CLIENTS, 1, batch_size=2, seed=0, verbose=0)
    np.testing.assert_allclose(*(each.model.get_weights()[0] for each in (one, two)), rtol=1e-6)


@row("federated.FedAvg")
def _(fed_avg):
    goes_on(fed_avg)
    check_refuses(lambda: fed_avg(model(), batch_norm="locale"), "`batch_norm`", "Did you mean 'local'?")
    check_refuses(lambda: fed_avg(model(), personal="hed"), "'hed'")
    check_refuses(lambda: fed_avg(model(), clip_norm=0), "`clip_norm`")
    check_refuses(lambda: fed_avg(model(), noise_multiplier=1.0), "Give `clip_norm`")
    check_refuses(lambda: fed_avg(model(), delta=1e-5), "Give `noise_multiplier`")
    check_refuses(lambda: fed_avg(model(), server_learning_rate=0), "`server_learning_rate`")
    check_refuses(lambda: fed_avg(model()).fit(CLIENTS, 0), "`rounds`", "at least 1")
    check_refuses(lambda: fed_avg(model()).fit(CLIENTS, resume="run"), "`resume` needs a `seed`")
    check_refuses(lambda: fed_avg("model"), "must be a built keras.Model")


@row("federated.flower_client")
def _(flower_client):
    if importlib.util.find_spec("flwr"):
        check_refuses(lambda: flower_client(tft.federated.FedAvg(model()), CLIENTS[0], -1), "`number`")
        check_refuses(lambda: flower_client(tft.federated.FedAvg(model()), np.eye(2)), "must be arrays (x, y)")


@row("federated.flower_strategy")
def _(flower_strategy):
    if importlib.util.find_spec("flwr"):
        check_refuses(lambda: flower_strategy(tft.federated.FedAvg(model()), 1, 2, clients_per_round=3), "from 1 to 2")


@row("federated.FedProx")
def _(fed_prox):
    goes_on(fed_prox, mu=0.1)
    check_refuses(lambda: fed_prox(model(), mu=-1.0), "`mu`")


@row("federated.FedAdam")
def _(fed_adam):
    goes_on(fed_adam)
    check_refuses(lambda: fed_adam(model(), beta_1=1.0), "`beta_1` must be below 1")
    check_refuses(lambda: fed_adam(model(), tau=0.0), "`tau`")
