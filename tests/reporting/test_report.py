"""A page about a model: what it says is what was measured, for each kind of input, and it loads nothing."""

import base64
import html.parser
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

RNG = np.random.default_rng(0)


class Text(html.parser.HTMLParser):
    """Reads the text of a page, its headings and how many pictures it has."""

    def __init__(self, path):
        super().__init__()
        self.words, self.headings, self.num_pictures, self.sources, self.links = [], [], 0, [], []
        self._in = None
        self.feed(open(path, encoding="utf-8").read())  # noqa: SIM115

    def handle_starttag(self, tag, attributes):
        self._in = tag
        self.num_pictures += tag == "img"
        self.sources += [value for name, value in attributes if name == "src"]
        self.links += [value for name, value in attributes if name == "href"]

    def handle_data(self, text):
        self.words.append(text)
        if self._in == "h2" and text.strip():
            self.headings.append(text)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def classifier():
    image = keras.Input((12, 12, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(keras.layers.Rescaling(1 / 255)(image))
    backbone = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x), name="backbone")
    builder = tft.ImageClassifier(num_classes=3, class_names=["ant", "bee", "<cat>"], backbone=backbone, seed=0)
    return builder.build()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    model, before = classifier(), classifier()
    x, y = RNG.uniform(0, 255, (30, 12, 12, 3)).astype("float32"), np.arange(30) % 3
    history = model.fit(x, y, validation_data=(x[:9], y[:9]), epochs=2, verbose=0)
    gap = tft.analysis.domain_gap(RNG.normal(size=(30, 4)), RNG.normal(size=(30, 4)) + 2.0)
    path = tmp_path_factory.mktemp("report") / "page.html"
    tft.report(model, (x, y), path, title="Insects & cats", history=history, pretrained=before, gap=gap,
               export_path="saved_models/insects/3", num_shown=4, verbose=0)  # fmt: skip
    return Text(path), tft.analysis.evaluate_classifier(model, (x, y)), gap


def test_the_figures_are_those_of_the_evaluation(page):
    text, evaluation, gap = page
    low, high = evaluation.accuracy_interval()
    assert f"Right on {evaluation.accuracy:.1%} of 30 held-out examples" in text.text
    assert f"{low:.1%} to {high:.1%}" in text.text and "would be right on 33.3%" in text.text
    error = tft.analysis.Reliability(evaluation).expected_calibration_error
    assert f"off by {error:.1%} on average" in text.text
    assert gap.verdict in text.text


def test_it_has_a_section_for_each_thing_that_it_was_given(page):
    text, evaluation, _ = page
    assert text.headings == [
        "In short", "What it was made from", "How it was trained", "Classes", "Is it right as often as it says?",
        "Its most confident mistakes", "Where it looks", "What fine-tuning moved",
        "How far the target is from the source", "What it costs", "How to serve it", "What this page was made with",
    ]  # fmt: skip
    worst = evaluation.most_confident_mistakes(4)
    assert all(evaluation.describe(mistake) in text.text for mistake in worst)
    # Two curves, confusion, reliability, the mistakes, an explanation each, what moved, the gap.
    assert text.num_pictures == 6 + len(worst) + 4
    assert "MODEL_NAME=insects" in text.text and "$PWD/saved_models/insects" in text.text
    assert "tf-transfer predict saved_models/insects photo.jpg" in text.text
    low, high = evaluation.recall_intervals()[0]
    assert f"{evaluation.recall[0]:.2f} ({low:.2f} to {high:.2f})" in text.text


def test_it_loads_nothing_and_its_contents_lead_to_its_sections(page):
    text = page[0]
    assert text.sources and all(source.startswith("data:image/png;base64,") for source in text.sources)
    assert len(text.links) == len(text.headings) and all(link.startswith("#") for link in text.links)


def test_the_recall_intervals_are_wilsons():
    evaluation = tft.analysis.ClassifierEvaluation(np.eye(3)[[0, 0, 1, 1]], np.array([0, 0, 0, 1]))
    (low, high), _, (unknown, _) = evaluation.recall_intervals()
    # By the formula for 2 of 3, with z = 1.959964.
    z = 1.959964
    middle, half = (2 / 3 + z**2 / 6) / (1 + z**2 / 3), z / (1 + z**2 / 3) * np.sqrt(2 / 27 + z**2 / 36)
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=1e-5) and np.isnan(unknown)


def test_texts_show_their_words(tmp_path):
    texts = np.array(["a fine film", "a dull film"] * 8, object)
    builder = tft.TextClassifier(num_classes=2, class_names=["bad", "good"], backbone_options={"dim": 4}, seed=0)
    model = builder.adapt(texts, verbose=0).build()
    path = tft.report(model, (texts, np.tile([0, 1], 8)), tmp_path / "texts.html", num_shown=2, verbose=0)
    text = Text(path)
    assert "Which words it goes by" in text.headings and "a dull film" in text.text
    assert "Without a word the score loses" in text.text and "rgba(" in (tmp_path / "texts.html").read_text()
    assert "random at the start: nothing was transferred" in text.text


def test_tables_show_their_columns_and_regressors_their_errors(tmp_path):
    table = {"age": RNG.normal(size=24), "ward": RNG.choice(["a", "b"], 24)}
    y = table["age"] * 2
    builder = tft.TabularRegressor(columns=["age", "ward"], seed=0).adapt(table, y)
    model = builder.build()
    x = builder.inputs(table)
    text = Text(tft.report(model, (x, y[:, None].astype("float32")), tmp_path / "table.html", verbose=0))
    mae = tft.analysis.evaluate_regressor(model, (x, y[:, None].astype("float32"))).mae
    assert f"Off by {mae:.4g} on average over 24 held-out examples" in text.text
    assert {"Predictions and targets", "Its largest errors", "Which columns it goes by"} <= set(text.headings)
    predicted = model.predict(x, verbose=0)[:, 0]
    worst = np.argmax(np.abs(predicted - y))
    assert f"{y[worst]:.4g}, predicted {predicted[worst]:.4g}" in text.text
    middle = np.abs(y - np.median(y)).mean()
    assert f"always saying their median would be off by {middle:.4g}" in text.text
    assert "Classes" not in text.headings


