"""What a federated server is besides its rounds: shared weights, the step that it makes, privacy, and its state."""

import keras

from tf_transfer import _checks, schedules
from tf_transfer.federated.aggregation import RoundMean
from tf_transfer.federated.clients import Clients
from tf_transfer.federated.local_training import LocalTraining
from tf_transfer.federated.personal_states import PersonalStates
from tf_transfer.federated.privacy import PrivacyAccountant
from tf_transfer.federated.round_seeds import round_rng
from tf_transfer.federated.shared_weights import SharedWeights, assign, values
from tf_transfer.training import batch_norm_layers


class ServerCore:
    """The weights of a server and what it does with those of clients, in a simulation or on real machines.

    Its arguments are described in `FedAvg`. A subclass defines `step`, and may define `objective`, `slots` and
    `settings`.
    """

    def __init__(
        self, model, *, personal, batch_norm, personal_folder, client_optimizer, learning_rate, clip_norm,
        noise_multiplier, delta,
    ):  # fmt: skip
        _check_model(model)
        self.model, self.weights = model, SharedWeights(model, personal, batch_norm)
        self._settings = {"personal": personal, "batch_norm": batch_norm, "delta": delta}
        self._optimizer = keras.optimizers.get(client_optimizer) if client_optimizer else model.optimizer
        self._learning_rate = learning_rate
        _check_rate(learning_rate, self._optimizer)
        self.clip_norm = None if clip_norm is None else _checks.positive(clip_norm, "clip_norm")
        self.noise_multiplier = _checks.number(noise_multiplier, "noise_multiplier", 0.0)
        if delta is not None and not self.has_noise:
            raise ValueError(
                "`delta` says for which noise epsilon is reported. Give `noise_multiplier`, or leave it out."
            )
        self.accountant = self._make_accountant(delta) if self.has_noise else None
        self._initial, self._names = values(self.weights.personal), []
        if personal_folder is not None and not self._initial:
            raise ValueError(
                "Nothing stays at a client that `personal_folder` could hold. Say what does by `personal` or "
                "`batch_norm`, or leave it out."
            )
        self.personal_states = PersonalStates(self._initial, personal_folder, personal_folder is None)
        self.participation, self._last_error = [], None

    def step(self, change):
        """Returns what a round adds to the weights that train.

        Args:
            change: List of arrays, the mean of what the clients changed.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `step`.")

    def objective(self):
        """Returns what the clients' objective has besides the compiled loss, or None."""
        return None

    @property
    def slots(self):
        """List of arrays, what `step` remembers."""
        return []

    @slots.setter
    def slots(self, arrays):
        if arrays:
            raise ValueError(f"{type(self).__name__} remembers nothing. Received: {len(arrays)} arrays.")

    def settings(self):
        """Returns a dict of plain data, on which a run depends besides its data."""
        optimizer = {name: value for name, value in self._optimizer.get_config().items() if name != "name"}
        return {
            **self._settings,
            "server": type(self).__name__,
            "client_optimizer": f"{type(self._optimizer).__name__} {optimizer}",
            "learning_rate": repr(self._learning_rate),
            "clip_norm": self.clip_norm,
            "noise_multiplier": self.noise_multiplier,
        }

    @property
    def has_noise(self):
        return self.noise_multiplier > 0

    @property
    def num_clipped(self):
        """Integer, how many of the shared weights count in the norm of an update: moving statistics do not."""
        return len(self.weights.trained)

    def local_training(self):
        return LocalTraining(self.model, self.weights, self._optimizer, self.objective())

    def learning_rate_at(self, progress):
        rate = self._learning_rate
        return rate if rate is None else float(schedules.get(rate, "learning_rate", 0.0)(progress))

    def new_mean(self, expected_clients):
        return RoundMean(self.clip_norm, self.noise_multiplier, expected_clients)

    def put_back(self, shared):
        """Gives the model the weights of the server."""
        assign(self.weights.shared, shared)
        assign(self.weights.personal, self._initial)

    def update(self, change):
        """Changes the weights of the server by the mean of what the clients changed."""
        num = self.num_clipped
        # The mean of statistics is taken as it is: a step of Adam could make a variance negative.
        steps = [*self.step(change[:num]), *change[num:]]
        for variable, old, step in zip(self.weights.shared, values(self.weights.shared), steps, strict=True):
            variable.assign((old + step).astype(old.dtype))

    def end_round(self, number, mean, logs, seed, probability):
        """Makes the server's step, counts the round, and returns its logs.

        Args:
            number: Integer, the round, counted from 0.
            mean: `RoundMean` of what the clients sent.
            logs: `RoundLogs` of the clients.
            seed: Integer, of the run.
            probability: Float, with which each client took part.
        """
        change = mean.result(round_rng(seed, number, "noise"), [each.shape for each in self.weights.shared])
        if not mean.num_clients:
            logs.warn_of_nobody(number)
        if change is not None:
            self.update(change)
        self.personal_states.commit()
        self.participation.append(logs.names)
        self._last_error = logs.last_error or self._last_error
        found = {**logs.means(), **logs.counts()}
        if self.accountant is not None:
            self.accountant.add(probability)
            found["epsilon"] = self.accountant.epsilon()
        return found

    def evaluate_with(self, training, data, batch_size):
        if not self.weights.personal:
            return training.evaluate(data, batch_size)[1]
        clients, sums, total = Clients(data, "validation_data"), {}, 0
        for number in range(len(clients)):
            assign(self.weights.personal, self.personal_states.get(number))
            num_examples, logs = training.evaluate(clients.read(number), batch_size)
            total += num_examples
            sums = {name: sums.get(name, 0.0) + num_examples * value for name, value in logs.items()}
        assign(self.weights.personal, self._initial)
        return {name: value / total for name, value in sums.items()}

    def state(self):
        """Returns plain data and a list of arrays, from which `set_state` makes the server that it is now."""
        rounds = [] if self.accountant is None else list(self.accountant.rounds.items())
        plain = {"personal": self.personal_states.versions, "participation": self.participation, "privacy": rounds}
        return plain, [*values(self.weights.shared), *self.slots]

    def set_state(self, plain, arrays):
        num = len(self.weights.shared)
        assign(self.weights.shared, arrays[:num])
        self.slots = arrays[num:]
        self.personal_states.restore(plain["personal"])
        self.participation = plain["participation"]
        if self.accountant is not None:
            self.accountant.rounds = dict(map(tuple, plain["privacy"]))

    def _make_accountant(self, delta):
        if self.clip_norm is None:
            raise ValueError(
                "`noise_multiplier` is in units of `clip_norm`, the most that one client can change. Give `clip_norm`."
            )
        if any(layer.trainable for layer in batch_norm_layers(self.model)) and self._settings["batch_norm"] == "shared":
            raise ValueError(
                "Moving statistics of batch normalization leave the clients without noise. Take batch_norm='local', or "
                "freeze them."
            )
        # Without noise nothing may be sent: what else a layer keeps stays as the server has it.
        self.weights.statistics = []
        return PrivacyAccountant(self.noise_multiplier, delta)


def _check_model(model):
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            f"`model` must be a built keras.Model. Received: {model!r:.80}. A sequential model is built when it starts "
            "with `keras.Input(shape)`."
        )
    if not model.compiled:
        raise ValueError(f"The model {model.name!r} is not compiled: its loss is what clients minimize. Compile it.")
    if model.distribute_strategy.num_replicas_in_sync > 1:
        raise ValueError("Clients train on one device. Build the model outside of the scope of a strategy.")


def _check_rate(rate, optimizer):
    if rate is None:
        return
    schedules.get(rate, "learning_rate", 0.0)
    if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        raise ValueError(
            "The optimizer of the clients has a schedule of its own, which begins anew in each round. Give it a number "
            "where you give `learning_rate`."
        )
