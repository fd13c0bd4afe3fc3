"""The rounds of federated learning, with what a user of Keras expects of `fit` and `evaluate`."""

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.federated.checkpoint import Checkpoint
from tf_transfer.federated.clients import Clients, check_kind, number_a_round
from tf_transfer.federated.server_core import ServerCore
from tf_transfer.federated.shared_weights import assign, values
from tf_transfer.federated.simulation import Simulation
from tf_transfer.training import RunState


class FederatedServer(ServerCore):
    """Base class of `FedAvg`, `FedProx` and `FedAdam`: a `ServerCore` that simulates rounds."""

    def fit(
        self,
        clients,
        rounds=1,
        *,
        clients_per_round=None,
        local_epochs=1,
        batch_size=32,
        validation_data=None,
        validation_batch_size=256,
        seed=None,
        resume=None,
        callbacks=None,
        verbose=1,
    ):
        """Simulates rounds of federated learning in this process.

        Args:
            clients: Sequence, or dict from names, of what each client has: arrays `(x, y[, sample_weight])`, a
                `tf.data.Dataset`, an `ImageFolder` or `AudioFolder`, or a function without arguments that returns one
                of those, which is called when its turn comes. Arrays and folders are shuffled in each epoch.
            rounds: Integer of at least 1. Defaults to 1.
            clients_per_round: Integer, how many clients are drawn for a round; a float in (0, 1] for a part of them; or
                None for all. Defaults to None.
            local_epochs: Integer of at least 1, a client's passes over its data in a round. Defaults to 1.
            batch_size: Integer of at least 1. Defaults to 32.
            validation_data: Data that the server's model is evaluated on after each round, of the kinds that a client
                may have. When clients have weights of their own, one entry a client, like `clients`. Defaults to None.
            validation_batch_size: Integer of at least 1. Defaults to 256.
            seed: Integer; who is drawn, the order of examples, dropout and noise are functions of it. With noise it is
                a secret: who knows it can subtract the noise. Defaults to None, a new one.
            resume: String or path of a folder, of this run alone, that keeps the state after each round. The same call
                goes on from there after a stop, and ends as it would have. It is removed at the end. Needs a `seed`.
                Defaults to None.
            callbacks: List of Keras callbacks, for which a round is an epoch. Defaults to none.
            verbose: 0 for nothing, 1 for a progress bar, 2 for one line a round. Defaults to 1.

        Returns:
            A `keras.callbacks.History` with an entry a round: `loss` and the metrics as means over the examples of the
            clients that took part, while they train; `val_...` of the server's new model; how many `clients` took
            part, and how many `dropped` out or were `refused`; `epsilon` with noise.

        Raises:
            ValueError: When an argument is wrong, or `resume` is of another run.
            RuntimeError: When no client took part in any round.
        """
        clients = Clients(clients)
        num = number_a_round(clients_per_round, len(clients))
        settings = {
            "rounds": _checks.integer(rounds, "rounds", 1),
            "local_epochs": _checks.integer(local_epochs, "local_epochs", 1),
            "batch_size": _checks.integer(batch_size, "batch_size", 1),
            "seed": _seed(seed, resume),
        }
        _checks.one_of(verbose, "verbose", [0, 1, 2])
        self._check_validation(validation_data, len(clients))
        shown = {"verbose": verbose, "validation_data": validation_data}
        shown["validation_batch_size"] = _checks.integer(validation_batch_size, "validation_batch_size", 1)
        history = keras.callbacks.History()
        every = keras.callbacks.CallbackList([history, *_listed(callbacks)], model=self.model, epochs=rounds)
        self._names = list(clients.names)
        stored = {**settings, "clients": len(clients), "clients_per_round": num, **self.settings()}
        with RunState(resume, stored, verbose=min(verbose, 1)) as run, self.local_training() as training:
            self._begin_in(run)
            simulation = Simulation(self, training, clients, num, **settings, **shown)
            simulation.run(every, Checkpoint(run.folder, self, [history, *_listed(callbacks)]))
        self.personal_states.leave_folder(run.folder)
        self._check_taught(rounds)
        return history

    def evaluate(self, data, *, batch_size=256):
        """Returns the loss and the metrics of the server's model, or of each client's own on its own data.

        Args:
            data: Data of the kinds that a client may have. When clients have weights of their own, one entry a client,
                like the `clients` of `fit`; the result is then the mean over the examples of all of them.
            batch_size: Integer. Defaults to 256.

        Returns:
            A dict from names to floats.
        """
        with self.local_training() as training:
            return self.evaluate_with(training, data, _checks.integer(batch_size, "batch_size", 1))

    def client_model(self, client):
        """Returns a copy of the model with the weights of one client: those of the server, and its own.

        Args:
            client: Name of a client of `fit`: its place in the sequence, or its key.

        Raises:
            ValueError: When there was no such client.
        """
        number = self._names.index(_checks.one_of(client, "client", self._names))
        copy = keras.models.clone_model(self.model)
        assign(self.weights.personal, self.personal_states.get(number))
        copy.set_weights(self.model.get_weights())
        assign(self.weights.personal, self._initial)
        return copy

    def _check_validation(self, data, num_clients):
        if data is None:
            return
        if not self.weights.personal:
            check_kind(data, "`validation_data`", lazy=False)
        elif len(Clients(data, "validation_data")) != num_clients:
            raise ValueError(
                f"Clients have weights of their own, so that `validation_data` must have one entry for each of the "
                f"{num_clients}. Received: {len(data)}."
            )

    def _begin_in(self, run):
        run.begin_with(self.model)
        self._initial = values(self.weights.personal)
        self.personal_states.enter_folder(run.folder, self._initial)

    def _check_taught(self, rounds):
        counts = self.participation[-rounds:]
        if not any(each["clients"] for each in counts) and any(each["dropped"] + each["refused"] for each in counts):
            raise RuntimeError(
                f"No client took part in any of {len(counts)} rounds, so that nothing was learned. The last error of a "
                f"client was: {self._last_error!r}."
            ) from self._last_error


def _seed(seed, resume):
    if seed is not None:
        return _checks.integer(seed, "seed", 0)
    if resume is not None:
        raise ValueError("`resume` needs a `seed`, since a run goes on as it would have. Received: seed=None.")
    # All bits that the system gives, since noise is no secret when its seed can be guessed.
    return np.random.SeedSequence().entropy


def _listed(callbacks):
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks] if callbacks else []
