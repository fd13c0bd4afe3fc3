"""The proximal term of FedProx: what holds a client near the weights that it was sent."""

import tensorflow as tf

from tf_transfer.regularizers.l2_sp import squared_norm
from tf_transfer.training import AddedObjective, share


class ProximalTerm(AddedObjective):
    """Adds mu/2 ||w - w_global||^2 to the objective of a client, as `tft.L2SP` holds a model near its source.

    Args:
        mu: Float of at least 0.
        variables: List of the trainable variables that the server shares; personal ones have no others to be near to.
    """

    def __init__(self, mu, variables):
        super().__init__()
        self._mu, self._held = mu, variables
        # Variables, since each round has other anchors and the training step is traced once.
        self._anchors = [tf.Variable(variable, trainable=False) for variable in variables]
        self.add_part("compiled_loss")
        self.add_part("proximal_loss")

    def set_anchors(self, arrays):
        """Takes the weights of the server, those of this round."""
        for anchor, array in zip(self._anchors, arrays, strict=True):
            anchor.assign(array)

    def objective(self, batch, compiled_loss, regularization):
        compiled_loss = 0.0 if compiled_loss is None else compiled_loss
        distances = [squared_norm(each - anchor) for each, anchor in zip(self._held, self._anchors, strict=True)]
        term = self._mu / 2 * sum(distances, tf.zeros(()))
        self.log_part("compiled_loss", compiled_loss, batch.num_examples)
        self.log_part("proximal_loss", term, batch.num_examples)
        return compiled_loss + regularization + share(term)
