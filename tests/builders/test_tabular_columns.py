"""Numbers, categories and texts with gaps: what of them is learned, kept as data, and encoded in the served graph."""

import dataclasses
import functools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

TABLE = {
    "age": [40.0, 60.0, None, 50.0, 40.0, 60.0],
    "stage": [1, 2, 2, 3, 1, 1],
    "ward": ["A", "B", "A", None, "C", "A"],
    "note": ["Pain, bad pain!", "no pain", "", "bad sleep", "sleep", None],
}
KINDS = {"age": "number", "stage": "category", "ward": "category", "note": "text"}
SICK = np.array([1, 0, 0, 1, 0, 0])


def adapted(**fields):
    options = {"columns": KINDS, "num_classes": 2, "hidden_units": [4], "seed": 0, **fields}
    return tft.TabularClassifier(**options).adapt(TABLE, SICK)


def encoded(builder, table):
    model = builder.build()
    inner = keras.Model(model.input, model.get_layer("feature_map").input)
    return model, inner.predict(builder.inputs(table), verbose=0)


def test_each_kind_becomes_the_numbers_that_it_should():
    builder = adapted()
    _, values = encoded(builder, TABLE)
    mean, std = 50.0, np.std([40, 60, 50, 40, 60])
    age = [[-10 / std, 0], [10 / std, 0], [0, 1], [0, 0], [-10 / std, 0], [10 / std, 0]]
    stage = np.eye(3)[[0, 1, 1, 2, 0, 0]]
    ward = np.eye(4)[[0, 1, 0, 3, 2, 0]]
    # The words by how often they occur: pain, sleep, bad, no.
    words = builder.columns["note"]["tokens"]
    assert sorted(words) == ["bad", "no", "pain", "sleep"]
    texts = [["pain", "bad"], ["no", "pain"], [], ["bad", "sleep"], ["sleep"], []]
    note = [[float(word in text) for word in words] for text in texts]
    np.testing.assert_allclose(values, np.hstack([age, stage, ward, note]), atol=1e-6)
    assert builder.columns["age"] == {"kind": "number", "mean": mean, "std": std, "missing": True}
    assert builder.columns["stage"]["values"] == [1.0, 2.0, 3.0] and builder.columns["ward"]["missing"]


def test_what_the_training_table_did_not_have_is_zero_everywhere():
    unseen = {"age": [None], "stage": [9], "ward": ["Z"], "note": ["fever"]}
    for builder in (adapted(), adapted(missing_indicators=False)):
        _, values = encoded(builder, unseen)
        assert values.sum() == builder.missing_indicators and not np.isnan(values).any()
    _, values = encoded(adapted(missing_indicators=False), {**TABLE, "stage": [np.nan] * 6})
    assert values.shape[1] == 1 + 3 + 3 + 4 and not values[:, 1:4].any() and not values[3, 4:7].any()


def test_rare_values_and_words_share_a_place():
    builder = adapted(max_categories=1, max_tokens=2)
    assert builder.columns["ward"]["values"] == ["A"] and builder.columns["stage"]["values"] == [1.0]
    _, values = encoded(builder, {**TABLE, "stage": [1, 2, np.nan, 3, 1, 7]})
    np.testing.assert_array_equal(values[:, 2:4], [[1, 0], [0, 1], [0, 0], [0, 1], [1, 0], [0, 1]])
    # Value, another value, none.
    np.testing.assert_array_equal(values[:, 4:7], np.eye(3)[[0, 1, 0, 2, 1, 0]])
    assert values[:, 7:].shape == (6, 3) and values[1, 7] == 1


def test_codes_that_no_lookup_could_tell_are_kept_apart_or_refused():
    builder = tft.TabularClassifier(columns={"code": "category"}, num_classes=2)
    column = builder.adapt({"code": ["a", "[UNK]", "b", "a"]}).columns["code"]
    assert column["values"] == ["a", "b"] and column["other"]
    with pytest.raises(ValueError, match=r"'code' has codes that float32.*such as 16777217"):
        builder.adapt({"code": [16777216, 16777217]})


def test_only_what_a_table_says_is_asked_of_it():
    builder = tft.TabularClassifier(columns=list(TABLE), num_classes=2).adapt({**TABLE, "id": range(6)})
    assert {name: column["kind"] for name, column in builder.columns.items()} == {**KINDS, "stage": "number"} | {
        "note": "category"
    }
    with pytest.raises(ValueError, match=r"'ward' must hold texts, one a row. Received: 1.0 in row 0"):
        adapted().inputs({**TABLE, "ward": [1] * 6})
    with pytest.raises(ValueError, match=r"'age' must hold numbers, one a row. Received: 'old' in row 1"):
        adapted().inputs({**TABLE, "age": [None, "old"] * 3})
    nothing = adapted().inputs({**TABLE, "ward": [None] * 6, "age": [""] * 6})
    assert nothing["ward"].dtype == tf.string and np.isnan(nothing["age"]).all()
    with pytest.raises(ValueError, match="'code' has another word in nearly each of its 24 rows"):
        tft.TabularClassifier(columns=["code"], num_classes=2).adapt({"code": [f"p{i}" for i in range(24)]})
    with pytest.raises(ValueError, match="'note' has no word"):
        adapted().adapt({**TABLE, "note": ["!", "?", "...", "!", "-", ""]})


