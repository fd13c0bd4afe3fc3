"""Rounds of federated learning in one process: one model trains for one client after the other."""

import warnings

import keras

from tf_transfer.federated.round_logs import RoundLogs
from tf_transfer.federated.round_seeds import client_seed, round_rng
from tf_transfer.federated.shared_weights import values


class Simulation:
    """The rounds of one `fit`.

    Args:
        server: `FedAvg` or a subclass.
        training: `LocalTraining` of the server's model.
        clients: `Clients`.
        num_a_round: Integer.
        rounds: Integer.
        local_epochs: Integer.
        batch_size: Integer.
        seed: Integer, of which everything that is random is a function.
        validation_data: As `server.evaluate` takes it, or None.
        validation_batch_size: Integer.
        verbose: 0, 1 or 2.
    """

    def __init__(
        self, server, training, clients, num_a_round, *, rounds, local_epochs, batch_size, seed,
        validation_data, validation_batch_size, verbose,
    ):  # fmt: skip
        self._server, self._training, self._clients = server, training, clients
        self._num_a_round, self._rounds, self._seed = num_a_round, rounds, seed
        self._local = {"epochs": local_epochs, "batch_size": batch_size}
        self._validation = (validation_data, validation_batch_size)
        self._verbose = verbose

    def run(self, callbacks, checkpoint):
        """Runs the rounds that are not done yet."""
        model = self._server.model
        model.stop_training = False
        callbacks.on_train_begin()
        done, stopped = checkpoint.load()
        for number in range(self._rounds if stopped else done, self._rounds):
            callbacks.on_epoch_begin(number)
            logs = self._round(number)
            callbacks.on_epoch_end(number, logs)
            checkpoint.keep(number + 1)
            if model.stop_training:
                break
        callbacks.on_train_end()

    def _round(self, number):
        server = self._server
        rng = round_rng(self._seed, number, "draw")
        chosen = self._clients.draw(self._num_a_round, rng, poisson=server.has_noise)
        logs = RoundLogs()
        bar = self._bar(number, len(chosen))
        mean, shared = server.new_mean(self._num_a_round), values(server.weights.shared)
        try:
            for position, client in enumerate(chosen):
                update = self._ask(number, client, shared, logs)
                if update is not None:
                    mean.add(update.change, update.num_examples, server.num_clipped)
                    server.personal_states.stage(client, update.personal)
                    logs.took_part(self._clients.names[client], update)
                if position + 1 < len(chosen):
                    bar.update(position + 1, list(logs.means().items()))
        finally:
            # The weights of a client, half trained where the round was interrupted, are nobody's model.
            server.put_back(shared)
        found = server.end_round(number, mean, logs, self._seed, self._num_a_round / len(self._clients))
        return self._finish(bar, len(chosen), found)

    def _ask(self, number, client, shared, logs):
        """Returns the update of a client, or None when it can't be used."""
        name = self._clients.names[client]
        # Whatever happens at a client is its own; the round goes on without it.
        try:
            update = self._training.train(
                self._clients.read(client), shared, self._server.personal_states.get(client),
                learning_rate=self._server.learning_rate_at(number / self._rounds),
                seed=client_seed(self._seed, number, client), **self._local,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001
            logs.dropped(name, error)
            warnings.warn(
                f"Round {number + 1} goes on without client {name!r}: {type(error).__name__}: {error}", stacklevel=2
            )
            return None
        return update if logs.accepts(number, name, update) else None

    def _finish(self, bar, num_steps, found):
        if self._validation[0] is not None:
            scores = self._server.evaluate_with(self._training, *self._validation)
            found |= {f"val_{name}": value for name, value in scores.items()}
        # A round that nobody was drawn for has a bar too.
        bar.update(max(num_steps, 1), list(found.items()), finalize=True)
        return found

    def _bar(self, number, num_clients):
        if self._verbose:
            print(f"Round {number + 1}/{self._rounds}")
        # All that it shows are means of a round already.
        return keras.utils.Progbar(max(num_clients, 1), verbose=self._verbose, stateless_metrics=(), unit_name="client")
