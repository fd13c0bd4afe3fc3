"""Learning from a few examples: methods that are fitted to episodes and adapt to classes they never saw."""

from tf_transfer.few_shot.episode_evaluation import EpisodeEvaluation, evaluate_episodes
from tf_transfer.few_shot.maml import MAML
from tf_transfer.few_shot.prototypical_network import PrototypicalNetwork
from tf_transfer.few_shot.reptile import Reptile

__all__ = ["MAML", "EpisodeEvaluation", "PrototypicalNetwork", "Reptile", "evaluate_episodes"]
