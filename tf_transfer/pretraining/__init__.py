"""Training without labels of what is to be a backbone."""

from tf_transfer.pretraining.text import pretrain_text

__all__ = ["pretrain_text"]
