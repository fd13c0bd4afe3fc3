"""Writes the pages of the reference, one a room: all its public names, each with what it can do."""

import inspect

import docstrings
import public_names

# Keras calls these; what a class does when they are called, its own docstring says.
CALLED_BY_KERAS = {"build", "call", "compute_output_shape", "compute_output_spec", "from_config", "get_config"}


def pages():
    """Returns a dict of the names of the rooms to the text of their pages."""
    return {room: page(room) for room in public_names.rooms()}


def page(room):
    title, things = f"tft.{room}", public_names.things(room)
    parts = [title, "=" * len(title), "", f".. py:module:: {title}", "", first_paragraph(public_names.tft, room), ""]
    parts += [".. list-table::", "   :widths: auto", "   :class: names", ""]
    for name, thing in things.items():
        parts += [f"   * - :py:obj:`{name} <{title}.{name}>`", f"     - {first_sentence(thing)}"]
    for name, thing in things.items():
        parts += ["", *entry(f"{title}.{name}", thing)]
    return "\n".join(parts) + "\n"


def entry(full_name, thing):
    """Returns the lines that ask autodoc for one name."""
    if not callable(thing):
        return [f".. py:data:: {full_name.rpartition('.')[2]}", "", f"   {first_paragraph_of_data(thing)}"]
    kind = "function"
    if inspect.isclass(thing):
        kind = "exception" if issubclass(thing, BaseException) else "class"
    lines = [f".. auto{kind}:: {full_name}"]
    if kind == "class":
        lines += ["   :show-inheritance:"]
        lines += [f"   :members: {', '.join(found)}"] if (found := members(thing)) else []
    return lines


def members(cls):
    """Returns the documented methods and properties of a class, without those that a public class above it has."""
    public = public_names.public_classes()
    above = [owner for owner in inspect.getmro(cls) if owner is not cls and owner in public]
    found = []
    for owner in inspect.getmro(cls):
        if not owner.__module__.startswith("tf_transfer") or any(issubclass(each, owner) for each in above):
            continue
        for name, member in vars(owner).items():
            if not name.startswith("_") and name not in CALLED_BY_KERAS and documents(member) and name not in found:
                found.append(name)
    return found


def documents(member):
    plain = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
    return (inspect.isroutine(plain) or isinstance(plain, property)) and bool(plain.__doc__)


def first_paragraph(owner, room):
    return docstrings.as_restructured_text(inspect.getdoc(getattr(owner, room)).split("\n\n")[0])


def first_paragraph_of_data(thing):
    return f"A dict of {len(thing)} entries: {', '.join(f'``{key}``' for key in thing)}."


def first_sentence(thing):
    """Returns the first line of the docstring; a dict has none."""
    if not callable(thing):
        return "A dict."
    return docstrings.as_restructured_text(inspect.getdoc(thing).split("\n")[0])
