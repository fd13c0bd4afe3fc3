"""A client on a machine of its own, by Flower."""

import warnings

from tf_transfer import _checks
from tf_transfer.federated.aggregation import not_finite
from tf_transfer.federated.clients import Clients
from tf_transfer.federated.round_seeds import client_seed
from tf_transfer.federated.shared_weights import assign


def flower_client(server, data, number=0, *, validation_data=None, validation_batch_size=256):
    """Makes the client of a federation on real machines: it trains on its data as a client of `FedAvg.fit` does.

    What it sends are the changes of the shared weights, the number of its examples, and the means of loss and metrics.
    It needs `pip install tf-transfer[federated]`.

    Args:
        server: `FedAvg`, `FedProx` or `FedAdam`, made here with the arguments that the server's machine has too. It
            says what clients minimize and which weights stay; those are kept in its `personal_folder`, or in memory.
        data: What a client of `fit` may be: arrays `(x, y[, sample_weight])`, a `tf.data.Dataset`, a folder, or a
            function without arguments that returns one of those, which is called in each round.
        number: Integer of at least 0, another one for each client, for its random numbers. Defaults to 0.
        validation_data: Data of the same kinds, on which the client scores its model when it is asked to: where clients
            have weights of their own. Defaults to None.
        validation_batch_size: Integer of at least 1. Defaults to 256.

    Returns:
        A `flwr.client.Client`, for `flwr.clientapp.ClientApp(client_fn=...)` or `flwr.client.start_client(client=...)`.

    Raises:
        ImportError: When flwr is not installed.

    Example:

    >>> import importlib.util
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> if importlib.util.find_spec("flwr"):
    ...     client = tft.federated.flower_client(tft.federated.FedAvg(model), (np.eye(2), np.ones(2)), number=3)
    """
    client = flower("client").Client
    trainer = type("FlowerTrainer", (_Trainer, client), {})()
    trainer.begin(server, Clients([data]), _checks.integer(number, "number", 0), validation_data, validation_batch_size)
    return trainer


def flower(module):
    """Returns a module of flwr, or raises an `ImportError` that says what to install."""
    try:
        import flwr.client
        import flwr.common
        import flwr.server
    except ImportError as error:
        raise ImportError("Real machines need Flower: pip install 'tf-transfer[federated]'.") from error
    return getattr(flwr, module)


class _Trainer:
    """What Flower calls, on a `Client`."""

    def begin(self, server, data, number, validation_data, validation_batch_size):
        self._server, self._data, self._number = server, data, number
        self._validation = (validation_data, _checks.integer(validation_batch_size, "validation_batch_size", 1))
        # Entered for good: the step is traced once, and the model is this client's alone.
        self._training = server.local_training()
        self._training.__enter__()

    def fit(self, ins):
        # What goes wrong here is told to the server, which goes on; raised, it would end this process.
        try:
            update = self._train(flower("common").parameters_to_ndarrays(ins.parameters), ins.config)
        except Exception as error:  # noqa: BLE001
            return self._answer("FitRes", [], 0, {}, f"{type(error).__name__}: {error}")
        return self._answer("FitRes", update.change, update.num_examples, update.logs)

    def evaluate(self, ins):
        if self._validation[0] is None:
            return self._answer("EvaluateRes", 0.0, 0, {})
        assign(self._server.weights.shared, flower("common").parameters_to_ndarrays(ins.parameters))
        assign(self._server.weights.personal, self._server.personal_states.get(self._number))
        num_examples, logs = self._training.evaluate(*self._validation)
        return self._answer("EvaluateRes", logs["loss"], num_examples, logs)

    def _train(self, shared, config):
        server, number = self._server, config["round"]
        update = self._training.train(
            self._data.read(0), shared, server.personal_states.get(self._number),
            epochs=config["local_epochs"], batch_size=config["batch_size"], learning_rate=config.get("learning_rate"),
            seed=client_seed(int(config["seed"]), number, self._number),
        )  # fmt: skip
        if not_finite(update) is None:
            server.personal_states.stage(self._number, update.personal)
            server.personal_states.commit()
            server.personal_states.remove_outdated()
        return update

    def _answer(self, kind, value, num_examples, logs, fault=None):
        common = flower("common")
        if fault is not None:
            warnings.warn(f"This round goes on without this client: {fault}", stacklevel=2)
        code = common.Code.OK if fault is None else common.Code.FIT_NOT_IMPLEMENTED
        given = {"loss": value} if kind == "EvaluateRes" else {"parameters": common.ndarrays_to_parameters(value)}
        status = common.Status(code, fault or "")
        return getattr(common, kind)(status=status, num_examples=num_examples, metrics=logs, **given)
