"""Training a pretrained model further: two phases, cached features, gradual unfreezing, rates."""

from tf_transfer.fine_tuning.cached_features import CachedFeatures
from tf_transfer.fine_tuning.feature_cache import FeatureCache
from tf_transfer.fine_tuning.feature_extraction import RandomStreamError
from tf_transfer.fine_tuning.fine_tune import fine_tune
from tf_transfer.fine_tuning.gradual_unfreezing import GradualUnfreezing
from tf_transfer.fine_tuning.history import FineTuningHistory, Phase
from tf_transfer.fine_tuning.learning_rate_finder import LearningRateSearch, find_learning_rate
from tf_transfer.fine_tuning.rates import layer_decay_optimizer, warmup_cosine

__all__ = [
    "CachedFeatures",
    "FeatureCache",
    "FineTuningHistory",
    "GradualUnfreezing",
    "LearningRateSearch",
    "Phase",
    "RandomStreamError",
    "find_learning_rate",
    "fine_tune",
    "layer_decay_optimizer",
    "warmup_cosine",
]
