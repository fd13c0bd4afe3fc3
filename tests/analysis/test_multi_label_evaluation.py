"""Several labels an example: figures against scikit-learn and by hand, labels that nobody knows, and intervals."""

import keras
import numpy as np
import pytest
from sklearn import metrics

import tf_transfer as tft
from tf_transfer.analysis import ClassifierEvaluation, MultiLabelEvaluation, Reliability

RNG = np.random.default_rng(0)
LABELS = (RNG.uniform(size=(120, 4)) < [0.5, 0.3, 0.2, 0.05]).astype(int)
# Of one digit, so that many scores are the same.
SCORES = np.clip(0.3 * LABELS + RNG.uniform(0, 0.7, LABELS.shape), 0, 1).round(1)
NAMES = ["old", "torn", "red", "signed"]


def test_the_figures_are_those_of_scikit_learn():
    found, given = MultiLabelEvaluation(SCORES, LABELS, NAMES), SCORES >= 0.5
    theirs = metrics.precision_recall_fscore_support(LABELS, given, zero_division=np.nan)
    for mine, other in zip((found.precision, found.recall, found.f1, found.support), theirs, strict=True):
        np.testing.assert_allclose(mine, other)
    np.testing.assert_array_equal(found.confusion, metrics.multilabel_confusion_matrix(LABELS, given))
    np.testing.assert_allclose(
        found.average_precision, metrics.average_precision_score(LABELS, SCORES, average=None), atol=1e-12
    )
    assert found.exact_match == pytest.approx(metrics.accuracy_score(LABELS, given))
    assert found.mean_average_precision == pytest.approx(metrics.average_precision_score(LABELS, SCORES))
    np.testing.assert_allclose(found.prevalence, LABELS.mean(axis=0))


def test_a_label_that_nobody_knows_counts_for_nothing():
    labels = LABELS.copy()
    labels[::3, 1] = -1
    found, rows = MultiLabelEvaluation(SCORES, labels), labels[:, 1] >= 0
    alone = MultiLabelEvaluation(SCORES[rows][:, [1]], LABELS[rows][:, [1]])
    for name in ("precision", "recall", "f1", "average_precision", "support", "prevalence"):
        assert getattr(found, name)[1] == pytest.approx(getattr(alone, name)[0])
        np.testing.assert_array_equal(np.delete(getattr(found, name), 1), np.delete(
            getattr(MultiLabelEvaluation(SCORES, LABELS), name), 1))  # fmt: skip
    assert found.exact_match == pytest.approx(MultiLabelEvaluation(SCORES[rows], LABELS[rows]).exact_match)
    assert not any(each.index % 3 == 0 for each in found.most_confident_mistakes(400) if each.label == 1)
    assert len(found.of_label(1).labels) == rows.sum()


def test_what_is_not_there_has_no_figure():
    found = MultiLabelEvaluation(np.array([[0.1, 0.9], [0.2, 0.8]]), np.array([[0, 1], [0, 0]]))
    assert np.isnan([found.precision[0], found.recall[0], found.f1[0], found.average_precision[0]]).all()
    assert np.isnan(found.recall_intervals()[0]).all() and np.isnan(found.f1_intervals()[0]).all()
    assert found.macro_f1 == found.f1[1] == pytest.approx(2 / 3)


def _drawn(num, seed):
    """Returns scores and labels whose precision and recall are 0.8: half have the label, and 0.5 tells 8 of 10."""
    rng = np.random.default_rng(seed)
    labels = rng.uniform(size=(num, 1)) < 0.5
    given = rng.uniform(size=labels.shape) < np.where(labels, 0.8, 0.2)
    return 0.5 * given + rng.uniform(0, 0.4999, labels.shape), labels.astype(int)


@pytest.mark.parametrize("name", ["f1", "average_precision"])
def test_an_interval_holds_the_true_figure_about_as_often_as_it_says(name):
    true = 0.8 if name == "f1" else metrics.average_precision_score(*_drawn(200_000, seed=99)[::-1])
    hits = 0
    for seed in range(30):
        ((low, high),) = getattr(MultiLabelEvaluation(*_drawn(150, seed)), f"{name}_intervals")()
        hits += low <= true <= high
    assert 0.83 <= hits / 30 <= 1


def test_which_labels_come_together_by_hand():
    labels = np.array([[1, 1, 0], [1, 0, 0], [1, 1, -1], [0, 1, 0]])
    scores = np.array([[0.9, 0.9, 0.1], [0.9, 0.9, 0.1], [0.1, 0.9, 0.9], [0.1, 0.1, 0.1]])
    true, given = MultiLabelEvaluation(scores, labels).together()
    np.testing.assert_allclose(true, [[1, 2 / 3, 0], [2 / 3, 1, 0], [np.nan] * 3])
    np.testing.assert_allclose(given, [[1, 1, 0], [2 / 3, 1, 0], [np.nan] * 3])


def test_mistakes_begin_with_those_furthest_from_the_truth():
    found = MultiLabelEvaluation(np.array([[0.9, 0.2], [0.4, 0.95]]), np.array([[0, 0], [1, 0]]), ["old", "torn"])
    worst = found.most_confident_mistakes()
    assert [found.describe(each) for each in worst] == [
        "torn given (0.95), not there", "old given (0.90), not there", "old missed (0.40)",
    ]  # fmt: skip
    assert found.most_confident_mistakes(1) == [(1, 1, False, 0.95)]


def test_the_reliability_of_one_class_is_the_share_that_is_of_it():
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])
    found = Reliability(ClassifierEvaluation(scores, np.array([0, 1, 1, 1])), num_bins=10, of_class=1)
    # Half of two where the score is 0.1, both where it is 0.8.
    assert found.expected_calibration_error == pytest.approx(0.5 * 0.4 + 0.5 * 0.2)
    with pytest.raises(ValueError, match="`of_class`"):
        Reliability(ClassifierEvaluation(scores, np.array([0, 1, 1, 1])), of_class=2)


def test_a_model_is_asked_and_what_is_wrong_is_named():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Activation("sigmoid")])
    x = RNG.normal(size=(120, 4)).astype("float32")
    found = tft.analysis.evaluate_multi_label(model, (x, LABELS), NAMES, threshold=0.7)
    np.testing.assert_array_equal(found.predictions, 1 / (1 + np.exp(-x)) >= 0.7)
    assert found.class_names == tuple(NAMES)
    with pytest.raises(ValueError, match="one column a label"):
        MultiLabelEvaluation(SCORES, LABELS[:, 0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        MultiLabelEvaluation(5 * SCORES, LABELS)
    with pytest.raises(ValueError, match="`class_names` must have 4 names"):
        MultiLabelEvaluation(SCORES, LABELS, ["old"])


def test_the_figure_has_both_matrices():
    figure = MultiLabelEvaluation(SCORES, LABELS, NAMES).plot_together()
    assert [axes.get_title() for axes in figure.axes] == ["true labels", "given labels"]
    assert [text.get_text() for text in figure.axes[0].texts[:1]] == ["100"]
