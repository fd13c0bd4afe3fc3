"""Looking at a trained model: how good it is, where it fails, what it looks at, what it costs."""

from tf_transfer.analysis.backbone_ranking import BackboneRanking, RankedBackbone
from tf_transfer.analysis.calibration import Calibration, Reliability, calibrate
from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation, Mistake
from tf_transfer.analysis.comparison import compare_models
from tf_transfer.analysis.cross_validation import CrossValidation, cross_validate
from tf_transfer.analysis.differences import Difference
from tf_transfer.analysis.domain_distances import (
    MMDTest,
    coral_distance,
    mmd,
    proxy_a_distance,
    wasserstein_distance,
)
from tf_transfer.analysis.domain_gap import ClassGap, DomainGap, domain_gap
from tf_transfer.analysis.evaluation import evaluate_classifier, evaluate_multi_label, evaluate_regressor
from tf_transfer.analysis.explained import Explanation
from tf_transfer.analysis.explaining import grad_cam, integrated_gradients, occlusion
from tf_transfer.analysis.feature_maps import plot_domains
from tf_transfer.analysis.importance import ColumnImportance, permutation_importance
from tf_transfer.analysis.linear_probe import linear_probe
from tf_transfer.analysis.model_comparison import ComparedModel, ModelComparison
from tf_transfer.analysis.multi_label_evaluation import LabelMistake, MultiLabelEvaluation
from tf_transfer.analysis.nearest_examples import nearest_examples
from tf_transfer.analysis.ranking import rank_backbones
from tf_transfer.analysis.regression_evaluation import RegressionEvaluation
from tf_transfer.analysis.source_influence import SourceEffect, SourceInfluence, leave_one_source_out
from tf_transfer.analysis.source_label_scores import leep, nce, nleep
from tf_transfer.analysis.transferability import h_score, log_me, trans_rate
from tf_transfer.analysis.what_moved import MovedBlock, WhatMoved, cka, what_moved
from tf_transfer.analysis.word_attributions import WordAttributions, word_attributions

__all__ = [
    "BackboneRanking",
    "Calibration",
    "ClassGap",
    "ClassifierEvaluation",
    "ColumnImportance",
    "ComparedModel",
    "CrossValidation",
    "Difference",
    "DomainGap",
    "Explanation",
    "LabelMistake",
    "MMDTest",
    "Mistake",
    "ModelComparison",
    "MovedBlock",
    "MultiLabelEvaluation",
    "RankedBackbone",
    "RegressionEvaluation",
    "Reliability",
    "SourceEffect",
    "SourceInfluence",
    "WhatMoved",
    "WordAttributions",
    "calibrate",
    "cka",
    "compare_models",
    "coral_distance",
    "cross_validate",
    "domain_gap",
    "evaluate_classifier",
    "evaluate_multi_label",
    "evaluate_regressor",
    "grad_cam",
    "h_score",
    "integrated_gradients",
    "leave_one_source_out",
    "leep",
    "linear_probe",
    "log_me",
    "mmd",
    "nce",
    "nearest_examples",
    "nleep",
    "occlusion",
    "permutation_importance",
    "plot_domains",
    "proxy_a_distance",
    "rank_backbones",
    "trans_rate",
    "wasserstein_distance",
    "what_moved",
    "word_attributions",
]
