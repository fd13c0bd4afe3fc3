"""Two kinds of input in one space: contrastive training, retrieval, and classes told by their descriptions."""

from tf_transfer.contrastive.contrastive_model import ContrastiveModel
from tf_transfer.contrastive.dual_encoder import DualEncoder
from tf_transfer.contrastive.retrieval import recall_at_k, retrieval_recall
from tf_transfer.contrastive.zero_shot import zero_shot

__all__ = ["ContrastiveModel", "DualEncoder", "recall_at_k", "retrieval_recall", "zero_shot"]
