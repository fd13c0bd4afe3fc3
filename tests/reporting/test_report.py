"""A page about a model: what it says is what was measured, for each kind of input, and it loads nothing."""

import html.parser
import re

import keras
import numpy as np
import pytest

import tf_transfer as tft

RNG = np.random.default_rng(0)


class Text(html.parser.HTMLParser):
    """Reads the text of a page, its headings and how many pictures it has."""

    def __init__(self, path):
        super().__init__()
        self.words, self.headings, self.num_pictures, self.sources = [], [], 0, []
        self._in = None
        self.feed(open(path, encoding="utf-8").read())  # noqa: SIM115

    def handle_starttag(self, tag, attributes):
        self._in = tag
        self.num_pictures += tag == "img"
        self.sources += [value for name, value in attributes if name in ("src", "href")]

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
        "In short", "Classes", "Is it right as often as it says?", "Its most confident mistakes", "Where it looks",
        "Training", "What fine-tuning moved", "How far the target is from the source", "What it costs",
        "How to serve it",
    ]  # fmt: skip
    worst = evaluation.most_confident_mistakes(4)
    assert all(evaluation.describe(mistake) in text.text for mistake in worst)
    # Confusion, reliability, the mistakes, explanations, curves, what moved, the gap.
    assert text.num_pictures == 6 + len(worst)
    assert "--model_name=insects" in text.text and "saved_models/insects" in text.text
    assert "tf-transfer predict saved_models/insects INPUT" in text.text


def test_it_loads_nothing(page):
    assert page[0].sources and all(source.startswith("data:image/png;base64,") for source in page[0].sources)


def test_texts_show_their_words(tmp_path):
    texts = np.array(["a fine film", "a dull film"] * 8, object)
    builder = tft.TextClassifier(num_classes=2, class_names=["bad", "good"], backbone_options={"dim": 4}, seed=0)
    model = builder.adapt(texts, verbose=0).build()
    path = tft.report(model, (texts, np.tile([0, 1], 8)), tmp_path / "texts.html", num_shown=2, verbose=0)
    text = Text(path)
    assert "Which words it goes by" in text.headings and "a dull film" in text.text
    assert "without a word the score loses" in text.text


def test_tables_show_their_columns_and_regressors_their_errors(tmp_path):
    table = {"age": RNG.normal(size=24), "ward": RNG.choice(["a", "b"], 24)}
    y = table["age"] * 2
    builder = tft.TabularRegressor(columns=["age", "ward"], seed=0).adapt(table, y)
    model = builder.build()
    x = builder.inputs(table)
    text = Text(tft.report(model, (x, y[:, None].astype("float32")), tmp_path / "table.html", verbose=0))
    mae = tft.analysis.evaluate_regressor(model, (x, y[:, None].astype("float32"))).mae
    assert f"Off by {mae:.4g} on average over 24 held-out examples" in text.text
    assert {"Predictions and targets", "Which columns it goes by"} <= set(text.headings)
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
    with pytest.raises(ValueError, match="several labels"):
        tft.report(several, data, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
