"""The documentation site has every name, every chapter and every tutorial, and builds without a warning."""

import importlib
import os
import re
import subprocess
import zlib
from pathlib import Path

import pytest
from browser import Browser, find_browser
from test_api import ROOMS

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "site"
NAMES = {f"tft.{room}.{name}" for room, names in ROOMS.items() for name in names}


@pytest.fixture
def site_module(monkeypatch):
    monkeypatch.syspath_prepend(str(SITE))
    return importlib.import_module


def test_the_reference_asks_for_every_public_name(site_module):
    pages = site_module("reference").pages()
    entries = r"^\.\. (?:auto(?:class|function|exception)|py:data):: (?:tft\.\w+\.)?(\w+)$"
    found = {f"tft.{room}.{name}" for room, text in pages.items() for name in re.findall(entries, text, re.MULTILINE)}
    assert found == NAMES


def test_a_method_is_on_the_page_of_the_class_that_has_it(site_module):
    import tf_transfer as tft

    members = site_module("reference").members
    assert "deployable" in members(tft.DomainAdapter)
    assert "deployable" not in members(tft.DANN), "it is on the page of DomainAdapter"
    assert "get_config" not in members(tft.DomainAdapter)


def test_every_chapter_is_in_the_contents():
    contents = re.findall(r"^docs/(\w+)$", (SITE / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(contents) == sorted(path.stem for path in (ROOT / "docs").glob("*.md"))


def test_the_chooser_says_what_the_rules_say(site_module):
    chooser = site_module("chooser")
    assert chooser.PAGE.read_text(encoding="utf-8") == chooser.render(), "run `make docs`"


@pytest.mark.parametrize(
    ("docstring", "text"),
    [
        ("Takes `x`.", "Takes ``x``."),
        ("Some `Loss`es of `weights_`.", "Some ``Loss``\\ es of ``weights_``."),
        ("|x| of weights_ here", "\\|x\\| of weights\\_ here"),
        ("One of:\n    - a;\n    - b.", "One of:\n\n    - a;\n    - b."),
        ("Example:\n\n>>> f(`a_`)\n`b`\n\n`c`", ".. rubric:: Example\n\n>>> f(`a_`)\n`b`\n\n``c``"),
    ],
)
def test_docstrings_become_what_sphinx_reads(site_module, docstring, text):
    assert site_module("docstrings").as_restructured_text(docstring) == text


def test_a_bar_is_shown_at_its_end_and_notes_of_tensorflow_are_not(site_module):
    printed = "a\n\r1/2 step\x08\x08\r2/2 stepINFO:tensorflow:written\nWARNING:tensorflow:5 of 6\nb\r\n"
    assert site_module("tutorial_notebooks").as_on_screen(printed) == "a\n2/2 stepb\n"


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The folder of the site, built as `make site` does, but for the tutorials, which `test_tutorials.py` runs."""
    python, place = ROOT / ".venv-docs" / "bin" / "python", tmp_path_factory.mktemp("site")
    if not python.exists():
        pytest.skip("`make site` makes the environment for this")
    pages, built = place / "pages", place / "html"
    environment = {**os.environ, "TUTORIALS": "off", "TF_CPP_MIN_LOG_LEVEL": "3"}
    build = ["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", SITE, "-d", place / "trees", pages, built]
    for command in ([SITE / "assemble.py", pages], build):
        done = subprocess.run([python, *command], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
    return built


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_has_every_page(html):
    assert inventory(html / "objects.inv") >= NAMES
    for folder in ("docs", "tutorials"):
        written = {path.stem for path in (html / folder).glob("*.html")} - {"index"}
        assert written == {path.stem for path in (ROOT / folder).iterdir() if path.suffix in (".md", ".py")}


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="there is no Chromium here")
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_the_screen_and_ask_no_network(html, width):
    pages = ("index", "docs/which_method", "docs/benchmarks", "reference/adaptation", "tutorials/01_fine_tune_images")
    with Browser(find_browser()) as browser:
        for page in pages:
            asked = browser.open((html / f"{page}.html").as_uri(), width=width)
            assert all(address.startswith("file:") for address in asked)
            assert browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, page


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="there is no Chromium here")
def test_two_answers_lead_to_a_method_and_a_changed_one_starts_anew(html):
    with Browser(find_browser()) as browser:
        browser.open((html / "docs" / "which_method.html").as_uri())
        click = "[...document.querySelectorAll('.chooser button')].find((e) => e.textContent.startsWith('{}')).click()"
        answer = "[...document.querySelectorAll('.chooser-answer')].map((e) => e.textContent).join()"
        assert browser.run(answer) == ""
        browser.run(click.format("labelled examples"))
        browser.run(click.format("10 to 100"))
        assert "L2-SP" in browser.run(answer) and "tft.fine_tune(" in browser.run(answer)
        browser.run(click.format("a large model"))
        assert "tft.Distiller(" in browser.run(answer) and "tft.fine_tune(" not in browser.run(answer)


def inventory(path):
    """Returns the names that a site's inventory lists."""
    head, _, packed = path.read_bytes().partition(b"zlib.\n")
    return {line.split(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}
