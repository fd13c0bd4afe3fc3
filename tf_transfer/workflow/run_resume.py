"""Where the state of a run lies, and what must not change while it is stopped."""

import hashlib
import os
from importlib import metadata

from tf_transfer.distribution import is_chief
from tf_transfer.training import RunState
from tf_transfer.workflow.run_record import PACKAGES

# What is done with the trained model, and where features are kept, may be another when the run goes on.
_FREE = ("export", "output", "save_model", "min_accuracy", "features_cache", "skip_bad")


def run_state(resume, config, folders, run_on, verbose):
    """Returns the `RunState` of a run.

    Args:
        resume: Path of the folder for it, True for one beside what the run leaves, or None, which keeps nothing.
        config: `RunConfig` of the run.
        folders: Sequence of the `ImageFolder`s and `UnlabeledImages` that it learns from or is measured on.
        run_on: `tf.distribute.Strategy` of the run.
        verbose: As in the run.
    """
    if resume is None or resume is False:
        return RunState(None)
    settings = {name: value for name, value in config.to_dict().items() if name not in _FREE}
    settings["names and sizes of images"] = _listed(folders)
    settings["versions"] = {name: metadata.version(name) for name in PACKAGES}
    place = _place(config) if resume is True else resume
    return RunState(place, settings, verbose=int(bool(verbose)), chief=is_chief(run_on))


def _place(config):
    for name in ("output", "export", "save_model"):
        path = getattr(config, name, None)
        if path is not None:
            return f"{os.path.normpath(os.fspath(path))}.resume"
    raise ValueError("The run leaves nothing beside which its state could lie: name a folder for it (`--resume DIR`).")


def _listed(folders):
    digest = hashlib.sha256()
    for folder in folders:
        for file in folder.files:
            digest.update(f"{os.path.basename(file)}\0{os.path.getsize(file)}\0".encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]
