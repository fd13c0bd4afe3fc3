"""The public names of the package, as users type them: `tft.room.Thing`, and the most used also as `tft.Thing`."""

import inspect
import sys

import tf_transfer as tft


def rooms():
    """Returns the names of the rooms, in alphabetical order."""
    return [name for name in dir(tft) if inspect.ismodule(getattr(tft, name))]


def things(room):
    """Returns a dict of the public names of a room to what they stand for."""
    return {name: getattr(getattr(tft, room), name) for name in sorted(getattr(tft, room).__all__, key=str.lower)}


def at_the_top():
    """Returns the set of the names that are also there without their room."""
    return set(dir(tft)) - set(rooms()) - {"__version__"}


def spellings():
    """Returns a dict of every way to write a public name to its full one.

    `tft.adaptation.DANN` may be written `tft.DANN`, and `DANN` alone, for capitalized names are found in one room.
    """
    written = {}
    for room in rooms():
        written[f"tft.{room}"] = f"tft.{room}"
        for name in things(room):
            full = f"tft.{room}.{name}"
            written[full] = full
            if name in at_the_top():
                written[f"tft.{name}"] = full
            if name[0].isupper():
                written.setdefault(name, full)
    return written


def public_classes():
    """Returns a dict of the public classes to their full names."""
    return {
        thing: f"tft.{room}.{name}"
        for room in rooms()
        for name, thing in things(room).items()
        if inspect.isclass(thing)
    }


def as_tft():
    """Lets `tft.room` be imported, so that Sphinx finds things under the names that users type."""
    sys.modules["tft"] = tft
    for room in rooms():
        sys.modules[f"tft.{room}"] = getattr(tft, room)
