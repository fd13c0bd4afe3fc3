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


@row("analysis.evaluate_regressor")
def _(evaluate_regressor):
    two = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    check_refuses(lambda: evaluate_regressor(two, (np.ones((3, 4)), np.ones(3))), "(3, 2) and (3, 1)")


@row("analysis.RegressionEvaluation")
def _(regression_evaluation):
    check_refuses(lambda: regression_evaluation(np.array([np.nan]), np.ones(1)), "`predictions`", "finite")


@row("analysis.ClassifierEvaluation")
def _(classifier_evaluation):
    check_refuses(lambda: classifier_evaluation(np.eye(3), np.arange(2)), "Received")


@row("analysis.Mistake", example_in="analysis.ClassifierEvaluation")
def _(mistake):
    assert mistake._fields == ("index", "true", "predicted", "score")


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


@row("analysis.HTMLReport")
def _(html_report):
    check_refuses(lambda: html_report("x").table(["a", "b"], [[1]]), "2 cells")


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


@row("analysis.SourceInfluence", example_in="analysis.leave_one_source_out")
def _(source_influence):
    assert source_influence.__dataclass_params__.frozen


@row("analysis.SourceEffect", example_in="analysis.leave_one_source_out")
def _(source_effect):
    assert source_effect._fields == ("name", "score_without", "effect", "standard_error", "verdict")
