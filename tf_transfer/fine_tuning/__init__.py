"""Training a pretrained model further: cached features, gradual unfreezing, a learning rate to start from."""

from tf_transfer.fine_tuning.cached_features import CachedFeatures
from tf_transfer.fine_tuning.feature_cache import FeatureCache
from tf_transfer.fine_tuning.feature_extraction import RandomStreamError
from tf_transfer.fine_tuning.gradual_unfreezing import GradualUnfreezing

__all__ = ["CachedFeatures", "FeatureCache", "GradualUnfreezing", "RandomStreamError"]
