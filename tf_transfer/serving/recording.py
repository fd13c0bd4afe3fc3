"""What a version folder says about itself: metadata, and requests to warm up with."""

import datetime
import json
import os

import keras
import tensorflow as tf

from tf_transfer import _checks, _files
from tf_transfer.serving import warmup
from tf_transfer.serving.model_card import model_card

_METADATA = os.path.join("assets.extra", "metadata.json")


def metadata(contract, builder, metrics, data_fingerprint):
    """Returns what is known of a model before it is exported, as plain data."""
    from tf_transfer import __version__

    if builder is not None and not hasattr(builder, "to_dict"):
        raise TypeError(f"`builder` must be a builder of tf_transfer, with `to_dict()`. Received: builder={builder!r}.")
    if data_fingerprint is not None and not isinstance(data_fingerprint, str):
        raise TypeError(
            f"`data_fingerprint` must be a string, such as `tft.data.fingerprint(dataset)` gives. Received: "
            f"data_fingerprint={data_fingerprint!r}."
        )
    return {
        "model": contract.model.name,
        "task": contract.task,
        "class_names": contract.class_names,
        "builder": _described(builder),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"tf_transfer": __version__, "tensorflow": tf.__version__, "keras": keras.__version__},
        "data": {"fingerprint": data_fingerprint},
        "metrics": _numbers(metrics or {}),
    }


def _described(builder):
    if builder is None:
        return None
    # A model that somebody handed to a builder is in the export itself; its name says enough here.
    return builder.described() if hasattr(builder, "described") else builder.to_dict()


def described(served, questions):
    """Returns the signatures with their inputs, outputs and methods as plain data, in the order of their listing."""
    found = served.describe()
    methods = {question.endpoint.name: question.endpoint.method for question in questions}
    return {name: {"method": method, **found[name]} for name, method in methods.items()}


def write(folder, model_name, questions, metadata):
    """Writes `assets.extra` into a version folder that is not published yet."""
    first = {
        question.endpoint.name: {name: value[:1] for name, value in question.inputs.items()} for question in questions
    }
    warmup.write_requests(folder, model_name, first, {q.endpoint.name: q.endpoint.method for q in questions})
    write_metadata(folder, {**metadata, "name": model_name, "files": _entries(folder)})


def write_metadata(folder, metadata):
    """Writes the metadata and the model card, which says the same to people."""
    os.makedirs(os.path.join(folder, "assets.extra"), exist_ok=True)
    with open(os.path.join(folder, _METADATA), "w", encoding="utf-8") as file:
        json.dump(metadata, file, indent=2, default=repr)
    if "signatures" in metadata:
        with open(os.path.join(folder, "README.md"), "w", encoding="utf-8") as file:
            file.write(model_card(metadata))


def read(folder):
    """Returns the metadata of a version folder, empty for a SavedModel from elsewhere or when it cannot be read."""
    try:
        with open(os.path.join(folder, _METADATA), encoding="utf-8") as file:
            metadata = json.load(file)
    except (FileNotFoundError, ValueError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def missing(folder, metadata):
    """Returns a phrase for each file that is not there or of another size, by a look at the names only."""
    recorded = metadata.get("files") or {"saved_model.pb": {}}
    return [phrase for name, entry in recorded.items() if (phrase := _missing(folder, name, entry))]


def damaged(folder, metadata):
    """Returns a phrase for each file that is missing or was changed since the export, by reading them all."""
    found = missing(folder, metadata)
    for name, entry in metadata.get("files", {}).items():
        if not _missing(folder, name, entry) and _files.file_digest(os.path.join(folder, name)) != entry["sha256"]:
            found.append(f"{name} was changed")
    return found


def _entries(folder):
    """Returns size and check sum of each file by its name with forward slashes."""
    paths = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return {
        os.path.relpath(path, folder).replace(os.sep, "/"): {
            "num_bytes": os.path.getsize(path),
            "sha256": _files.file_digest(path),
        }
        for path in sorted(paths)
    }


def _missing(folder, name, entry):
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return f"{name} is missing"
    size = os.path.getsize(path)
    return f"{name} has {size} bytes" if size != entry.get("num_bytes", size) else ""


def _numbers(metrics):
    if not isinstance(metrics, dict):
        raise TypeError(f"`metrics` must be a dict of numbers by name. Received: metrics={metrics!r}.")
    return {str(name): _checks.number(value, f"metrics[{name!r}]") for name, value in metrics.items()}
