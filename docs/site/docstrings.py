"""Turns our docstrings, which quote code as Markdown does, into what Sphinx reads."""

import dataclasses
import inspect
import re

import public_names

CODE = re.compile(r"`([^`]+)`")
ITEM = re.compile(r"^\s*(- |\d+\. )")


def setup(app):
    # Before napoleon, which makes the sections.
    app.connect("autodoc-process-docstring", convert, priority=400)
    app.connect("autodoc-process-docstring", join_types, priority=600)
    app.connect("autodoc-process-signature", signature_of_class)
    app.connect("autodoc-process-bases", public_bases)
    return {"parallel_read_safe": True}


def convert(app, what, name, thing, options, lines):
    lines[:] = as_restructured_text("\n".join(lines)).split("\n")
    short = f"tft.{name.rpartition('.')[2]}"
    if name.count(".") == 2 and short.removeprefix("tft.") in public_names.at_the_top():
        lines[:0] = [f"Also ``{short}``.", ""]


def signature_of_class(app, what, name, thing, options, signature, returned):
    """Returns the signature of `__init__`: Keras' classes have a `__new__` that takes anything."""
    made = inspect.getattr_static(thing, "__init__", None)
    if what != "class" or not inspect.isfunction(made) or dataclasses.is_dataclass(thing):
        return None
    from sphinx.ext.autodoc.preserve_defaults import update_defvalue
    from sphinx.util.inspect import stringify_signature

    update_defvalue(app, made, True)
    found = inspect.signature(made)
    return stringify_signature(found.replace(parameters=list(found.parameters.values())[1:])), None


def join_types(app, what, name, thing, options, lines):
    """Puts sentences together again of which napoleon took what stands before a colon for the name of a type."""
    for field in (":rtype: ", ":type: "):
        for index in [index for index, line in enumerate(lines) if line.startswith(field)]:
            opening, goes_on = (":returns: ", index - 1) if field == ":rtype: " else ("", 0)
            while not lines[goes_on].startswith(opening):
                goes_on -= 1
            lines[goes_on] = f"{opening}{lines[index].removeprefix(field)}: {lines[goes_on].removeprefix(opening)}"
            lines[index] = ""


def as_restructured_text(text):
    """Returns the docstring with code in double backticks, lists set off, and nothing else that reads as markup."""
    blocks = re.split(r"((?:^[ ]*>>> .*\n)(?:[ ]*\S.*\n?)*)", text, flags=re.MULTILINE)
    return "".join(block if index % 2 else _prose(block) for index, block in enumerate(blocks))


def _prose(text):
    text = re.sub(r"^Example:$", ".. rubric:: Example", text, flags=re.MULTILINE)
    pieces = CODE.split(text)
    pieces[::2] = [re.sub(r"(?<=\w)_(?!\w)|\|", r"\\\g<0>", piece) for piece in pieces[::2]]
    # A letter may follow code, as in `Loss`es, where reStructuredText wants a space that is not shown.
    pieces[1::2] = [f"``{' '.join(code.split())}``" for code in pieces[1::2]]
    for index in range(2, len(pieces), 2):
        if re.match(r"[\w]", pieces[index]):
            pieces[index] = "\\ " + pieces[index]
        if re.search(r"\w$", pieces[index - 2]):
            pieces[index - 1] = "\\ " + pieces[index - 1]
    return _set_off_lists("".join(pieces))


def _set_off_lists(text):
    lines = []
    for line in text.split("\n"):
        if ITEM.match(line) and lines and lines[-1].strip() and not _within_list(lines):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def _within_list(lines):
    for line in reversed(lines):
        if not line.strip():
            return False
        if ITEM.match(line):
            return True
    return False


def public_bases(app, name, thing, options, bases):
    """Shows what a class derives from under the names that users type, and nothing that they can't."""
    documented = public_names.public_classes()
    bases[:] = [shown for base in bases if (shown := _shown(base, documented))] or [object]


def _shown(base, documented):
    if base in documented:
        return f":py:class:`{documented[base]}`"
    above = [_shown(each, documented) for each in getattr(base, "__bases__", ())]
    if getattr(base, "__module__", "").startswith("tf_transfer"):
        return ", ".join(filter(None, above))
    if getattr(base, "__module__", "").startswith("keras"):
        return f"``keras.{base.__name__}``"
    return None
