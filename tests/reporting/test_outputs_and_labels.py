"""Pages about models of several labels an example and of several outputs: the figures of each, and what is missing."""

import json

import keras
import numpy as np
import pytest
from test_report import Text

import tf_transfer as tft
from tf_transfer.analysis import ClassifierEvaluation, MultiLabelEvaluation, RegressionEvaluation
from tf_transfer.cli import main
from tf_transfer.reporting.asking import asked_subject, output_names

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 255, (24, 12, 12, 3)).astype("float32")
TAGS = (RNG.uniform(size=(24, 3)) < [0.6, 0.4, 0.2]).astype("int64")
NAMES = ["old", "torn", "<red>"]


@pytest.fixture(autouse=True)
def not_timed(monkeypatch):
    """How fast a model is here is not what these tests are about."""
    monkeypatch.setattr("tf_transfer.reporting.serving_sections.median_seconds", lambda *_, **__: {"model": 1.0})


def backbone():
    image = keras.Input((12, 12, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x), name="backbone")


def labels():
    """Returns labels of three tasks, of which a third lack the kind, some the age, and two everything but that."""
    kind, age, tags = np.arange(24) % 3, RNG.normal(40, 9, (24, 1)).astype("float32"), TAGS.copy()
    kind[::3], age[:5], tags[:2] = -1, np.nan, -1
    tags[5, 1] = -1
    return {"kind": kind, "age": age, "tags": tags}


@pytest.fixture(scope="module")
def several():
    tasks = {"kind": tft.ClassificationTask(num_classes=3, class_names=["ant", "bee", "cat"]),
             "age": tft.RegressionTask(target_mean=40.0, target_std=9.0),
             "tags": tft.ClassificationTask(num_classes=3, multi_label=True, class_names=NAMES)}  # fmt: skip
    trunk = tft.builders.ImageBuilder(backbone=backbone(), trainable=True, seed=0)
    model = tft.MultiTask(trunk=trunk, tasks=tasks).build()
    # Its last kernels start at zero, and scores that are all the same would prove nothing.
    model.set_weights([RNG.normal(0, 0.3, weight.shape) for weight in model.get_weights()])
    return model


def test_several_labels_an_example(tmp_path):
    builder = tft.ImageClassifier(num_classes=3, multi_label=True, class_names=NAMES, backbone=backbone(), seed=0)
    model = builder.build()
    model.set_weights([RNG.normal(0, 0.3, weight.shape) for weight in model.get_weights()])
    text = Text(tft.report(model, (X, TAGS), tmp_path / "page.html", num_shown=3, verbose=0))
    found = tft.analysis.evaluate_multi_label(model, (X, TAGS))
    assert text.headings == [
        "In short", "What it was made from", "How it was trained", "Labels", "Is it right as often as it says?",
        "Its most confident mistakes", "Where it looks", "What it costs", "How to serve it",
        "What this page was made with",
    ]  # fmt: skip
    low, high = found.exact_match_interval()
    assert f"mean average precision is {found.mean_average_precision:.3f}" in text.text
    assert f"{found.exact_match:.1%} of the examples (95% interval {low:.1%} to {high:.1%})" in text.text
    low, high = found.average_precision_intervals()[2]
    assert f"{found.average_precision[2]:.2f} ({low:.2f} to {high:.2f})" in text.text
    (missed, given), (lost, right) = found.confusion[0]
    assert f"rightly not given old {right} {lost} {given} {missed}" in text.text
    assert found.describe(found.most_confident_mistakes(1)[0]) in text.text
    # Labels together, a diagram a label, the mistakes, the explanations.
    assert text.num_pictures == 1 + 3 + 3 + 3


