"""Lays out the pages of the site: the chapters of docs/, the tutorials, and a page of reference a room.

    python docs/site/assemble.py build/site/pages

Sphinx reads what lies there. Chapters keep their neighbours, so that a link from one to a tutorial leads there too.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REFERENCE = "All public names, by the room that has them. ``import tf_transfer as tft`` comes first."
TUTORIALS = (
    "Each runs from top to bottom, in a minute or a few, on data that come with it; what it prints and draws below is "
    "what it did when this site was made. The sources are in ``tutorials/``."
)


def assemble(target):
    """Fills the folder `target` with the sources of the site, and leaves nothing there that is not of now."""
    sources = {"index.md": HERE / "index.md"}
    sources |= {f"docs/{path.name}": path for path in sorted((ROOT / "docs").glob("*.md"))}
    sources |= {f"tutorials/{path.name}": path for path in sorted((ROOT / "tutorials").glob("*.py"))}
    texts = {name: path.read_text(encoding="utf-8") for name, path in sources.items()}
    texts |= generated()
    for path in [path for path in Path(target).rglob("*") if path.is_file()]:
        if str(path.relative_to(target)) not in texts:
            path.unlink()
    for name, text in texts.items():
        _write(Path(target) / name, text)


def generated():
    import reference

    pages = {f"reference/{room}.rst": text for room, text in reference.pages().items()}
    tutorials = [path.stem for path in sorted((ROOT / "tutorials").glob("*.py"))]
    return pages | {
        "reference/index.rst": contents("Reference", REFERENCE, pages),
        "tutorials/index.rst": contents("Tutorials", TUTORIALS, tutorials),
    }


def contents(title, text, pages):
    """Returns a page that lists other pages of its folder."""
    names = [f"   {Path(page).stem}" for page in pages]
    return "\n".join([title, "=" * len(title), "", text, "", ".. toctree::", "   :maxdepth: 1", "", *names, ""])


def _write(path, text):
    # A page that did not change keeps its time, and Sphinx what it made of it.
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(ROOT)]
    assemble(Path(sys.argv[1]))
