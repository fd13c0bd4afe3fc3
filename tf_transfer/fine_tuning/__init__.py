"""Training a pretrained model further: two phases, gradual unfreezing, rates."""

from tf_transfer.fine_tuning.bit_rule import BiTHyperRule
from tf_transfer.fine_tuning.fine_tune import fine_tune
from tf_transfer.fine_tuning.gradual_unfreezing import GradualUnfreezing
from tf_transfer.fine_tuning.history import FineTuningHistory, Phase
from tf_transfer.fine_tuning.learning_rate_finder import LearningRateSearch, find_learning_rate
from tf_transfer.fine_tuning.rates import head_rate_optimizer, layer_decay_optimizer, step_decay, warmup_cosine
from tf_transfer.fine_tuning.two_stage import TwoStageResult, two_stage

__all__ = [
    "BiTHyperRule",
    "FineTuningHistory",
    "GradualUnfreezing",
    "LearningRateSearch",
    "Phase",
    "TwoStageResult",
    "find_learning_rate",
    "fine_tune",
    "head_rate_optimizer",
    "layer_decay_optimizer",
    "step_decay",
    "two_stage",
    "warmup_cosine",
]
