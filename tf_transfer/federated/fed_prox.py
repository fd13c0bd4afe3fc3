"""FedProx: FedAvg with clients that are held near the weights that they were sent."""

from tf_transfer import _checks
from tf_transfer.federated.fed_avg import FedAvg
from tf_transfer.federated.proximal import ProximalTerm


class FedProx(FedAvg):
    """FedAvg whose clients minimize loss + mu/2 ||w - w_global||^2, so that unlike data pull them apart less.

    w are the weights that train and are shared; w_global are those that the client was sent. The history has the parts
    `compiled_loss` and `proximal_loss` besides `loss`, their sum with the model's regularizers.

    Args:
        model: Built and compiled `keras.Model`.
        mu: Float of at least 0, the weight of the term. The paper chose from 0.001, 0.01, 0.1 and 1. Defaults to 0.01.
        **kwargs: As in `FedAvg`.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> clients = [(np.eye(2), np.array([[1.0], [0.0]])), (np.eye(2), np.array([[3.0], [2.0]]))]
    >>> history = tft.federated.FedProx(model, mu=0.1).fit(clients, local_epochs=2, batch_size=2, seed=0, verbose=0)
    >>> sorted(history.history)
    ['clients', 'compiled_loss', 'dropped', 'loss', 'proximal_loss', 'refused']

    Reference:
        Li et al., 2020, https://arxiv.org/abs/1812.06127
    """

    def __init__(self, model, mu=0.01, **kwargs):
        super().__init__(model, **kwargs)
        self.mu = _checks.number(mu, "mu", 0.0)

    def objective(self):
        return ProximalTerm(self.mu, self.weights.trained)

    def settings(self):
        return {**super().settings(), "mu": self.mu}