def test_each_output_is_measured_on_the_examples_that_have_its_label(several):
    y = labels()
    subject = asked_subject(several, (X, y), num_shown=3)
    parts, given = {part.output: part for part in subject.parts}, several.predict(X, verbose=0)
    assert list(parts) == output_names(several) and set(parts) == {"kind", "age", "tags"}
    has = y["kind"] >= 0
    kind = ClassifierEvaluation(given["kind"][has], y["kind"][has])
    assert parts["kind"].evaluation.accuracy == kind.accuracy and len(parts["kind"].evaluation.labels) == 16
    np.testing.assert_array_equal(parts["kind"].inputs, X[has])
    has = np.isfinite(y["age"][:, 0])
    assert parts["age"].evaluation.mae == pytest.approx(RegressionEvaluation(given["age"][has], y["age"][has]).mae)
    tags = MultiLabelEvaluation(given["tags"], y["tags"])
    assert parts["tags"].evaluation.mean_average_precision == pytest.approx(tags.mean_average_precision, abs=1e-6)
    assert len(parts["tags"].evaluation.labels) == 22 and parts["tags"].evaluation.class_names == tuple(NAMES)
    np.testing.assert_allclose(parts["age"].model.predict(X, verbose=0), given["age"], rtol=1e-5)


def test_a_page_has_sections_for_each_output(several, tmp_path):
    text = Text(tft.report(several, (X, labels()), tmp_path / "page.html", source=X[:12], num_shown=2, verbose=0))
    for output, headings in {
        "kind": ["in short", "classes", "is it right as often as it says?", "where it looks"],
        "age": ["in short", "predictions and targets", "its largest errors"],
        "tags": ["in short", "labels", "is it right as often as it says?", "where it looks"],
    }.items():
        assert {f"{output}: {each}" for each in headings} <= set(text.headings)
    assert "It has 3 outputs" in text.text and "How far the target is from the source" in text.headings
    assert "ant" in text.words and "<red>" in text.words
    assert len(text.links) == len(text.headings) == len(set(text.links))


def test_plain_keras_models_tell_their_outputs_by_their_ends(tmp_path):
    inputs = keras.Input((4,))
    dense = {"sort": ("softmax", 3), "tags": ("sigmoid", 3), "size": (None, 1)}
    ends = {name: keras.layers.Dense(units, end, name=name)(inputs) for name, (end, units) in dense.items()}
    model = keras.Model(inputs, list(ends.values()))
    x, y = RNG.normal(size=(24, 4)).astype("float32"), labels()
    data = (x, {"sort": np.arange(24) % 3, "tags": TAGS, "size": y["age"]})
    tft.save_model(model, tmp_path / "model.keras", class_names={"sort": ["a", "b", "c"]})
    loaded = tft.load_model(tmp_path / "model.keras")
    kinds = {part.output: type(part.evaluation) for part in asked_subject(loaded, data).parts}
    assert kinds == {"sort": ClassifierEvaluation, "tags": MultiLabelEvaluation, "size": RegressionEvaluation}
    data[1]["size"][:] = np.nan
    text = Text(tft.report(tmp_path / "model.keras", data, tmp_path / "page.html", verbose=0))
    assert "sort: classes" in text.headings and "b" in text.words
    assert "size: in short" in text.headings and "size: predictions and targets" not in text.headings
    assert "None of the examples has a label" in text.text and "size no labels" in text.text


def test_what_does_not_fit_is_said_before_the_model_runs(several, tmp_path, monkeypatch):
    monkeypatch.setattr("tf_transfer.reporting.asking.ask", None)
    page, y = tmp_path / "page.html", labels()
    for wrong in (y["kind"], {"kind": y["kind"]}, {**y, "more": y["kind"]}):
        with pytest.raises(ValueError, match=r"outputs \['age', 'kind', 'tags'\], so that `data` must have a dict"):
            tft.report(several, (X, wrong), page, verbose=0)
    with pytest.raises(ValueError, match="dict by output"):
        tft.report(several, (X, y), page, class_names=NAMES, verbose=0)
    with pytest.raises(ValueError, match=r"'kin'.*Did you mean 'kind'"):
        tft.report(several, (X, y), page, class_names={"kin": NAMES}, verbose=0)
    with pytest.raises(ValueError, match="deployable"):
        tft.report(tft.UncertaintyWeighting(several), (X, y), page, verbose=0)
    assert not list(tmp_path.iterdir())


def test_the_command_gives_labels_of_one_output_only(several, photos, tmp_path, capsys):
    tft.save_model(several, tmp_path / "several.keras")
    argv = ["report", tmp_path / "several.keras", "--images", photos, "--output", tmp_path / "page.html", "--json"]
    assert main([str(word) for word in argv]) != 0
    out, err = capsys.readouterr()
    said = err + json.dumps(out)
    assert "has the outputs" in said and "as a dict by output" in said
