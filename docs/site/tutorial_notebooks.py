"""Reads the tutorials as notebooks that show pictures where they are saved, and printed text as a screen does."""

import re

import jupytext
import nbformat

NOTES = re.compile(r"(INFO|WARNING):tensorflow:.*\n?")
# The version makes a notebook a new one for the cache once the package is a new one.
SHOWING = """
# tf-transfer {version}
from IPython.display import Image, display
from matplotlib.figure import Figure

def _save_and_show(figure, path, *args, _save=Figure.savefig, **kwargs):
    _save(figure, path, *args, **kwargs)
    if str(path).endswith(".png"):
        display(Image(filename=str(path)))

Figure.savefig = _save_and_show
"""


def read(text):
    """Returns a tutorial in percent format as a notebook."""
    import tf_transfer as tft

    notebook = jupytext.reads(text, fmt="py:percent")
    showing = nbformat.v4.new_code_cell(SHOWING.format(version=tft.__version__).strip())
    showing.metadata["tags"] = ["remove-cell"]
    notebook.cells.insert(1, showing)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def as_on_screen(text):
    """Returns printed text as a screen shows it: a bar goes back to the start of its line and writes anew."""
    lines = NOTES.sub("", text).replace("\x08", "").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
