"""Pretrained networks: raw images in, features out."""

from tf_transfer.backbones.blocks import block_layers, blocks, find_backbone
from tf_transfer.backbones.loading import load_backbone, names
from tf_transfer.backbones.preprocessing import preprocess
from tf_transfer.backbones.reinitializing import reinitialize
from tf_transfer.backbones.reusable import export_reusable, shipped
from tf_transfer.backbones.splitting import split_at_backbone
from tf_transfer.backbones.table import APPLICATIONS, PREPROCESSING
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
    "load_backbone",
    "names",
    "preprocess",
    "reinitialize",
    "set_trainable",
    "shipped",
    "split_at_backbone",
]
