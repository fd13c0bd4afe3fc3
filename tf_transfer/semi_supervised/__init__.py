"""Semi-supervised learning: few examples with labels, many without."""

from tf_transfer.semi_supervised.co_training import CoTraining
from tf_transfer.semi_supervised.flex_match import FlexMatch
from tf_transfer.semi_supervised.mean_teacher import MeanTeacher
from tf_transfer.semi_supervised.pseudo_label import FixMatch, PseudoLabel
from tf_transfer.semi_supervised.semi_supervised_model import SemiSupervisedModel

__all__ = ["CoTraining", "FixMatch", "FlexMatch", "MeanTeacher", "PseudoLabel", "SemiSupervisedModel"]
