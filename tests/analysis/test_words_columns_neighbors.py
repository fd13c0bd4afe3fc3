"""What speaks for a class among words, what a table's model needs, and which examples are alike."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft
from tf_transfer.analysis import nearest_examples, permutation_importance, word_attributions


@pytest.fixture(scope="module")
def counting():
    """A model of strings whose logits are the numbers of "good" and of "bad" in a text."""
    text = keras.Input((), dtype="string", name="text")
    words = keras.layers.TextVectorization(vocabulary=["good", "bad"], output_mode="count")
    counts = words(text)
    logits = keras.layers.Dense(2, use_bias=False, name="logits")(counts)
    model = keras.Model(text, keras.layers.Softmax()(logits))
    model.get_layer("logits").set_weights([np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])])
    return model


def share(good, bad):
    return np.exp(good) / (np.exp(good) + np.exp(bad))


def test_words_are_left_out_one_by_one(counting):
    good, bad = word_attributions(counting, ["a good,  bad & good film", "bad"], [0, 1], class_names=["yes", "no"])
    assert good.words == ("a", "good,", "bad", "&", "good", "film") and (good.label, bad.label) == ("yes", "no")
    one, other = share(2, 1) - share(1, 1), share(2, 1) - share(2, 0)
    np.testing.assert_allclose(good.values, [0, one, other, 0, one, 0], atol=1e-6)
    assert good.score == pytest.approx(share(2, 1), rel=1e-5)
    np.testing.assert_allclose(bad.values, [share(1, 0) - 0.5], rtol=1e-5)
    page = good.to_html()
    assert page.count("<span") == 6 and "&amp;" in page and "rgba(224, 90, 70, 0.80)" in page


def test_long_texts_are_cut_and_the_predicted_class_is_explained(counting):
    [found] = word_attributions(counting, "bad " * 40, max_words=7)
    assert len(found.words) == 7 and found.label == 1


def test_texts_that_can_not_be_explained(counting):
    with pytest.raises(ValueError, match=r"2 texts, without any: \[1\]"):
        word_attributions(counting, ["good", "  "])
    with pytest.raises(ValueError, match=r"of 0\.\.1"):
        word_attributions(counting, ["good"], 2)


def test_a_builders_model_of_texts():
    texts = np.array(["a fine film", "a dull film"] * 12, object)
    builder = tft.TextClassifier(
        num_classes=2, class_names=["bad", "good"], backbone_options={"dim": 8}, learning_rate=0.05, seed=0
    )
    model = builder.adapt(texts, verbose=0).build()
    model.fit(texts, np.tile([1, 0], 12), epochs=12, verbose=0)
    [found] = word_attributions(model, ["a fine film"])
    assert found.label == "good" and found.words[int(found.values.argmax())] == "fine"


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(400, 1)).astype("float32") for name in ("large", "small", "idle")}
    return x, 3 * x["large"] + x["small"]


def test_a_column_costs_twice_its_variance_times_its_weight_squared(table):
    x, y = table
    inputs = {name: keras.Input((1,), name=name) for name in x}
    model = keras.Model(inputs, keras.layers.Add()([keras.layers.Rescaling(3.0)(inputs["large"]), inputs["small"]]))
    model.compile(loss="mse")
    found = permutation_importance(model, table, num_repeats=8)
    assert found.columns == ["large", "small", "idle"] and found.losses.shape == (3, 8)
    # E (w x - w x')^2 = 2 w^2 var(x) for an independent x'.
    expected = [2 * 9 * x["large"].var(), 2 * x["small"].var(), 0]
    np.testing.assert_allclose(found.means, expected, rtol=0.1, atol=1e-6)
    again = permutation_importance(model, table, num_repeats=8)
    np.testing.assert_array_equal(found.losses, again.losses)
    labels = [text.get_text() for text in found.plot().axes[0].get_yticklabels()]
    assert labels == found.columns
    assert found.table().row_count == 3


def test_importance_wants_columns_and_a_loss(table):
    inputs = {name: keras.Input((1,), name=name) for name in table[0]}
    model = keras.Model(inputs, inputs["large"])
    with pytest.raises(ValueError, match="compiled with a loss"):
        permutation_importance(model, table)
    with pytest.raises(ValueError, match="dict of columns"):
        permutation_importance(model, (np.zeros((3, 2)), np.zeros(3)))


def test_a_builders_model_of_a_table():
    rng = np.random.default_rng(1)
    table = {"age": rng.normal(size=60), "ward": rng.choice(["a", "b"], 60)}
    y = (table["ward"] == "b").astype(int)
    builder = tft.TabularClassifier(num_classes=2, columns=["age", "ward"], learning_rate=0.05, seed=0).adapt(table)
    model = builder.build()
    model.fit(builder.inputs(table), y, epochs=15, verbose=0)
    found = permutation_importance(model, (builder.inputs(table), y), num_repeats=3)
    assert found.columns[0] == "ward" and found.means[0] > 5 * abs(found.means[1])


def test_neighbors_are_those_of_the_smallest_angle():
    rng = np.random.default_rng(2)
    encoder = keras.Sequential([keras.Input((2, 3)), keras.layers.Rescaling(2.0)])
    queries, examples = rng.normal(size=(4, 2, 3)), rng.normal(size=(9, 2, 3))
    places, cosines = nearest_examples(encoder, queries, examples, num_neighbors=3)
    rows = [each.reshape(len(each), -1) for each in (queries, examples)]
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in rows]
    expected = unit[0] @ unit[1].T
    np.testing.assert_array_equal(places, np.argsort(-expected, axis=1)[:, :3])
    np.testing.assert_allclose(cosines, np.sort(expected, axis=1)[:, ::-1][:, :3], rtol=1e-4)
    with pytest.raises(ValueError, match="at most the number of examples, 9"):
        nearest_examples(encoder, queries, examples, num_neighbors=10)
    assert tf.is_tensor(encoder(queries)), "the encoder is left as it was"
