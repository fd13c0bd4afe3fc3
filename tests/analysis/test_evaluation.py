"""Values worked out by hand: three classes, one of them never predicted."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft
from tf_transfer.analysis import ClassifierEvaluation, Mistake, evaluate_classifier

# True:      a    a    a    a    b    b    c    c
# Predicted: a    a    a    b    b    a    a    b
SCORES = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.7, 0.2, 0.1],
        [0.6, 0.3, 0.1],
        [0.3, 0.6, 0.1],
        [0.1, 0.5, 0.4],
        [0.9, 0.1, 0.0],
        [0.7, 0.2, 0.1],
        [0.1, 0.6, 0.3],
    ]
)
LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])


@pytest.fixture(scope="module")
def evaluation():
    return ClassifierEvaluation(SCORES, LABELS, ["ant", "bee", "cat"])


@pytest.fixture(scope="module")
def model():
    """Returns a model whose probabilities are the rows it is given."""
    return keras.Sequential([keras.Input((3,)), keras.layers.Activation("linear")])


def test_figures_worked_out_by_hand(evaluation):
    assert evaluation.predictions.tolist() == [0, 0, 0, 1, 1, 0, 0, 1]
    assert evaluation.confusion.tolist() == [[3, 1, 0], [1, 1, 0], [1, 1, 0]]
    assert evaluation.confusion.dtype.kind == "i"
    assert evaluation.accuracy == 0.5
    np.testing.assert_allclose(evaluation.precision, [3 / 5, 1 / 3, np.nan])
    np.testing.assert_allclose(evaluation.recall, [3 / 4, 1 / 2, 0])
    # 2 * true positives / (examples + predictions): 6/9, 2/5, 0/2.
    np.testing.assert_allclose(evaluation.f1, [2 / 3, 2 / 5, 0])
    assert evaluation.macro_f1 == pytest.approx((2 / 3 + 2 / 5) / 3)
    assert evaluation.support.tolist() == [4, 2, 2]
    assert evaluation.log_loss == pytest.approx(-np.log([0.8, 0.7, 0.6, 0.3, 0.5, 0.1, 0.1, 0.3]).mean())


def test_a_class_that_does_not_occur_is_no_part_of_the_mean():
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    evaluation = ClassifierEvaluation(scores, np.array([0, 1]))
    assert evaluation.macro_f1 == 1.0
    assert np.isnan([evaluation.precision[2], evaluation.recall[2], evaluation.f1[2]]).all()
    assert ClassifierEvaluation(scores, np.array([2, 2])).log_loss == pytest.approx(23 * np.log(2))
    assert evaluation.confusion.shape == (3, 3) and evaluation.class_names == ("0", "1", "2")


def test_interval_is_wilsons(evaluation):
    # (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) with p = 1/2, n = 8.
    z, n = 1.959963984540054, 8
    half = z * np.sqrt(0.25 / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert evaluation.accuracy_interval() == pytest.approx((0.5 - half, 0.5 + half))
    low, high = evaluation.accuracy_interval(confidence=0.5)
    assert evaluation.accuracy_interval()[0] < low < 0.5 < high < evaluation.accuracy_interval()[1]
    assert ClassifierEvaluation(SCORES[:3], LABELS[:3]).accuracy_interval()[1] == pytest.approx(1)


def test_most_confident_mistakes_come_first(evaluation):
    mistakes = evaluation.most_confident_mistakes()
    assert mistakes == [Mistake(5, 1, 0, 0.9), Mistake(6, 2, 0, 0.7), Mistake(3, 0, 1, 0.6), Mistake(7, 2, 1, 0.6)]
    assert evaluation.most_confident_mistakes(2) == mistakes[:2]
    assert evaluation.describe(mistakes[0]) == "bee taken for ant (0.90)"
    with pytest.raises(ValueError, match="`num` must be an integer of at least 1"):
        evaluation.most_confident_mistakes(0)


def test_integer_one_hot_and_streamed_labels_give_the_same(model, evaluation):
    one_hot = np.eye(3, dtype="float32")[LABELS]
    stream = tf.data.Dataset.from_tensor_slices((SCORES, one_hot)).batch(3)
    single = tf.data.Dataset.from_tensor_slices((SCORES.astype("float32"), LABELS))
    weighted = (SCORES, LABELS, np.arange(8.0))
    for data in [(SCORES, LABELS), (SCORES, one_hot), (SCORES, LABELS[:, None]), stream, single, weighted]:
        result = evaluate_classifier(model, data)
        np.testing.assert_array_equal(result.labels, LABELS)
        np.testing.assert_allclose(result.scores, SCORES, atol=1e-6)
        assert result.accuracy == evaluation.accuracy


def test_a_shuffled_stream_keeps_scores_and_labels_together(model, evaluation):
    stream = tf.data.Dataset.from_tensor_slices((SCORES, LABELS)).shuffle(8, reshuffle_each_iteration=True).batch(2)
    for _ in range(3):
        assert evaluate_classifier(model, stream).confusion.tolist() == evaluation.confusion.tolist()


def test_logits_and_one_output_become_probabilities():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Activation("linear")])
    logits = np.log(np.array([[0.2, 0.8], [0.7, 0.3]])) + 5
    result = evaluate_classifier(model, (logits, [1, 0]), from_logits=True)
    np.testing.assert_allclose(result.scores, [[0.2, 0.8], [0.7, 0.3]], atol=1e-6)
    with pytest.raises(ValueError, match=r"no probabilities.*from_logits=True"):
        evaluate_classifier(model, (logits, [1, 0]))

    one = keras.Sequential([keras.Input((1,)), keras.layers.Activation("linear")])
    result = evaluate_classifier(one, (np.array([[0.9], [0.2]]), [1, 1]), class_names=["no", "yes"])
    np.testing.assert_allclose(result.scores, [[0.1, 0.9], [0.8, 0.2]], atol=1e-6)
    assert result.predictions.tolist() == [1, 0]
    result = evaluate_classifier(one, (np.array([[np.log(9.0)], [0.0]]), [1, 1]), from_logits=True)
    np.testing.assert_allclose(result.scores, [[0.1, 0.9], [0.5, 0.5]], atol=1e-6)


def test_agrees_with_keras_on_a_model_that_was_trained():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4)).astype("float32")
    y = x[:, :3].argmax(axis=1)
    dense = keras.layers.Dense(3, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(1))
    model = keras.Sequential([keras.Input((4,)), dense])
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=3, shuffle=False, verbose=0)
    expected = model.evaluate(x, y, verbose=0)[1]
    result = evaluate_classifier(model, (x, y), batch_size=7)
    assert 0.4 < expected < 1 and result.accuracy == pytest.approx(expected)
    assert result.support.tolist() == np.bincount(y).tolist()


def test_class_names_come_from_the_builder_and_must_agree():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Activation("linear")])
    model.builder = type("Builder", (), {"class_names": ("ant", "bee", "cat")})
    assert evaluate_classifier(model, (SCORES, LABELS)).class_names == ("ant", "bee", "cat")
    with pytest.raises(ValueError, match=r"Class names must agree.*'dog'.*the model has.*'cat'"):
        evaluate_classifier(model, (SCORES, LABELS), class_names=["ant", "bee", "dog"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": (SCORES, LABELS + 1)}, r"integers from 0 to 2.*Received: 3"),
        ({"data": tf.data.Dataset.from_tensors((SCORES, LABELS)).repeat()}, r"endless.*dataset\.take"),
        ({"data": tf.data.Dataset.from_tensors((SCORES, LABELS)).filter(lambda x, y: False)}, "empty"),
        ({"data": (np.full((2, 3), 0.5), [0, 1])}, "no probabilities"),
        ({"class_names": ["a", "b"]}, r"`class_names` must have 3 names.*\['a', 'b'\]"),
    ],
)
def test_what_cannot_be_evaluated_is_said(model, change, words):
    with pytest.raises(ValueError, match=words):
        evaluate_classifier(model, **{"data": (SCORES, LABELS), **change})


def test_scores_that_are_nan_are_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * float("nan"))])
    with pytest.raises(ValueError, match="no probabilities"):
        evaluate_classifier(model, (SCORES, LABELS))
    with pytest.raises(ValueError, match="one label a row"):
        ClassifierEvaluation(SCORES, LABELS[:3])
    with pytest.raises(ValueError, match=r"`scores` must have shape.*\(8,\)"):
        ClassifierEvaluation(SCORES[:, 0], LABELS)


def test_confusion_figure_shows_every_count(evaluation):
    axes = evaluation.plot_confusion().axes[0]
    assert [text.get_text() for text in axes.texts] == ["3", "1", "0", "1", "1", "0", "1", "1", "0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee", "cat"]
    # Colors are shares of the true class, rows add up to 1.
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]])


def test_mistakes_are_shown_with_their_own_images(evaluation):
    images = np.arange(8).reshape(8, 1, 1, 1) * np.full((1, 2, 2, 1), 30)
    shown = [axes for axes in evaluation.plot_mistakes(images, num=3).axes if axes.images]
    assert [int(axes.images[0].get_array()[0, 0]) for axes in shown] == [150, 180, 90]
    assert shown[0].get_title() == "bee\ntaken for ant (0.90)"
    with pytest.raises(ValueError, match=r"one image for each of the 8"):
        evaluation.plot_mistakes(images[:5])
    right = ClassifierEvaluation(SCORES[:3], LABELS[:3])
    assert right.plot_mistakes(images[:3]).axes[0].texts[0].get_text() == "no mistakes"


def test_what_a_folder_calls_its_classes_is_used(tmp_path):
    for value, name in enumerate(["dark", "light"]):
        for index in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            image = np.full((4, 4, 3), 200 * value + index, "uint8")
            keras.utils.save_img(tmp_path / name / f"{index}.png", image, scale=False)
    image = keras.Input((4, 4, 3), name="image")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    light = keras.layers.Lambda(lambda x: x[:, :1], output_shape=(1,))(mean)
    result = evaluate_classifier(keras.Model(image, light), tft.data.ImageFolder(tmp_path, image_size=(4, 4)))
    assert result.class_names == ("dark", "light")
    assert result.confusion.tolist() == [[3, 0], [0, 3]]