def test_a_file_and_plain_keras_models(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")], name="plain")
    tft.save_model(model, tmp_path / "plain.keras", class_names=["no", "yes"])
    x = RNG.normal(size=(10, 4)).astype("float32")
    text = Text(tft.report(tmp_path / "plain.keras", (x, np.arange(10) % 2), tmp_path / "page.html", verbose=0))
    assert "plain: what it knows" in text.words and "yes" in text.words
    values = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    text = Text(tft.report(values, (x, x[:, :1] + 30.0), tmp_path / "page.html", verbose=0))
    assert "Predictions and targets" in text.headings


def test_what_can_not_be_is_said_before_the_model_runs(tmp_path):
    model = classifier()
    data = (np.zeros((3, 12, 12, 3)), np.arange(3))
    with pytest.raises(OSError, match="a file that can be written"):
        tft.report(model, data, tmp_path)
    with pytest.raises(ValueError, match="`gap`"):
        tft.report(model, data, tmp_path / "page.html", gap="far")
    several = tft.ImageClassifier(num_classes=3, multi_label=True, backbone=classifier().get_layer("backbone")).build()
    with pytest.raises(ValueError, match="3 labels an example, so that `data` must have labels of shape"):
        tft.report(several, data, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_many_classes_are_those_that_are_hard(tmp_path):
    model = keras.Sequential([keras.Input((40,)), keras.layers.Softmax()])
    labels = np.arange(40)
    # Class 7 is taken for class 8, and nothing else is wrong.
    labels[8] = 7
    text = Text(tft.report(model, (20 * np.eye(40, dtype="float32"), labels), tmp_path / "page.html", verbose=0))
    assert "The 15 of 40 classes with the lowest F1" in text.text and "true taken for examples 7 8 1" in text.text


def test_sounds_are_seen_and_heard(tmp_path):
    builder = tft.AudioClassifier(num_classes=2, sample_rate=2000, seconds=0.2, num_mel_bins=16, seed=0)
    model = builder.build()
    x, y = RNG.uniform(-1, 1, (6, 400)).astype("float32"), np.arange(6) % 2
    text = Text(tft.report(model, (x, y), tmp_path / "page.html", num_shown=2, verbose=0))
    mistakes = tft.analysis.evaluate_classifier(model, (x, y)).most_confident_mistakes(2)
    sounds = [source for source in text.sources if source.startswith("data:audio/wav;base64,")]
    assert len(sounds) == len(mistakes) > 0
    wave, rate = tf.audio.decode_wav(base64.b64decode(sounds[0].partition(",")[2]))
    np.testing.assert_allclose(wave[:, 0], x[mistakes[0].index], atol=1e-4)
    assert int(rate) == 2000


def test_the_gap_is_that_of_the_models_features(tmp_path):
    backbone = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)], name="backbone")
    backbone.layers[0].kernel.assign(np.diag([1.0, 1.0, 0.0]))
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax")(backbone(inputs)))
    x, y = RNG.normal(size=(40, 3)).astype("float32"), np.arange(40) % 2
    # The third feature tells the domains apart, and the backbone does not see it.
    text = Text(tft.report(model, (x + [0, 0, 9], y), tmp_path / "page.html", source=(x, y), verbose=0))
    assert "No difference was found" in text.text and "40 source, 40 target" in text.text
    text = Text(tft.report(model, (x + [0, 9, 0], y), tmp_path / "page.html", source=x, verbose=0))
    assert "told apart nearly always" in text.text


def test_a_run_says_how_it_was_made(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")], name="plain")
    run = tmp_path / "run"
    run.mkdir()
    tft.save_model(model, run / "model.keras", class_names=["no", "yes"])
    (run / "config.yaml").write_text("images: photos\nbackbone: mobilenet_v2\nseed: 3\n")
    (run / "history.csv").write_text("phase,epoch,loss,val_loss\nhead,1,1.5,1.4\nfine-tuning,1,1.2,\n")
    record = {"format": 1, "command": "train", "created": "2026-01-02T03:04:05+00:00", "seconds": 12.3, "seed": 3}
    record |= {"main": "accuracy", "figures": {"accuracy": 0.5}, "compared": {"from scratch": {"accuracy": 0.25}}}
    record |= {"machine": "CPU of a test", "data_fingerprint": None}
    (run / "result.json").write_text(json.dumps(record))
    x, y = RNG.normal(size=(10, 4)).astype("float32"), np.arange(10) % 2
    text = Text(tft.report(run, (x, y), tmp_path / "page.html", verbose=0))
    assert "mobilenet_v2 (keras.applications.MobileNetV2)" in text.text and "run: what it knows" in text.text
    assert "from scratch" in text.text and "0.250" in text.text and "CPU of a test" in text.text
    assert f"tf-transfer train --config {run}/config.yaml --output again" in text.text
    assert "By epoch: loss" in text.text and f"tf-transfer export {run}/model.keras" in text.text
    with pytest.raises(FileNotFoundError, match="not where they were"):
        tft.report(run, path=tmp_path / "page.html", verbose=0)
    with pytest.raises(ValueError, match="not the folder of a run"):
        tft.report(tmp_path, (x, y), tmp_path / "page.html", verbose=0)
