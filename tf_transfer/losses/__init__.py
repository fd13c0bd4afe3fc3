"""Losses that compare domains, judge predictions where there are no labels, or compare a student with its teacher."""

from tf_transfer.losses.class_confusion import MinimumClassConfusion
from tf_transfer.losses.classifier_discrepancy import ClassifierDiscrepancy
from tf_transfer.losses.contrastive import ContrastiveLoss, InfoNCE, NTXent, SigmoidContrastive
from tf_transfer.losses.coral import CORAL
from tf_transfer.losses.distillation import (
    DIST,
    AttentionTransfer,
    ContrastiveRepresentation,
    DecoupledKnowledgeDistillation,
    DistillationLoss,
    EmbeddingMatching,
    FeatureHint,
    KnowledgeDistillation,
    RelationalAngle,
    RelationalDistance,
    SimilarityPreserving,
)
from tf_transfer.losses.domain_loss import DomainLoss
from tf_transfer.losses.entropy import Entropy, InformationMaximization
from tf_transfer.losses.feature_norm import AdaptiveFeatureNorm
from tf_transfer.losses.labelled import LabelledLoss, LabelledMetric
from tf_transfer.losses.mmd import MMD, JointMMD
from tf_transfer.losses.optimal_transport import JointOptimalTransport
from tf_transfer.losses.spectral import BatchNuclearNorm, BatchSpectralPenalty
from tf_transfer.losses.subspaces import DAREGram, RepresentationSubspaceDistance

__all__ = [
    "CORAL",
    "DIST",
    "MMD",
    "AdaptiveFeatureNorm",
    "AttentionTransfer",
    "BatchNuclearNorm",
    "BatchSpectralPenalty",
    "ClassifierDiscrepancy",
    "ContrastiveLoss",
    "ContrastiveRepresentation",
    "DAREGram",
    "DecoupledKnowledgeDistillation",
    "DistillationLoss",
    "DomainLoss",
    "EmbeddingMatching",
    "Entropy",
    "FeatureHint",
    "InfoNCE",
    "InformationMaximization",
    "JointMMD",
    "JointOptimalTransport",
    "KnowledgeDistillation",
    "LabelledLoss",
    "LabelledMetric",
    "MinimumClassConfusion",
    "NTXent",
    "RelationalAngle",
    "RelationalDistance",
    "RepresentationSubspaceDistance",
    "SigmoidContrastive",
    "SimilarityPreserving",
]
