"""Shows what a tutorial printed as a screen would have: progress bars at their end, without TensorFlow's own notes."""

from docutils import nodes
from sphinx.transforms import SphinxTransform
from tutorial_notebooks import as_on_screen


class PrintedOutput(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs):
        for block in list(self.document.findall(nodes.literal_block)):
            if "output" not in block["classes"]:
                continue
            text = as_on_screen(block.astext())
            if not text.strip():
                block.parent.remove(block)
            elif text != block.astext():
                block[:] = [nodes.Text(text)]
                block.rawsource = text


def setup(app):
    app.add_transform(PrintedOutput)
    return {"parallel_read_safe": True}
