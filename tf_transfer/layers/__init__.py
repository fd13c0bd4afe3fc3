"""Layers with weights or a gradient rule of their own, and the `.keras` files that carry them."""

from tf_transfer.layers._hub_handles import resolve_handle
from tf_transfer.layers.gradient_reversal import GradientReversal
from tf_transfer.layers.hub_audio import HubAudioLayer
from tf_transfer.layers.hub_layer import HubLayer
from tf_transfer.layers.hub_saving import load_model
from tf_transfer.layers.keras_files import save_model
from tf_transfer.layers.kernel_features import GaussianKernelFeatures, NearestPointShift
from tf_transfer.layers.spec_augment import SpecAugment
from tf_transfer.layers.stochastic_normalization import StochasticNormalization
from tf_transfer.layers.text_preprocessor import TextPreprocessor

__all__ = [
    "GaussianKernelFeatures",
    "GradientReversal",
    "HubAudioLayer",
    "HubLayer",
    "NearestPointShift",
    "SpecAugment",
    "StochasticNormalization",
    "TextPreprocessor",
    "load_model",
    "resolve_handle",
    "save_model",
]
