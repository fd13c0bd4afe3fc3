"""Where the weights that a training began with are from, and what their files say of a licence."""

import contextlib
import os
import re
import urllib.parse
from importlib import metadata
from pathlib import Path

from tf_transfer import _files
from tf_transfer.backbones import APPLICATIONS
from tf_transfer.backbones.audio import SMALL
from tf_transfer.backbones.reusable import shipped_names
from tf_transfer.builders.text_encoder import ARCHITECTURES

_AT_RANDOM = (*ARCHITECTURES, SMALL)
_KINDS = {"hub": "a module of TensorFlow Hub", "file": "a saved Keras model", "keras_hub": "a KerasHub preset"}
_MOST_BYTES, _LONGEST = 1 << 16, 120
_LICENCES, _CARDS = ("LICENSE", "LICENCE", "COPYING"), ("README.md", "model_card.md", "MODEL_CARD.md")
# As a heading with a line below, as a field, or as the header of a model card has it.
_SAID = re.compile(r"^(?:#+ *licen[cs]e\b[^\n]*\n+|[-*_ ]*licen[cs]e[*_]* *: *)([^\n]+)", re.IGNORECASE | re.MULTILINE)


def provenance(backbone, weights, *, licence=None, recorded=None, folder=None):
    """Returns rows on where a backbone is from, as far as its name, its files and a run tell.

    Args:
        backbone: String, as `tft.load_backbone` takes it; anything else has no rows.
        weights: As there.
        licence: String, what the user says of the licence. Defaults to None.
        recorded: Dict, the fingerprints of inputs that a run recorded, by "backbone", "student" and "weights".
        folder: String, from which paths count. Defaults to the current one.
    """
    stated = [["licence", licence]] if licence is not None else []
    if not isinstance(backbone, str):
        return stated
    known, recorded = APPLICATIONS.get(backbone), recorded or {}
    rows = [["backbone", _told(backbone, known)]]
    kind, _, rest = backbone.partition(":")
    if rest:
        rows.append(["weights", _KINDS.get(kind, kind)])
        place, fingerprint = rest, recorded.get("backbone", recorded.get("student"))
    elif weights is None or weights == "none" or backbone in _AT_RANDOM:
        return [*rows, ["weights", "random at the start: nothing was transferred"], *stated]
    elif backbone in shipped_names():
        return [*rows, ["weights", "those that come with tf-transfer"], *(stated or [["licence", _of_this_package()]])]
    elif weights == "imagenet" and known is not None:
        rows.append(["weights", "those that Keras offers, trained on the 1000 classes of ImageNet"])
        rows.append(["trained at", f"{known.default_size} x {known.default_size} pixels"])
        return [*rows, *(stated or [["licence", "not stated by Keras; see the page of the model at keras.io"]])]
    else:
        # A path of the disk where it ran is nobody else's business; the name of the file says enough.
        rows.append(["weights", os.path.basename(str(weights))])
        place, fingerprint = str(weights), recorded.get("weights")
    path = os.path.join(folder or "", os.path.expanduser(place))
    if os.path.isfile(path):
        rows.append(["SHA-256 of the file", _files.file_digest(path)])
    if fingerprint is not None:
        rows.append(["fingerprint in the run", fingerprint])
    return [*rows, *(stated or [["licence", licence_beside(path) or "not stated by the file, nor beside it"]])]


def licence_beside(path):
    """Returns what a file or folder of weights says of its licence, and where it says so, or None.

    A file of the name LICENSE is believed before a README or model card that names one. Of a file its folder is looked
    into, of the folder of a version (`NAME/1`) its parent too.

    Args:
        path: String.

    Example:

    >>> import os
    >>> os.makedirs("net")
    >>> with open("net/README.md", "w") as file:
    ...     _ = file.write("# A network\\n\\n## License\\n\\nCC BY 4.0\\n")
    >>> licence_beside("net/net.weights.h5") is None
    True
    >>> open("net/net.weights.h5", "w").close()
    >>> licence_beside("net/net.weights.h5")
    'CC BY 4.0 (as README.md beside it says)'
    """
    if not os.path.exists(path):
        return None
    first = Path(path) if os.path.isdir(path) else Path(path).parent
    for folder in (first, first.parent) if os.path.isdir(path) and first.name.isdigit() else (first,):
        found = {name.name: name for name in folder.glob("*") if name.is_file()}
        for name in found:
            if name.partition(".")[0].upper() in _LICENCES and (text := _read(found[name])):
                lines = [line.strip() for line in text.splitlines() if line.strip()]
                return f"{_shortened(', '.join(lines[:2]))} (as {name} beside it says)"
        for name in _CARDS:
            if name in found and (said := _SAID.search(_read(found[name]))):
                return f"{_shortened(said.group(1).strip(' *_'))} (as {name} beside it says)"
    return None


def _told(backbone, known):
    """Returns the name of a backbone without the places of the disk where it was."""
    kind, _, rest = backbone.partition(":")
    if known is not None:
        return f"{backbone} (keras.applications.{known.constructor})"
    if not rest or urllib.parse.urlsplit(rest).scheme in ("http", "https", "gs", "kaggle") or not os.path.isabs(rest):
        return backbone
    return f"{kind}:{os.path.join(*Path(rest).parts[-2:])}"


def _of_this_package():
    about = metadata.metadata("tf-transfer")
    found = about.get("License-Expression") or about.get("License")
    return f"{found}, that of tf-transfer" if found else "not stated by the installed tf-transfer"


def _read(path):
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read(_MOST_BYTES)
    return ""


def _shortened(text):
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
