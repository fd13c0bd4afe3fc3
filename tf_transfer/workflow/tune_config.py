"""What a search on folders of images is made of, as plain data: from code, a YAML file or the command line."""

import dataclasses
import os

from tf_transfer import _checks
from tf_transfer.tuning import read_space, trial_strategy
from tf_transfer.workflow.train_config import TrainConfig

TUNERS = ("bayesian", "random", "grid", "hyperband")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig(TrainConfig):
    """A search for the best way to train on a folder of images, for `tft.workflow.tune`.

    It has all fields of `tft.workflow.TrainConfig`, which say what trials have in common, and those of the search.

    Args:
        space: Path of a YAML file that `tft.tuning.read_space` reads, or what it would give, as a dict. Defaults to
            None, `tft.tuning.default_space`.
        tuner: String, "bayesian", "random", "grid" or "hyperband". Defaults to "bayesian".
        max_trials: Integer. Defaults to None, as in `tft.tuning.search`.
        objective: String, the metric on the validation images. Defaults to "val_accuracy".
        output: String or path, the folder of the search, which goes on where it was when it is there. Defaults to
            "tuning".
        overwrite: Boolean, whether to begin anew where there is a search. Defaults to False.
        strategy: What each trial trains on, as in `tft.tuning.search`: "mirrored", "one_device" or "tpu". Defaults to
            None, no strategy.
        tensorboard: String or path, a log folder for TensorBoard's HParams. Defaults to None.
        **fields: Those of `TrainConfig`: images, validation, backbone, freeze_epochs, epochs, export and the others.

    Raises:
        ValueError: For a name or a value that can't be, before anything is read.

    Example:

    >>> config = TuneConfig.from_dict({"images": "photos", "space": {"dropout": {"float": [0, 0.5]}}, "epochs": 0})
    >>> config.space, config.tuner
    ({'dropout': {'float': [0, 0.5]}}, 'bayesian')
    >>> TuneConfig.from_dict(config.to_dict()) == config
    True
    """

    from_scratch = "Search with weights that carry something over."

    space: str | os.PathLike | dict | None = None
    tuner: str = "bayesian"
    max_trials: int | None = None
    objective: str = "val_accuracy"
    output: str | os.PathLike = "tuning"
    overwrite: bool = False
    tensorboard: str | os.PathLike | None = None

    def __post_init__(self):
        super().__post_init__()
        self._check_paths("tensorboard")
        if not self.restore_best_weights:
            raise ValueError("A search compares trials by their best epochs: leave out `restore_best_weights`.")
        if self.output is None:
            raise ValueError("`output` must be a path: a search that is kept nowhere can't go on. Received: None.")
        _checks.one_of(self.tuner, "tuner", TUNERS)
        _checks.one_of(self.overwrite, "overwrite", [False, True])
        if self.max_trials is not None:
            _checks.integer(self.max_trials, "max_trials", 1)
        if isinstance(self.space, dict):
            self.read_space()

    def _check_strategy(self):
        if self.strategy is not None:
            trial_strategy.check_name(self.strategy)

    def read_space(self):
        """Returns the space as `tft.tuning.search` takes it."""
        space = self.space
        if space is None:
            return None
        space = read_space(space)
        if "input_shape" in space:
            raise ValueError("`space` has 'input_shape', but all trials have the images in one size: `image_size`.")
        return space
