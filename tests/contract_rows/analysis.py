"""What each public object of `tft.analysis` holds beyond its docstring."""

import keras
import numpy as np

from contract_parts import check_refuses
from contract_registry import row
from contract_toys import classifier, images


@row("analysis.evaluate_classifier")
def _(evaluate_classifier):
    y = np.arange(8) % 3
    check_refuses(lambda: evaluate_classifier(classifier(), (images(), y), class_names=["a"]), "class_names")
    logits = keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(9.0)])
    check_refuses(lambda: evaluate_classifier(logits, (np.ones((2, 4)), [0, 1])), "from_logits=True")


@row("analysis.evaluate_multi_label")
def _(evaluate_multi_label):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Activation("sigmoid")])
    check_refuses(lambda: evaluate_multi_label(model, (np.ones((3, 3)), np.arange(3))), "`labels`", "(3,)")


@row("analysis.evaluate_regressor")
def _(evaluate_regressor):
    two = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    check_refuses(lambda: evaluate_regressor(two, (np.ones((3, 4)), np.ones(3))), "(3, 2) and (3, 1)")


@row("analysis.RegressionEvaluation")
def _(regression_evaluation):
    check_refuses(lambda: regression_evaluation(np.array([np.nan]), np.ones(1)), "`predictions`", "finite")


@row("analysis.MultiLabelEvaluation")
def _(multi_label_evaluation):
    check_refuses(lambda: multi_label_evaluation(np.eye(3), np.full((3, 3), 2)), "`labels`", "[2]")


@row("analysis.LabelMistake", example_in="analysis.MultiLabelEvaluation")
def _(label_mistake):
    assert label_mistake._fields == ("index", "label", "true", "score")


@row("analysis.ClassifierEvaluation")
def _(classifier_evaluation):
    check_refuses(lambda: classifier_evaluation(np.eye(3), np.arange(2)), "Received")


@row("analysis.Mistake", example_in="analysis.ClassifierEvaluation")
def _(mistake):
    assert mistake._fields == ("index", "true", "predicted", "score")


def scores_transferability(score):
    check_refuses(lambda: score(np.full((4, 2), 0.5), [0, 1, 0]), "`labels`", "(4,)")


for name in ("h_score", "leep", "log_me", "nleep", "trans_rate"):
    row(f"analysis.{name}")(scores_transferability)


@row("analysis.nce")
def _(nce):
    check_refuses(lambda: nce([0, 1], [0, 1, 1]), "`source_labels`")


@row("analysis.rank_backbones")
def _(rank_backbones):
    check_refuses(lambda: rank_backbones("mobilenet_v2", (images(), [0, 1])), "`backbones`")


@row("analysis.BackboneRanking", example_in="analysis.rank_backbones")
def _(backbone_ranking):
    assert backbone_ranking.__dataclass_params__.frozen


@row("analysis.RankedBackbone", example_in="analysis.rank_backbones")
def _(ranked_backbone):
    assert ranked_backbone._fields[:3] == ("name", "rank", "scores")


def explains_images(explain):
    check_refuses(lambda: explain(classifier(), images()[0]), "`images`", "(16, 16, 3)")
    check_refuses(lambda: explain(classifier(), images(), 7), "`classes`", "0..2")


for name in ("grad_cam", "integrated_gradients", "occlusion"):
    row(f"analysis.{name}")(explains_images)


@row("analysis.Explanation", example_in="analysis.grad_cam")
def _(explanation):
    assert explanation.__dataclass_params__.frozen


@row("analysis.word_attributions")
def _(word_attributions):
    check_refuses(lambda: word_attributions(classifier(), [""]), "`texts`")


@row("analysis.WordAttributions", example_in="analysis.word_attributions")
def _(word_attributions):
    assert word_attributions._fields == ("words", "values", "label", "score")


@row("analysis.permutation_importance")
def _(permutation_importance):
    check_refuses(lambda: permutation_importance(classifier(), (images(), np.arange(8) % 3)), "`data`")


@row("analysis.ColumnImportance", example_in="analysis.permutation_importance")
def _(column_importance):
    assert column_importance.__dataclass_params__.frozen


@row("analysis.nearest_examples")
def _(nearest_examples):
    check_refuses(lambda: nearest_examples(classifier(), images(), images()[:2]), "`num_neighbors`", "2")


@row("analysis.calibrate")
def _(calibrate):
    values = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="relu")])
    check_refuses(lambda: calibrate(values, (np.ones((2, 4)), [0, 1])), "logits")


@row("analysis.Calibration", example_in="analysis.calibrate")
def _(calibration):
    assert calibration.__dataclass_params__.frozen


@row("analysis.Reliability")
def _(reliability):
    check_refuses(lambda: reliability(None, 0), "`num_bins`")


@row("analysis.cka")
def _(cka):
    check_refuses(lambda: cka(np.ones((4, 2)), np.ones((3, 2))), "4 and 3")
    check_refuses(lambda: cka(np.ones((4, 2)), np.eye(4)), "the same for all")


