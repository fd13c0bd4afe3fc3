"""`fine_tune` on what is no image: texts, tables with gaps, and models of several outputs."""

import keras
import numpy as np
import pytest

import tf_transfer as tft
from tf_transfer.fine_tuning.phases import _losses


def _model_of_two_tasks():
    x = keras.Input((3,), name="inputs")
    backbone = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "relu")], name="backbone")
    features = backbone(x)
    outputs = {
        "kind": keras.layers.Dense(2, "softmax", name="kind")(features),
        "size": keras.layers.Dense(1, name="size")(features),
    }
    model = keras.Model(x, outputs)
    model.compile(
        "adam", {"kind": "sparse_categorical_crossentropy", "size": "mse"}, loss_weights={"kind": 1.0, "size": 0.5}
    )
    return model


def _examples():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype("float32")
    return x, {"kind": (x[:, 0] > 0).astype(int), "size": x[:, 1:2]}


def test_both_phases_train_a_model_of_two_outputs_and_lower_each_loss():
    model, (x, y) = _model_of_two_tasks(), _examples()
    before = model.evaluate(x, y, return_dict=True, verbose=0)
    history = tft.fine_tune(
        model, (x, y), freeze_epochs=20, epochs=5, learning_rate=0.05, unfreeze=True, features_cache=False, seed=0,
        verbose=0,
    )  # fmt: skip
    after = model.evaluate(x, y, return_dict=True, verbose=0)
    assert after["kind_loss"] < before["kind_loss"] and after["size_loss"] < before["size_loss"]
    assert history.phases[0].name == "head"


def test_the_held_out_loss_of_two_outputs_is_the_weighted_sum_of_each_example():
    model, (x, y) = _model_of_two_tasks(), _examples()
    outputs = {name: np.asarray(values) for name, values in model.predict(x, verbose=0).items()}
    expected = -np.log(outputs["kind"][np.arange(40), y["kind"]]) + 0.5 * ((outputs["size"] - y["size"]) ** 2)[:, 0]
    np.testing.assert_allclose(_losses(model, y, outputs), expected, rtol=1e-5)
    assert model.evaluate(x, y, return_dict=True, verbose=0)["loss"] == pytest.approx(expected.mean(), rel=1e-5)


def test_class_weights_are_refused_where_it_isnt_plain_whose_they_are():
    with pytest.raises(ValueError, match="Give each task weights of its own"):
        tft.fine_tune(_model_of_two_tasks(), _examples(), class_weight={0: 1.0, 1: 2.0}, verbose=0)


def test_a_table_with_gaps_and_words_goes_through_both_phases(tmp_path):
    rng = np.random.default_rng(1)
    table = {"age": rng.normal(50, 10, 60), "ward": rng.choice(["a", "b"], 60).astype(object)}
    y = ((table["age"] > 50) | (table["ward"] == "b")).astype(int)
    table["age"][:3], table["ward"][3:6] = np.nan, ""
    builder = tft.TabularClassifier(num_classes=2, columns=["age", "ward"], hidden_units=[8], seed=0).adapt(table, y)
    model = builder.build()
    data = (builder.inputs(table), y)
    tft.fine_tune(model, data, data, freeze_epochs=30, epochs=1, learning_rate=0.05, seed=0, verbose=0,
                  features_cache=tmp_path)  # fmt: skip
    assert model.evaluate(*data, return_dict=True, verbose=0)["accuracy"] > 0.8


def test_texts_as_read_from_a_file_are_data():
    x = keras.Input((), dtype="string", name="text")
    words = keras.layers.TextVectorization(vocabulary=["good", "bad"], output_mode="multi_hot")
    backbone = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh")], name="backbone")
    model = keras.Model(x, keras.layers.Dense(2, "softmax")(backbone(words(x))))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = np.arange(20) % 2
    texts = np.array([("bad", "good")[label] for label in labels], object)
    reviews = tft.data.LabelledText(texts, labels, ("bad", "good"), "reviews.csv")
    tft.fine_tune(model, reviews, freeze_epochs=20, epochs=0, learning_rate=0.1, features_cache=False, verbose=0)
    assert model.evaluate(*reviews, return_dict=True, verbose=0)["accuracy"] == 1.0
    assert [len(part) for part in tft.data.hold_out(reviews, 0.5)] == [10, 10]
