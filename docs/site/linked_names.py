"""Makes links of public names that stand in the text as code: `tft.DANN` leads to its place in the reference."""

import re

import public_names
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

CALL = re.compile(r"\((\.\.\.)?\)$")
# Where a name without `tft` is that of another library.
OF_OTHERS = ("docs/coming_from",)


class LinkedNames(SphinxPostTransform):
    # Before references are resolved.
    default_priority = 5

    def run(self, **kwargs):
        for literal in list(self.document.findall(nodes.literal)):
            text = literal.astext()
            full = spellings().get(CALL.sub("", text))
            if full is None or _is_linked(literal):
                continue
            if self.env.docname in OF_OTHERS and not text.startswith("tft."):
                continue
            link = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=full, refdoc=self.env.docname, refexplicit=True
            )
            literal.replace_self(link)
            link += literal


def spellings(cache=[]):  # noqa: B006
    if not cache:
        cache.append(public_names.spellings())
    return cache[0]


def _is_linked(node):
    while node is not None:
        if isinstance(node, (nodes.reference, addnodes.pending_xref, nodes.title, addnodes.desc_signature)):
            return True
        node = node.parent
    return False


def setup(app):
    app.add_post_transform(LinkedNames)
    return {"parallel_read_safe": True}
