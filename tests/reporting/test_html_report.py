"""The page: well formed, complete in itself, and text stays text."""

import base64
import html.parser
import io
import os

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tf_transfer.reporting import HTMLReport

VOID = {"meta", "img", "br", "link", "input"}


class Page(html.parser.HTMLParser):
    """Reads a page and keeps its elements, its text, and whatever is opened and closed in the wrong order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.elements, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, text):
        self.texts.append((self.open[-1] if self.open else None, text))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text_in(self, tag):
        return [text for where, text in self.texts if where == tag and text.strip()]


@pytest.fixture
def report():
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    made = HTMLReport('A & B <script>alert("1")</script>')
    made.section("Results <b>").text("First.\n\nSecond: 1 < 2 & 3 > 2.").code("pip install x && y <z>")
    made.table(["method", "acc"], [["frozen", 0.91234], ['"tuned"', float("nan")]], best=0, caption="of <3> seeds")
    made.figure(figure, 'curves of "A"').pictures(np.full((2, 4, 4, 1), 300.0), ["one <i>", "two"])
    return made


def test_it_is_well_formed(report):
    page = Page(report.to_html())
    assert page.faults == []
    assert page.all("html")[0]["lang"] == "en"
    assert "width=device-width" in next(meta["content"] for meta in page.all("meta") if meta.get("name") == "viewport")


def test_the_reader_sees_faults():
    assert Page("<p><b>text</p></b>").faults and Page("<div>").faults and not Page("<p>a<br>b</p>").faults


def test_text_stays_text(report):
    page = Page(report.to_html())
    assert not page.all("script") and not page.all("b") and not page.all("i")
    assert page.text_in("h1") == ['A & B <script>alert("1")</script>'] == page.text_in("title")
    assert page.text_in("h2") == ["Results <b>"]
    assert page.text_in("p") == ["First.", "Second: 1 < 2 & 3 > 2."]
    assert page.text_in("pre") == ["pip install x && y <z>"]
    assert page.text_in("figcaption") == ["of <3> seeds", 'curves of "A"', "one <i>", "two"]
    assert [image["alt"] for image in page.all("img")] == ['curves of "A"', "one <i>", "two"]


def test_it_loads_nothing(report):
    text = report.to_html()
    page = Page(text)
    links = [value for _, attributes in page.elements for key, value in attributes.items() if key in ("src", "href")]
    assert len(links) == 3 and all(link.startswith("data:image/png;base64,") for link in links)
    assert "http" not in text.replace("http-equiv", "") and "url(" not in text and "@import" not in text
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_images_are_those_that_were_given(report):
    sources = [image["src"].partition(",")[2] for image in Page(report.to_html()).all("img")]
    plot, picture, _ = (Image.open(io.BytesIO(base64.b64decode(source))) for source in sources)
    assert plot.size == (288, 144)
    # 300 is brighter than white and becomes white.
    assert picture.size == (4, 4) and np.asarray(picture).min() == 255


def test_tables_show_numbers_alike_and_mark_the_best(report):
    page = Page(report.to_html())
    assert page.text_in("td") == ["frozen", "0.912", '"tuned"', "\N{EN DASH}"]
    assert [row.get("class") for row in page.all("tr")] == [None, "best", None]
    assert [cell.get("class") for cell in page.all("td")] == [None, "number", None, "number"]
    with pytest.raises(ValueError, match="Every row must have 2 cells"):
        report.table(["a", "b"], [[1]])
    with pytest.raises(ValueError, match="2 images, 1 captions"):
        report.pictures(np.zeros((2, 4, 4, 1)), ["one"])


def test_it_follows_the_readers_theme_and_screen(report):
    text = report.to_html()
    assert "color-scheme: light dark" in text and "prefers-color-scheme: dark" in text and "max-width: 100%" in text


def test_saving_replaces_the_page_as_a_whole(report, tmp_path):
    path = tmp_path / "new" / "report.html"
    assert HTMLReport("old").save(path) == str(path)
    assert report.save(path) == str(path)
    assert path.read_text(encoding="utf-8") == report.to_html()
    assert os.listdir(path.parent) == ["report.html"]
    with pytest.raises(IsADirectoryError, match="a folder"):
        report.save(tmp_path)


def test_a_page_that_cannot_be_written_leaves_the_old_one(report, tmp_path, monkeypatch):
    path = HTMLReport("old").save(tmp_path / "report.html")
    monkeypatch.setattr(report, "to_html", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.save(path)
    assert os.listdir(tmp_path) == ["report.html"] and "old" in (tmp_path / "report.html").read_text()


def test_facts_pairs_and_sounds(report):
    report.facts([("Accuracy", "91%", "of <9>"), ("Examples", "9", "")]).pairs([("a", "b & c")], folded="All of it")
    report.pictures([np.zeros((900, 600, 3))], ["tall"], [b"RIFF"])
    page = Page(report.to_html())
    assert page.faults == [] and page.text_in("dt") == ["Accuracy", "Examples"]
    assert page.text_in("dd") == ["91%", "of <9>", "9"] and page.text_in("summary") == ["All of it"]
    assert page.all("audio")[0]["src"] == "data:audio/wav;base64," + base64.b64encode(b"RIFF").decode()
    largest = base64.b64decode(page.all("img")[-1]["src"].partition(",")[2])
    assert Image.open(io.BytesIO(largest)).size == (213, 320)


def test_four_sections_have_contents_that_lead_to_them():
    page = HTMLReport("x")
    for name in ("In short", "What it costs", "Is it right?", "More"):
        page.section(name)
    found = Page(page.to_html())
    assert [link["href"][1:] for link in found.all("a")] == [heading["id"] for heading in found.all("h2")]
