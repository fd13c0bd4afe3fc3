"""FedAvg: clients train on data that stay with them, a server averages what they learned."""

from tf_transfer import _checks
from tf_transfer.federated.server import FederatedServer


class FedAvg(FederatedServer):
    """Averages what clients learn on their own data, weighted by their examples: w + sum_k n_k (w_k - w) / sum_k n_k.

    In each round some clients get the server's weights, train on what they have, and send what that changed. Their
    examples never leave them. `fit` simulates this in one process: one model trains for one client after the other, so
    that memory does not grow with their number. For real machines see `flower_client` and `flower_strategy`.

    A client's optimizer begins anew in each round. Weights of frozen layers are not sent. A client that fails, or sends
    NaN or infinite numbers, is left out of its round, with a warning; a round with nobody left changes nothing.

    Args:
        model: Built and compiled `keras.Model`, such as a builder makes. Its loss is what clients minimize, its metrics
            are what they and the server report. It holds the server's weights after `fit`.
        personal: What stays at a client, which then has a part of its own on a backbone that all share (FedPer): "head"
            (all behind the backbone that is nested in the model, or without one the last layer), a name or path of a
            layer, "re:..." for the layers whose path the regular expression finds, or a list of those. Defaults to
            None, nothing.
        batch_norm: "shared", as all weights; "local" for scale, shift and moving statistics that stay at a client
            (FedBN); or "local_statistics" for the moving statistics alone. Defaults to "shared".
        personal_folder: String or path of a folder where each client's own weights have a file, for more clients than
            memory holds. Defaults to None, in memory.
        client_optimizer: Keras optimizer of the clients, or its name. Defaults to None, the compiled one.
        learning_rate: Float, or a `tft.schedules.Schedule` of the part of the rounds that is done, the clients'
            learning rate. Defaults to None, the optimizer's.
        server_learning_rate: Float above 0, by which the mean of the updates is multiplied. Defaults to 1.
        clip_norm: Float above 0, the largest L2 norm of what a client may change; longer updates are scaled down to
            it. Defaults to None.
        noise_multiplier: Float of at least 0, standard deviation of Gaussian noise on the sum of the clipped updates,
            in units of `clip_norm`, for differential privacy of whole clients (McMahan et al., 2018). With it, clients
            are drawn independently of one another, count alike, and the sum is divided by `clients_per_round`. It needs
            `pip install tf-transfer[privacy]`. Defaults to 0.
        delta: Float in (0, 1), for which the history reports `epsilon`. It has to be given with noise.

    Attributes:
        model: The `keras.Model`.
        participation: List with a dict a round, the names of the clients under "clients", "dropped" and "refused".

    Raises:
        ValueError: When the model is not built or compiled, or an argument is wrong.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> clients = [(np.eye(2), np.array([[1.0], [0.0]])), (np.eye(2), np.array([[3.0], [2.0]]))]
    >>> server = tft.federated.FedAvg(model)
    >>> history = server.fit(clients, rounds=2, batch_size=2, seed=0, verbose=0)
    >>> np.round(history.history["loss"], 3).tolist(), history.history["clients"]
    ([3.5, 1.625], [2.0, 2.0])

    Reference:
        McMahan et al., 2017, https://arxiv.org/abs/1602.05629; Arivazhagan et al., 2019 (personal layers),
        https://arxiv.org/abs/1912.00818; Li et al., 2021 (local batch normalization), https://arxiv.org/abs/2102.07623;
        McMahan et al., 2018 (privacy), https://arxiv.org/abs/1710.06963
    """

    def __init__(
        self,
        model,
        *,
        personal=None,
        batch_norm="shared",
        personal_folder=None,
        client_optimizer=None,
        learning_rate=None,
        server_learning_rate=1.0,
        clip_norm=None,
        noise_multiplier=0.0,
        delta=None,
    ):
        super().__init__(
            model,
            personal=personal,
            batch_norm=batch_norm,
            personal_folder=personal_folder,
            client_optimizer=client_optimizer,
            learning_rate=learning_rate,
            clip_norm=clip_norm,
            noise_multiplier=noise_multiplier,
            delta=delta,
        )
        self.server_learning_rate = _checks.positive(server_learning_rate, "server_learning_rate")

    def step(self, change):
        return [self.server_learning_rate * array for array in change]

    def settings(self):
        return {**super().settings(), "server_learning_rate": self.server_learning_rate}
