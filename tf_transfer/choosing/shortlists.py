"""What `tft.auto` tries of texts, tables and recordings where nobody names builders."""

import os

import keras

from tf_transfer import _checks
from tf_transfer.backbones import APPLICATIONS
from tf_transfer.backbones.audio import SMALL
from tf_transfer.builders.text_encoder import ARCHITECTURES
from tf_transfer.choosing.builders import named_backbones, other_builder

# Quick ones first: what there is no time for is left out from the end.
TEXTS = ("mean", "cnn", "transformer")
TABLES = {"32 units": (32,), "64 and 64 units": (64, 64), "256 and 128 units": (256, 128)}
RECORDINGS = {
    "small_conv, half as wide": (16, 24, 48, 48),
    "small_conv": (24, 48, 96, 96),
    "small_conv, twice as wide": (48, 96, 192, 192),
}
_OWN_FIELD = {"texts": "backbone", "rows": "hidden_units", "recordings": "backbone"}


def shortlist(examples, backbones=None, weights=None, fields=None):
    """Returns a dict of names to builders of texts, rows or recordings, and a sentence on why these.

    Args:
        examples: `Examples` of one of these kinds.
        backbones: What to start from, as of `tft.auto`, or None for what starts at random, in some sizes.
        weights: Of networks of images that are to see spectrograms, as in `tft.load_backbone`.
        fields: Dict of fields of the builder, which all of them have. One that says the network makes it the only one.
    """
    fields = dict(fields or {})
    own = _OWN_FIELD[examples.kind]
    if backbones is not None:
        chosen, said = _named(examples, backbones, weights, fields), "The networks are those that were named."
    elif own in fields:
        value = fields[own]
        chosen, said = {str(getattr(value, "name", value)): {}}, f"The network is the one that `{own}` says."
    else:
        chosen, said = _at_random(examples, fields)
    return {name: other_builder(examples, {**fields, **more}) for name, more in chosen.items()}, said


def _at_random(examples, fields):
    """Returns the fields of networks that start at random, by name, and a sentence."""
    if examples.kind == "rows":
        said = "The networks of a table start at random, and differ in their sizes."
        return {name: {"hidden_units": units} for name, units in TABLES.items()}, said
    hint = 'A pretrained one, as `backbones=["hub:..."]`, knows more than a few labels can teach.'
    if examples.kind == "texts":
        said = f"No encoder was named, so that those are tried that start at random: {', '.join(TEXTS)}. {hint}"
        return {name: {"backbone": name} for name in TEXTS}, said
    options = fields.get("backbone_options", {})
    said = f"No network was named, so that one is tried that starts at random, in some widths. {hint}"
    if "filters" in options:
        return {SMALL: {}}, said
    return {name: {"backbone_options": {**options, "filters": each}} for name, each in RECORDINGS.items()}, said


def _named(examples, backbones, weights, fields):
    if examples.kind == "rows":
        raise ValueError(
            "`backbones`: a table has none to name. Its networks differ in `hidden_units`, or give `builders=`."
        )
    if "backbone" in fields:
        raise ValueError("`backbones` and `backbone` both say what to start from: leave out one of them.")
    return {name: _fields_of(each, examples, weights, fields) for name, each in named_backbones(backbones).items()}


def _fields_of(given, examples, weights, fields):
    """Returns the fields of a builder on what people name as a backbone: a name, a model, or a dict with a name."""
    if isinstance(given, keras.Model):
        return {"backbone": given}
    options = dict(given) if isinstance(given, dict) else {"name": given}
    if "name" not in options:
        raise ValueError(f'`backbones` must be names, models or dicts with a "name". Received: {given!r}.')
    name = os.fspath(options.pop("name"))
    found = {"backbone": name}
    if examples.kind == "recordings":
        found["weights"] = options.pop("weights", weights if name in APPLICATIONS else None)
    elif ":" not in name:
        _checks.one_of(name, "backbones", ARCHITECTURES)
    return found | {"backbone_options": {**fields.get("backbone_options", {}), **options}}
