"""Pretrained networks: raw images or texts in, features out."""

from tf_transfer.backbones.audio import load_audio_backbone
from tf_transfer.backbones.blocks import block_layers, blocks, find_backbone
from tf_transfer.backbones.loading import load_backbone, names
from tf_transfer.backbones.log_mel import log_mel
from tf_transfer.backbones.preprocessing import preprocess
from tf_transfer.backbones.reinitializing import reinitialize
from tf_transfer.backbones.reusable import export_reusable, shipped
from tf_transfer.backbones.saved import open_saved_model
from tf_transfer.backbones.splitting import split_at_backbone
from tf_transfer.backbones.table import APPLICATIONS, PREPROCESSING
from tf_transfer.backbones.text import load_text_backbone
from tf_transfer.backbones.trainable import TrainableCount, count_trainable, set_trainable

__all__ = [
    "APPLICATIONS",
    "PREPROCESSING",
    "TrainableCount",
    "block_layers",
    "blocks",
    "count_trainable",
    "export_reusable",
    "find_backbone",
    "load_audio_backbone",
    "load_backbone",
    "load_text_backbone",
    "log_mel",
    "names",
    "open_saved_model",
    "preprocess",
    "reinitialize",
    "set_trainable",
    "shipped",
    "split_at_backbone",
]
