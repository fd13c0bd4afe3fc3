"""FedAdam: the mean of what clients changed as the gradient of an Adam at the server."""

import numpy as np

from tf_transfer import _checks
from tf_transfer.federated.fed_avg import FedAvg


class FedAdam(FedAvg):
    """FedAvg whose server makes steps of Adam: w += rate * m / (sqrt(v) + tau).

    m = beta_1 m + (1 - beta_1) d and v = beta_2 v + (1 - beta_2) d^2, where d is the mean of what the clients changed.
    As in the paper, v begins at tau^2, and nothing corrects the bias of m and v in the first rounds, as Keras' Adam
    would. Moving statistics are averaged.

    Args:
        model: Built and compiled `keras.Model`.
        server_learning_rate: Float above 0. Defaults to 0.01.
        beta_1: Float in [0, 1), the decay of m. Defaults to 0.9.
        beta_2: Float in [0, 1), the decay of v. Defaults to 0.99.
        tau: Float above 0, how adaptive it is: the smaller, the more. Defaults to 0.001.
        **kwargs: As in `FedAvg`.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> clients = [(np.eye(2), np.array([[1.0], [0.0]])), (np.eye(2), np.array([[3.0], [2.0]]))]
    >>> server = tft.federated.FedAdam(model, server_learning_rate=0.1)
    >>> _ = server.fit(clients, batch_size=2, seed=0, verbose=0)
    >>> [round(float(weight), 3) for weight in model.get_weights()[0].ravel()]  # 0.1 * 0.1 d / (0.1 d + tau)
    [0.099, 0.098]

    Reference:
        Reddi et al., 2021, https://arxiv.org/abs/2003.00295
    """

    def __init__(self, model, server_learning_rate=0.01, beta_1=0.9, beta_2=0.99, tau=1e-3, **kwargs):
        super().__init__(model, server_learning_rate=server_learning_rate, **kwargs)
        self.beta_1, self.beta_2 = (_below_one(beta, name) for beta, name in ((beta_1, "beta_1"), (beta_2, "beta_2")))
        self.tau = _checks.positive(tau, "tau")
        shapes = [variable.shape for variable in self.weights.trained]
        self._first = [np.zeros(shape) for shape in shapes]
        self._second = [np.full(shape, self.tau**2) for shape in shapes]

    def step(self, change):
        steps = []
        for at, array in enumerate(change):
            self._first[at] = self.beta_1 * self._first[at] + (1 - self.beta_1) * array
            self._second[at] = self.beta_2 * self._second[at] + (1 - self.beta_2) * array**2
            steps.append(self.server_learning_rate * self._first[at] / (np.sqrt(self._second[at]) + self.tau))
        return steps

    @property
    def slots(self):
        return [*self._first, *self._second]

    @slots.setter
    def slots(self, arrays):
        self._first, self._second = arrays[: len(self._first)], arrays[len(self._first) :]

    def settings(self):
        return {**super().settings(), "beta_1": self.beta_1, "beta_2": self.beta_2, "tau": self.tau}


def _below_one(value, name):
    if _checks.number(value, name, 0.0) >= 1:
        raise ValueError(f"`{name}` must be below 1. Received: {name}={value!r}.")
    return float(value)
