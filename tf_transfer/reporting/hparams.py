"""Searches, cross-validations and runs as TensorBoard's HParams shows them: what was tried beside what came out."""

import os

import tensorflow as tf

from tf_transfer.analysis.cross_validation import CrossValidation
from tf_transfer.tuning.hparams import write_trial
from tf_transfer.tuning.result import SearchResult, written

# Of a run, where it read and wrote says nothing about what was tried.
_PLACES = ("output", "export", "save_model", "features_cache", "class_names", "config")


def write_hparams(found, folder):
    """Writes what was tried for TensorBoard's HParams: `tensorboard --logdir FOLDER`, then "HParams".

    There it is a table to sort, parallel coordinates and scatter plots of each hyperparameter against each metric.
    `tft.tuning.search(..., tensorboard=FOLDER)` writes its trials, with their curves, while it runs; this one takes
    what is there already.

    Args:
        found: `tft.tuning.SearchResult`; a tuner of KerasTuner (or its oracle); a `tft.analysis.CrossValidation`, whose
            methods and parts count as what was tried; or a list of runs, such as
            `tft.workflow.list_runs("experiments")`, of which the settings that differ are shown.
        folder: String or path of the log folder, in which each row gets a folder of its own.

    Returns:
        String, the folder.

    Raises:
        ValueError: When `found` is none of these, or nothing in it has a score.

    Example:

    >>> scores = {"plain": np.array([0.70, 0.72]), "tuned": np.array([0.80, 0.83])}
    >>> found = tft.analysis.CrossValidation(scores, "accuracy", True, 1.0)
    >>> tft.reporting.write_hparams(found, "logs/hparams")
    'logs/hparams'
    >>> import os
    >>> len([name for name in os.listdir("logs/hparams") if name.startswith("trial_")])
    4
    """
    from tensorboard.plugins.hparams import api

    rows = [row for row in _rows(found) if row[2]]
    if not rows:
        raise ValueError(f"Nothing in `found` has a score. Received: {found!r}.")
    folder = os.fspath(folder)
    names = list(dict.fromkeys(name for _, values, _ in rows for name in values))
    metrics = list(dict.fromkeys(name for *_, figures in rows for name in figures))
    writer = tf.summary.create_file_writer(folder)
    with writer.as_default():
        parameters = [api.HParam(name, _domain(name, rows)) for name in names]
        api.hparams_config(hparams=parameters, metrics=[api.Metric(name) for name in metrics])
    writer.close()
    for trial_id, values, figures in rows:
        write_trial(folder, trial_id, values, None, figures)
    return folder


def _rows(found):
    """Returns a list of (identity, dict of what was tried, dict of what came out)."""
    if isinstance(found, SearchResult):
        return [_of_trial(trial, found.objective) for trial in found.trials]
    if isinstance(found, CrossValidation):
        return [
            (f"{name}_{part}".replace(os.sep, "_"), {"method": name, "part": part}, {found.metric: float(score)})
            for name, scores in found.scores.items()
            for part, score in enumerate(scores, start=1)
        ]
    trials = getattr(getattr(found, "oracle", found), "trials", None)
    if isinstance(trials, dict):
        objective = getattr(found, "oracle", found).objective.name
        return [_of_keras_trial(trial_id, trial, objective) for trial_id, trial in trials.items()]
    if isinstance(found, list | tuple) and found and all(hasattr(each, "settings") for each in found):
        return _of_runs(found)
    raise ValueError(
        "`found` must be a `SearchResult`, a tuner of KerasTuner, a `CrossValidation`, or a list of runs, such as "
        f"`tft.workflow.list_runs` gives. Received: {found!r}."
    )


def _of_trial(trial, objective):
    figures = {} if trial.score is None else {objective: trial.score}
    return str(trial.number), trial.values, {**trial.metrics, **figures}


def _of_keras_trial(trial_id, trial, objective):
    figures = {} if trial.score is None else {objective: float(trial.score)}
    return str(trial_id), dict(trial.hyperparameters.values), figures


def _of_runs(runs):
    settings = [{name: value for name, value in run.settings.items() if name not in _PLACES} for run in runs]
    names = list(dict.fromkeys(name for each in settings for name in each))
    # What all have in common fills the table and tells nothing.
    differing = [name for name in names if len({repr(each.get(name)) for each in settings}) > 1]
    rows = []
    for run, each in zip(runs, settings, strict=True):
        figures = {name: value for name, value in run.figures.items() if value is not None}
        values = {"command": run.command, **{name: each.get(name) for name in differing}}
        rows.append((run.name, values, figures))
    return rows


def _domain(name, rows):
    """Returns the values of what was tried, where there are few words; numbers have a range of their own."""
    from tensorboard.plugins.hparams import api

    tried = [values[name] for _, values, _ in rows if name in values]
    if any(isinstance(value, int | float) and not isinstance(value, bool) for value in tried):
        return None
    if all(isinstance(value, bool) for value in tried):
        return api.Discrete([False, True])
    return api.Discrete(sorted({value if isinstance(value, str) else written(value) for value in tried}))
