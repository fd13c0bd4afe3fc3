"""The server of a federation on real machines, by Flower."""

import numpy as np

from tf_transfer import _checks
from tf_transfer.federated.clients import drawn
from tf_transfer.federated.flower_client import flower
from tf_transfer.federated.local_training import ClientUpdate
from tf_transfer.federated.round_logs import RoundLogs
from tf_transfer.federated.round_seeds import round_rng
from tf_transfer.federated.shared_weights import values


def flower_strategy(
    server,
    rounds,
    num_clients,
    *,
    clients_per_round=None,
    local_epochs=1,
    batch_size=32,
    validation_data=None,
    validation_batch_size=256,
    seed=0,
):
    """Makes the strategy of a Flower server, which does with updates from real machines what `FedAvg.fit` does.

    Clients that fail, do not answer in time (`round_timeout` of `flwr.server.ServerConfig`), or send NaN or infinite
    numbers are left out of a round. With the same seed, numbers of clients and data, and all clients in each round, the
    weights are those of `fit`. It needs `pip install tf-transfer[federated]`.

    Args:
        server: `FedAvg`, `FedProx` or `FedAdam`. Its model has the server's weights after each round.
        rounds: Integer of at least 1, those that `flwr.server.ServerConfig(num_rounds=...)` says, for schedules.
        num_clients: Integer of at least 1. The first round begins when so many are there.
        clients_per_round: Integer of at most `num_clients`, or None for all. Defaults to None.
        local_epochs: Integer of at least 1, a client's passes over its data in a round. Defaults to 1.
        batch_size: Integer of at least 1, of the clients. Defaults to 32.
        validation_data: Data that the server's model is evaluated on after each round, of the kinds that a client may
            have. When clients have weights of their own they are asked to score them instead. Defaults to None.
        validation_batch_size: Integer of at least 1. Defaults to 256.
        seed: Integer; who is drawn, the order of examples, dropout and noise are functions of it. Defaults to 0.

    Returns:
        A `flwr.server.strategy.Strategy`, for `flwr.server.ServerAppComponents` or `flwr.server.start_server`. Its
        `history` is a dict with a list for each entry of the history of `fit`, a value a round.

    Raises:
        ImportError: When flwr is not installed.

    Example:

    >>> import importlib.util
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> if importlib.util.find_spec("flwr"):
    ...     strategy = tft.federated.flower_strategy(tft.federated.FedAvg(model), rounds=10, num_clients=2)
    """
    strategy = flower("server").strategy.Strategy
    num_clients = _checks.integer(num_clients, "num_clients", 1)
    per_round = num_clients if clients_per_round is None else clients_per_round
    local = {"local_epochs": _checks.integer(local_epochs, "local_epochs", 1)}
    local["batch_size"] = _checks.integer(batch_size, "batch_size", 1)
    made = type("FlowerStrategy", (_Rounds, strategy), {})()
    made.server, made.history, made._local = server, {}, local
    # For all rounds one, so that its step is traced once.
    made._evaluating = server.local_training()
    made._rounds, made._seed = _checks.integer(rounds, "rounds", 1), _checks.integer(seed, "seed", 0)
    made._num_clients, made._num_a_round = num_clients, _checks.integer(per_round, "clients_per_round", 1, num_clients)
    made._validation = (validation_data, _checks.integer(validation_batch_size, "validation_batch_size", 1))
    return made


class _Rounds:
    """What Flower calls, on a `Strategy`; it counts rounds from 1."""

    def initialize_parameters(self, client_manager):
        # Flower has a timeout of its own, of a day.
        client_manager.wait_for(self._num_clients)
        return self._parameters()

    def configure_fit(self, server_round, parameters, client_manager):
        number = server_round - 1
        there = sorted(client_manager.all().items())
        rng, size = round_rng(self._seed, number, "draw"), self._num_a_round
        chosen = drawn(len(there), size, rng, size / self._num_clients if self.server.has_noise else None)
        # As text: a seed may have more bits than an integer of the protocol.
        config = {**self._local, "round": number, "seed": str(self._seed)}
        rate = self.server.learning_rate_at(number / self._rounds)
        config |= {} if rate is None else {"learning_rate": rate}
        instructions = flower("common").FitIns(parameters, config)
        return [(there[place][1], instructions) for place in chosen]

    def aggregate_fit(self, server_round, results, failures):
        number, logs = server_round - 1, RoundLogs()
        mean = self.server.new_mean(self._num_a_round)
        for proxy, answer in results:
            update = self._update(answer)
            if logs.accepts(number, proxy.cid, update):
                mean.add(update.change, update.num_examples, self.server.num_clipped)
                logs.took_part(proxy.cid, update)
        for failure in failures:
            logs.dropped(failure[0].cid if isinstance(failure, tuple) else f"unknown ({failure})")
        found = self.server.end_round(number, mean, logs, self._seed, self._num_a_round / self._num_clients)
        if self._validation[0] is not None and not self.server.weights.personal:
            scores = self.server.evaluate_with(self._evaluating, *self._validation)
            found |= {f"val_{name}": value for name, value in scores.items()}
        self._note(found)
        return self._parameters(), {name: float(value) for name, value in found.items()}

    def configure_evaluate(self, server_round, parameters, client_manager):
        if not self.server.weights.personal:
            return []
        instructions = flower("common").EvaluateIns(parameters, {})
        return [(proxy, instructions) for _, proxy in sorted(client_manager.all().items())]

    def aggregate_evaluate(self, server_round, results, failures):
        answers = [answer for _, answer in results if answer.num_examples]
        total = sum(answer.num_examples for answer in answers)
        if not total:
            return None, {}
        names = answers[0].metrics
        means = {name: sum(each.num_examples * each.metrics[name] for each in answers) / total for name in names}
        self._note({f"val_{name}": value for name, value in means.items()})
        return means["loss"], means

    def evaluate(self, server_round, parameters):
        return None

    def _update(self, answer):
        """Returns a `ClientUpdate`; what has other shapes than the weights counts as not finite."""
        change = flower("common").parameters_to_ndarrays(answer.parameters)
        shapes = [tuple(each.shape) for each in self.server.weights.shared]
        if [array.shape for array in change] != shapes or answer.num_examples < 1:
            change = [np.array(np.nan)]
        return ClientUpdate(change, answer.num_examples, dict(answer.metrics), [])

    def _parameters(self):
        return flower("common").ndarrays_to_parameters(values(self.server.weights.shared))

    def _note(self, found):
        for name, value in found.items():
            self.history.setdefault(name, []).append(value)
