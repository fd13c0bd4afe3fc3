"""Parts of training that methods share: optimizers whose variables change, the best weights."""

from tf_transfer.training.best_weights import BestWeights
from tf_transfer.training.optimizers import extend_optimizer, refresh_training

__all__ = ["BestWeights", "extend_optimizer", "refresh_training"]
