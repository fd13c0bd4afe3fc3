"""Pages in a real browser: nothing leaves, nothing is too wide for a phone, everything loads and can be read."""

import keras
import numpy as np
import pytest
from browser import Browser, find_browser
from matplotlib.figure import Figure

import tf_transfer as tft
from tf_transfer.analysis import WordAttributions
from tf_transfer.reporting import HTMLReport

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")
PHONE, DESK = 390, 1200


@pytest.fixture(scope="module")
def browser():
    with Browser(PROGRAM) as browser:
        yield browser


def everything():
    """Returns a page with each thing that a report can have, the long ones too long for a phone."""
    broad, small = Figure(figsize=(10, 3)), Figure(figsize=(3, 2))
    page = HTMLReport("A page with a rather_long_name_that_has_no_space_to_break_at_and_goes_on: what it knows")
    page.section("In short").facts([("Accuracy", "91.2%", "95% interval 88.0% to 93.9%"), ("Time", "12.3 ms", "")] * 3)
    page.text("unbroken" * 30).pairs([("weights", "a_file_name_of_many_letters_" * 6)], folded="All settings")
    page.section("Tables").table(["text", *(f"column {at}" for at in range(12))], [["word " * 60, *range(12)]], best=0)
    page.table(["class", "F1"], [["ant", 0.5]], caption="Of three seeds.").code("tf-transfer export " + "x" * 200)
    page.section("Pictures").figure(broad, "Broad").figure([small, small, small], "Small")
    page.pictures(np.full((5, 96, 96, 3), 128.0), ["ant_taken_for_something_very_long (0.97)"] * 5, [b"RIFF"] * 5)
    words = WordAttributions(("a", "fine", "film"), np.array([0.0, 0.4, -0.4]), "good", 0.9)
    return page.section("Words").words(words, "good, 0.90")


def opened(browser, path, width, dark=False):
    """Returns what there is to complain of in a page, and its figures."""
    asked = browser.open(path.as_uri(), width=width, dark=dark)
    found = browser.measure()
    faults = [f"it asks for {url}" for url in asked[1:]]
    faults += [f"<{tag}> is too wide" for tag in found["wide"]]
    faults += ["it scrolls sideways"] * (found["scroll"] > found["width"])
    faults += ["a picture did not load"] * found["broken"] + ["a link leads nowhere"] * found["links"]
    faults += [f"{found['contrast']} can hardly be read"] * (found["contrast"][0] < 4.5)
    faults += ["letters are too small"] * (found["smallest"] < 12)
    assert found["dark"] == dark
    return faults, found


@pytest.mark.parametrize("width, dark", [(PHONE, False), (PHONE, True), (DESK, False)])
def test_everything_that_a_page_can_have(browser, tmp_path, width, dark):
    page = everything()
    page.save(tmp_path / "page.html")
    faults, found = opened(browser, tmp_path / "page.html", width, dark)
    assert faults == []
    assert found["images"] == 9


@pytest.mark.parametrize(
    "planted, fault",
    [
        ('<img src="http://127.0.0.1:9/x.png" alt="">', "it asks for http://127.0.0.1:9/x.png"),
        ('<img src="data:image/png;base64,AAAA" alt="">', "a picture did not load"),
        ('<p style="width: 500px">wide</p>', "<P> is too wide"),
        ('<p style="color: #bbb">pale</p>', "can hardly be read"),
    ],
)
def test_a_planted_fault_is_seen(browser, tmp_path, planted, fault):
    text = HTMLReport("Sound").text("A paragraph.").to_html()
    # Without its policy, which would not let a request leave.
    text = text.replace("Content-Security-Policy", "Nothing").replace("</main>", f"{planted}</main>")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    faults, _ = opened(browser, tmp_path / "page.html", PHONE)
    assert any(fault in each for each in faults), faults


@pytest.mark.slow
def test_the_report_of_a_model(browser, tmp_path):
    image = keras.Input((32, 32, 3), name="image")
    maps = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(image))
    backbone = keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps), name="backbone")
    names = ["a class with a long name", "b", "c"]
    model = tft.ImageClassifier(num_classes=3, class_names=names, backbone=backbone, seed=0).build()
    x, y = np.random.default_rng(0).uniform(0, 255, (30, 32, 32, 3)).astype("float32"), np.arange(30) % 3
    history = model.fit(x, y, epochs=2, verbose=0)
    tft.report(model, (x, y), tmp_path / "page.html", history=history, source=(x, y), verbose=0)
    for width, dark in ((PHONE, True), (DESK, False)):
        faults, found = opened(browser, tmp_path / "page.html", width, dark)
        assert faults == [] and found["images"] > 10
    assert browser.pdf().startswith(b"%PDF")
