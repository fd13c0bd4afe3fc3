"""What the documentation says is there: links lead somewhere, names exist, arguments are those of the signatures."""

import ast
import functools
import inspect
import re
from pathlib import Path

import pytest

import tf_transfer as tft

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md"]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED_FILE = re.compile(r"`((?:docs|tutorials|benchmarks|tests)/[\w/]+\.\w+)`")
# How a name of its kind looks.
PATTERNS = {"tft.room.Thing", "tft.Thing", "tutorials/NN_topic.py"}
NAMED_OBJECT = re.compile(r"`(tft\.[\w.]*\w)")


def prose(page):
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """Returns the anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


def broken_links(page):
    broken = []
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        leads_to = (page.parent / path).resolve() if path else page
        if not leads_to.exists() or (anchor and anchor not in anchors(leads_to)):
            broken.append(target)
    return broken


def blocks(page):
    """Returns the Python of a page as syntax trees."""
    for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            yield ast.parse(code)


def dotted(node):
    """Returns `a.b.c` for an expression that is such a name, else None."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else None


def resolved(name):
    thing = tft
    for part in name.split(".")[1:]:
        thing = getattr(thing, part)
    return thing


def wrong_code(trees):
    """Returns what is wrong with blocks of code: names of ours that are not there, arguments that are not taken.

    A variable that was made by calling a class of ours is known to be one: its methods are looked at, too.
    """
    wrong, classes = [], {}
    for statement in [statement for tree in trees for statement in tree.body]:
        for node in ast.walk(statement):
            name = dotted(node) if isinstance(node, ast.Attribute) else None
            if name and name.startswith("tft.") and not is_public(name):
                wrong.append(name)
            elif isinstance(node, ast.Call):
                wrong += wrong_of_call(node, classes)
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            classes[statement.targets[0].id] = made_by(statement.value)
    return wrong


def made_by(value):
    """Returns our class that an expression calls, or None."""
    name = dotted(value.func) if isinstance(value, ast.Call) else None
    made = resolved(name) if name and name.startswith("tft.") and is_public(name) else None
    return made if inspect.isclass(made) else None


def is_public(name):
    """Says whether `tft.room.Thing` or `tft.Thing` is there; a part of the thing itself may follow."""
    try:
        thing = resolved(name)
    except AttributeError:
        return False
    return not inspect.ismodule(thing) or name.count(".") < 2


def wrong_of_call(call, classes):
    name = dotted(call.func)
    if name is None:
        return []
    if name.startswith("tft."):
        return wrong_arguments(call, name, resolved(name)) if is_public(name) else []
    variable, _, method = name.partition(".")
    made = classes.get(variable)
    if made is None or not method or "." in method:
        return []
    if not hasattr(made, method):
        return [f"{made.__name__} has no {method}"]
    return wrong_arguments(call, f"{made.__name__}.{method}", bound(made, method))


def bound(cls, method):
    """Returns the method with `self` taken up, as a call of it on an object sees it."""
    found = getattr(cls, method)
    is_plain = inspect.isfunction(inspect.getattr_static(cls, method))
    return functools.partial(found, None) if is_plain else found


def wrong_arguments(call, name, function):
    """Returns what a call says that the signature does not take."""
    starred = any(isinstance(value, ast.Starred) for value in call.args)
    positional = [] if starred else [value for value in call.args if not is_ellipsis(value)]
    keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    try:
        inspect.signature(function).bind_partial(*positional, **keywords)
    except TypeError as error:
        return [f"{name}: {error}"]
    return []


def is_ellipsis(node):
    return isinstance(node, ast.Constant) and node.value is Ellipsis


@each_page
def test_links_lead_to_files_and_headings(page):
    assert broken_links(page) == []


@each_page
def test_files_that_are_named_exist(page):
    named = set(NAMED_FILE.findall(prose(page))) - PATTERNS
    assert [name for name in named if not (ROOT / name).exists()] == []


@each_page
def test_names_in_the_text_exist(page):
    named = set(NAMED_OBJECT.findall(prose(page))) - PATTERNS
    assert [name for name in named if not is_public(name)] == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "site" / "index.md"], ids=lambda page: page.name)
def test_code_uses_names_and_arguments_that_there_are(page):
    assert wrong_code(blocks(page)) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("tft.DAN_N(encoder)", "tft.DAN_N"),
        ("tft.losses.mmd", "tft.losses.mmd"),
        ("tft.fine_tune(model, train, learning_rat=1)", "unexpected keyword argument 'learning_rat'"),
        ("tft.schedules.dann(1.0, 2.0)", "too many positional"),
        ("model = tft.L2SP(0.1)\nmodel.nothing()", "L2SP has no nothing"),
        ("lora = tft.LoRA(rank=4)\nlora.merge(model, twice=True)", "unexpected keyword argument 'twice'"),
    ],
)
def test_what_is_wrong_is_seen(code, message):
    (found,) = wrong_code([ast.parse(code)])
    assert message in found


def test_a_broken_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n[a](#one-thing) [b](#two) [c](page.md#one-thing) [d](other.md)\n```\n[e](x.md)\n```\n"
    )
    assert broken_links(page) == ["#two", "other.md"]