@pytest.mark.slow
def test_what_was_learned_is_data_and_opens_where_the_package_is_not_imported(tmp_path):
    builder = adapted(learning_rate=0.05)
    assert tft.TabularClassifier.from_yaml(builder.to_yaml()) == builder
    assert json.loads(json.dumps(builder.to_dict()))["columns"]["ward"]["values"] == ["A", "B", "C"]
    model = builder.build()
    model.fit(builder.inputs(TABLE), SICK, epochs=30, verbose=0)
    scores = model.predict(builder.inputs(TABLE), verbose=0)
    assert (scores.argmax(-1) == SICK).all()
    model.save(tmp_path / "model.keras")
    rows = [dict(zip(TABLE, row)) for row in zip(*TABLE.values())]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    code = (
        "import keras, json, numpy as np, tensorflow as tf, sys; folder = sys.argv[1];"
        "model = keras.models.load_model(folder + '/model.keras');"
        "rows = json.load(open(folder + '/rows.json'));"
        "column = lambda name: [row[name] for row in rows];"
        "number = lambda name: np.array([[np.nan if v is None else v] for v in column(name)], 'float32');"
        "text = lambda name: tf.constant([[v or ''] for v in column(name)]);"
        "x = {'age': number('age'), 'stage': number('stage'), 'ward': text('ward'), 'note': text('note')};"
        "assert 'tf_transfer' not in sys.modules;"
        "np.save(folder + '/out.npy', model.predict(x, verbose=0))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), scores, rtol=1e-5)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served")).signatures["serving_default"]
    (answer,) = served(**{k: tf.convert_to_tensor(v) for k, v in builder.inputs(TABLE).items()}).values()
    np.testing.assert_allclose(answer, scores, rtol=1e-5)


def test_whose_rows_set_the_scale_is_an_argument():
    source, target = {"age": np.array([40.0, 60.0])}, {"age": np.array([80.0, 120.0, np.nan])}
    make = tft.TabularClassifier(columns=["age"], num_classes=2, hidden_units=[2], seed=0)
    moments = {
        scaler: make.adapt(source, target=None if scaler == "source" else target, scaler=scaler).columns["age"]
        for scaler in ("source", "target", "both")
    }
    assert {scaler: (each["mean"], each["std"]) for scaler, each in moments.items()} == {
        "source": (50.0, 10.0),
        "target": (100.0, 20.0),
        "both": (75.0, np.std([40, 60, 80, 120])),
    }
    # By its own scale the target's 80 is the source's 40.
    builder = make.adapt(source)
    model = builder.build()
    model.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in model.get_weights()])
    predict = functools.partial(keras.Model.predict, verbose=0)
    own = builder.for_target(model, target, scaler="target")
    of = {"source": builder.inputs({"age": [40.0, 60.0]}), "target": builder.inputs({"age": [80.0, 120.0]})}
    np.testing.assert_allclose(predict(own, of["target"]), predict(model, of["source"]), rtol=1e-5)
    assert own.builder.columns["age"]["mean"] == 100.0 and builder.for_target(model).builder == builder
    gone = builder.for_target(model, {"age": [None, None]}, scaler="target")
    assert gone.builder.columns["age"]["mean"] == 50.0
    with pytest.raises(ValueError, match="needs a `table`"):
        builder.for_target(model, scaler="target")
    with pytest.raises(ValueError, match="takes no `target`"):
        builder.adapt(source, target=target)


def test_a_classifiers_head_has_its_parts_for_the_target():
    builder = dataclasses.replace(adapted(), target_parts=["bias"])
    model = builder.for_target(builder.build())
    assert [weight.path.split("/")[-2:] for weight in model.trainable_weights] == [["logits", "bias"]]


def test_adaptation_and_distillation_take_strings_and_gaps(tmp_path):
    builder = adapted()
    inputs = builder.inputs(TABLE)
    pairs = tft.data.pair_domains((inputs, SICK), inputs, batch_size=3, seed=0, missing=True)
    method = tft.DANN(*builder.parts(builder.build()), seed=0)
    method.compile("adam", "sparse_categorical_crossentropy")
    history = method.fit(pairs, verbose=0).history
    assert np.isfinite(history["domain_loss"]).all() and np.isfinite(history["loss"]).all()
    teacher = method.deployable()
    assert teacher.predict(inputs, verbose=0).shape == (6, 2)
    student = tft.Distiller(adapted(hidden_units=[2]).build(), teacher)
    student.compile("adam", "sparse_categorical_crossentropy")
    assert np.isfinite(student.fit(inputs, SICK, verbose=0).history["loss"]).all()
    student.save(tmp_path / "student.keras")
    again = tft.load_model(tmp_path / "student.keras").deployable()
    np.testing.assert_allclose(again.predict(inputs, verbose=0), student.predict(inputs, verbose=0), rtol=1e-5)


@pytest.mark.slow
def test_a_table_of_one_column_goes_through_fine_tuning():
    builder = tft.TabularClassifier(columns=["age"], num_classes=2, hidden_units=[2], seed=0).adapt(TABLE)
    data = builder.inputs(TABLE), SICK
    history = tft.fine_tune(builder.build(), data, data, freeze_epochs=0, epochs=1, verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()
