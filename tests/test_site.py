"""The documentation site has every name, every chapter and every tutorial, and builds without a warning."""

import importlib
import os
import re
import subprocess
import zlib
from pathlib import Path

import pytest
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
        ("Example:\n\n>>> f(`a_`)\n`b`\n\n`c`", "Example:\n\n>>> f(`a_`)\n`b`\n\n``c``"),
    ],
)
def test_docstrings_become_what_sphinx_reads(site_module, docstring, text):
    assert site_module("docstrings").as_restructured_text(docstring) == text


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_needs_no_network(tmp_path):
    python = ROOT / ".venv-docs" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make site` makes the environment for this")
    pages, html = tmp_path / "pages", tmp_path / "html"
    environment = {**os.environ, "TUTORIALS": "off", "TF_CPP_MIN_LOG_LEVEL": "3"}
    build = [
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-c",
        SITE,
        "-d",
        tmp_path / "trees",
        pages,
        html,
    ]
    for command in ([SITE / "assemble.py", pages], build):
        done = subprocess.run([python, *command], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
    assert inventory(html / "objects.inv") >= NAMES
    loaded = r"""<(?:script|link|img)[^>]+(?:src|href)=["'](?:https?:)?//[^>]*>"""
    texts = {path: path.read_text(encoding="utf-8") for path in html.rglob("*.html")}
    assert {path.name: found for path, text in texts.items() if (found := re.findall(loaded, text))} == {}
    for folder in ("docs", "tutorials"):
        written = {path.stem for path in (html / folder).glob("*.html")} - {"index"}
        assert written == {path.stem for path in (ROOT / folder).iterdir() if path.suffix in (".md", ".py")}


def inventory(path):
    """Returns the names that a site's inventory lists."""
    head, _, packed = path.read_bytes().partition(b"zlib.\n")
    return {line.split(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}
