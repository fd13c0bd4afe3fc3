"""Shows what a tutorial printed as a screen would have: progress bars at their end, without TensorFlow's own notes."""

import itertools

from docutils import nodes
from sphinx.transforms import SphinxTransform
from tutorial_notebooks import as_on_screen


class PrintedOutput(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs):
        for cell in list(self.document.findall(nodes.container)):
            if "cell_output" in cell["classes"]:
                cell[:] = [part for run, parts in itertools.groupby(cell, is_printed) for part in joined(run, [*parts])]


def is_printed(node):
    return isinstance(node, nodes.literal_block) and "stream" in node["classes"]


def joined(are_printed, parts):
    """Returns what was printed piece by piece as one block, if anything is left of it; pictures as they are."""
    if not are_printed:
        return parts
    text = as_on_screen("".join(part.astext() for part in parts))
    parts[0][:], parts[0].rawsource = [nodes.Text(text)], text
    return parts[:1] if text.strip() else []


def setup(app):
    app.add_transform(PrintedOutput)
    return {"parallel_read_safe": True}
