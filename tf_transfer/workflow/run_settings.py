"""The settings of recorded runs: as the configuration of the run, and where several differ."""

import dataclasses
import os

from tf_transfer.workflow.adapt import adapt
from tf_transfer.workflow.adapt_config import AdaptConfig
from tf_transfer.workflow.distill import distill
from tf_transfer.workflow.distill_config import DistillConfig
from tf_transfer.workflow.train import train
from tf_transfer.workflow.train_config import TrainConfig
from tf_transfer.workflow.train_other_inputs import AudioTrainConfig, TableTrainConfig, TextTrainConfig
from tf_transfer.workflow.tune import tune
from tf_transfer.workflow.tune_config import TuneConfig

_OF_TRAINING = (TrainConfig, TextTrainConfig, TableTrainConfig, AudioTrainConfig)
# What does it, and the configurations that it takes, told apart by the name of what is learned from.
WORKFLOWS = {
    "train": (train, _OF_TRAINING),
    # What a search within a time has chosen can be trained again; the search would try other things on another day.
    "auto": (train, _OF_TRAINING),
    "adapt": (adapt, (AdaptConfig,)),
    "distill": (distill, (DistillConfig,)),
    "tune": (tune, (TuneConfig,)),
}
_PLACES = {"output", "export", "save_model", "features_cache", "tensorboard"}


def config_class(run):
    """Returns the class of the configuration of a `Run`.

    Raises:
        ValueError: For a command that leaves no runs.
    """
    if run.command not in WORKFLOWS:
        raise ValueError(f"{run.path!r} is a run of {run.command!r}, not one of {sorted(WORKFLOWS)}.")
    for each in WORKFLOWS[run.command][1]:
        if next(iter(each.required)) in run.settings:
            return each
    raise ValueError(f"The configuration of {run.path!r} does not say what it learned from.")


def differing(runs):
    """Returns a dict of the settings that differ to their values, one a run; places to write to are left out."""
    every = [_with_defaults(run) for run in runs]
    names = dict.fromkeys(name for each in every for name in each if name not in _PLACES)
    values = {name: [each.get(name) for each in every] for name in names}
    return {name: of_runs for name, of_runs in values.items() if any(value != of_runs[0] for value in of_runs)}


def _with_defaults(run):
    """Returns all settings of a run, the command among them, also those of the builder that were not given."""
    fields = config_class(run).fields()
    defaults = {name: field.default for name, field in fields.items() if field.default is not dataclasses.MISSING}
    return {"command": run.command, **{name: _plain(value) for name, value in (defaults | run.settings).items()}}


def _plain(value):
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
