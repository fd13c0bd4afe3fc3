"""Looking at a trained model: how good it is, where it fails, and a page that shows it."""

from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation, Mistake
from tf_transfer.analysis.comparison import compare_models
from tf_transfer.analysis.domain_distances import (
    MMDTest,
    coral_distance,
    mmd,
    proxy_a_distance,
    wasserstein_distance,
)
from tf_transfer.analysis.domain_gap import ClassGap, DomainGap, domain_gap
from tf_transfer.analysis.evaluation import evaluate_classifier, evaluate_regressor
from tf_transfer.analysis.feature_maps import plot_domains
from tf_transfer.analysis.html_report import HTMLReport
from tf_transfer.analysis.model_comparison import ComparedModel, ModelComparison
from tf_transfer.analysis.regression_evaluation import RegressionEvaluation
from tf_transfer.analysis.source_influence import SourceEffect, SourceInfluence, leave_one_source_out

__all__ = [
    "ClassGap",
    "ClassifierEvaluation",
    "ComparedModel",
    "DomainGap",
    "HTMLReport",
    "MMDTest",
    "Mistake",
    "ModelComparison",
    "RegressionEvaluation",
    "SourceEffect",
    "SourceInfluence",
    "compare_models",
    "coral_distance",
    "domain_gap",
    "evaluate_classifier",
    "evaluate_regressor",
    "leave_one_source_out",
    "mmd",
    "plot_domains",
    "proxy_a_distance",
    "wasserstein_distance",
]