@row("analysis.what_moved")
def _(what_moved):
    other = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(2, 3)])
    check_refuses(lambda: what_moved(classifier(), other, images()), "the same backbone")


@row("analysis.WhatMoved", example_in="analysis.what_moved")
def _(what_moved):
    assert what_moved.__dataclass_params__.frozen


@row("analysis.MovedBlock", example_in="analysis.what_moved")
def _(moved_block):
    assert moved_block._fields == ("block", "num_parameters", "weight_change", "cka")


@row("analysis.cross_validate")
def _(cross_validate):
    check_refuses(lambda: cross_validate({}, (images(), np.arange(8) % 2)), "`methods`")


@row("analysis.CrossValidation")
def _(cross_validation):
    assert cross_validation.__dataclass_params__.frozen


@row("analysis.Difference", example_in="analysis.CrossValidation")
def _(difference):
    assert difference._fields == ("mean", "low", "high", "p_value")


@row("analysis.plot_domains")
def _(plot_domains):
    pair = (np.zeros((4, 2)), np.ones((3, 2)))
    check_refuses(lambda: plot_domains({}), "`panels`")
    check_refuses(lambda: plot_domains({"x": pair}, projection="tsn"), "Did you mean 'tsne'?")
    check_refuses(lambda: plot_domains({"x": (np.zeros((4, 2)), np.zeros((4, 3)))}), "(4, 2)", "(4, 3)")
    check_refuses(lambda: plot_domains({"x": pair}, source_labels=[0, 1]), "`source_labels`", "2 for 4")


@row("analysis.compare_models")
def _(compare_models):
    data = images(), np.arange(8) % 3
    check_refuses(lambda: compare_models({}, data), "`models` must be a dict")
    check_refuses(lambda: compare_models([classifier()], data), "`models` must be a dict")
    wider = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(4, "softmax")])
    check_refuses(lambda: compare_models({"a": classifier(), "b": wider}, data), "'a' with 3, 'b' with 4")


@row("analysis.ModelComparison", example_in="analysis.compare_models")
def _(model_comparison):
    assert model_comparison.__dataclass_params__.frozen


@row("analysis.ComparedModel", example_in="analysis.compare_models")
def _(compared_model):
    figures = ("num_parameters", "megabytes", "milliseconds", "accuracy", "macro_f1", "agreement")
    assert compared_model._fields == ("name", *figures)


@row("analysis.proxy_a_distance")
def _(proxy_a_distance):
    check_refuses(lambda: proxy_a_distance(np.zeros((9, 2)), np.zeros((9, 2)), num_folds=1), "num_folds=1", "at most")


@row("analysis.mmd")
def _(mmd):
    check_refuses(lambda: mmd(np.zeros((1, 2)), np.zeros((9, 2))), "at least 2", "(1, 2)")


@row("analysis.MMDTest", example_in="analysis.mmd")
def _(mmd_test):
    assert mmd_test._fields == ("value", "p_value")


@row("analysis.coral_distance")
def _(coral_distance):
    check_refuses(lambda: coral_distance(np.zeros(3), np.zeros(3)), "shape (num_examples, ...)", "(3,)")


@row("analysis.wasserstein_distance")
def _(wasserstein_distance):
    check_refuses(lambda: wasserstein_distance(np.ones((3, 2)), np.ones((3, 2)), method="exakt"), "Did you mean")


@row("analysis.domain_gap")
def _(domain_gap):
    check_refuses(lambda: domain_gap(np.ones((3, 2)), np.ones((30, 2))), "at least 10", "(3, 2)")


@row("analysis.DomainGap", example_in="analysis.domain_gap")
def _(domain_gap):
    assert {"a_distance", "mmd_p_value", "label_shift", "classes"} <= set(domain_gap.__dataclass_fields__)


@row("analysis.ClassGap", example_in="analysis.domain_gap")
def _(class_gap):
    assert class_gap._fields == ("name", "num_source", "num_target", "a_distance", "mmd_p_value")


@row("analysis.leave_one_source_out")
def _(leave_one_source_out):
    two = {"a": 1, "b": 2}
    check_refuses(lambda: leave_one_source_out({"a": 1}, None, None), "at least two", "['a']")
    check_refuses(lambda: leave_one_source_out(two, None, None, seeds=()), "`seeds`")
    check_refuses(lambda: leave_one_source_out(two, lambda *_: 0, lambda _: float("nan")), "finite", "seed 0")


@row("analysis.linear_probe")
def _(linear_probe):
    x, y = np.eye(4), np.arange(4) // 2
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    check_refuses(lambda: linear_probe(encoder, (x, np.zeros(4, int)), (x, y)), "`train`", "[1]")
    check_refuses(lambda: linear_probe(encoder, (x[:2], y[1:3]), (x, y + 1)), "`train`", "[2]")


@row("analysis.SourceInfluence", example_in="analysis.leave_one_source_out")
def _(source_influence):
    assert source_influence.__dataclass_params__.frozen


@row("analysis.SourceEffect", example_in="analysis.leave_one_source_out")
def _(source_effect):
    assert source_effect._fields == ("name", "score_without", "effect", "standard_error", "verdict")
