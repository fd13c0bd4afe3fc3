"""What every training run is made of, whatever it learns from, as plain data."""

import dataclasses
import os

from tf_transfer import _checks
from tf_transfer.workflow.run_config import RunConfig
from tf_transfer.workflow.run_strategy import check_strategy

DEFAULT_SPLIT = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(RunConfig):
    """The fields of a training run that do not depend on the kind of examples, and what a kind has to say.

    Args:
        validation: String or path, labelled examples to measure on, of the same kind as those to train on. Defaults to
            a part of these.
        validation_split: Float in (0, 1), the part of each class that is measured on instead of trained on when there
            is no `validation`. Defaults to 0.2.
        builder: Dict of fields of the builder.
        freeze_epochs: Integer, epochs in which only the head trains. Defaults to 20.
        epochs: Integer, epochs of the second phase, in which a part of the backbone trains too. 0 leaves it out
            (feature extraction). Defaults to 10.
        learning_rate: Float, highest rate of the first phase. Defaults to 3e-3.
        fine_tuning_rate: Float, highest rate of the second phase. Defaults to `learning_rate / 100`.
        layer_decay: Float in (0, 1], factor on the rate from each block to the one below. Defaults to one rate.
        class_weight: "balanced", a dict of class name to weight, or None. Defaults to None.
        batch_size: Integer, examples of one step. Defaults to 32.
        features_cache: Boolean, or the folder that keeps the features of the frozen backbone. Defaults to True, the
            user's cache folder.
        seed: Integer, of the split, the shuffling, the augmentation and the head. Defaults to 0.
        strategy: What to train on, a name for `tft.distribution.strategy`: "multi_worker" for all machines that the
            environment variable TF_CONFIG names, "mirrored" for all devices of this one, "auto" for what there is.
            Defaults to None, no strategy.
        restore_best_weights: Boolean, whether each phase ends with the weights of its best epoch on the examples that
            are measured on, so that the figures are a little too good. False keeps the last weights, and these examples
            choose nothing. Defaults to True.
        min_accuracy: Float in [0, 1]. Below it, on validation, nothing is saved or exported. Defaults to None.
        output: String or path, a folder that is made for the results. Defaults to None.
        save_model: String or path, a `.keras` file to save to. Defaults to None.
        export: String or path, the folder of the served model, such as "saved_models/flowers". Defaults to None.
    """

    validation: str | os.PathLike | None = None
    validation_split: float | None = None
    builder: dict = dataclasses.field(default_factory=dict)
    freeze_epochs: int = 20
    epochs: int = 10
    learning_rate: float = 3e-3
    fine_tuning_rate: float | None = None
    layer_decay: float | None = None
    class_weight: str | dict | None = None
    batch_size: int = 32
    features_cache: bool | str | os.PathLike | None = True
    seed: int = 0
    strategy: str | None = None
    restore_best_weights: bool = True
    min_accuracy: float | None = None
    output: str | os.PathLike | None = None
    save_model: str | os.PathLike | None = None
    export: str | os.PathLike | None = None

    def __post_init__(self):
        self._check_paths(*self.required, "validation", "output", "save_model", "export")
        self._check_split()
        self._check_training()
        self._check_builder()

    def open(self):
        """Returns the builder of the run, the examples to train on, and those to measure on: before it, all is checked.

        Both sets of examples have a length, `files`, `class_names`, and `examples(num)`, inputs to compare an export
        on; `as_data` makes of them what `tft.fine_tune` takes.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `open`.")

    def whole(self):
        """Returns the labelled examples, not divided: an `ImageFolder`, `LabelledText`, `Table` or `AudioFolder`."""
        raise NotImplementedError(f"{type(self).__name__} must define `whole`.")

    def labelled(self):
        """Returns the same as a pair of those to train on and those to measure on, as `open` divides them."""
        raise NotImplementedError(f"{type(self).__name__} must define `labelled`.")

    def phases(self, builder, num_examples=None):
        """Returns the arguments of `tft.fine_tune` that say how long to train, and at which rates.

        Args:
            builder: The builder of the run.
            num_examples: Integer, the examples to train on, which recipes go by. Defaults to None.
        """
        names = ("freeze_epochs", "epochs", "learning_rate", "fine_tuning_rate", "layer_decay")
        return {name: getattr(self, name) for name in names}

    def prepared(self, model):
        """Returns the model of the run, compiled as the run trains it."""
        return model

    def _check_training(self):
        for name in ("freeze_epochs", "epochs"):
            if getattr(self, name) is not None:
                _checks.integer(getattr(self, name), name, 0)
        if self.freeze_epochs == 0 and self.epochs == 0:
            raise ValueError("One of `freeze_epochs` and `epochs` must be above 0. Received: 0 and 0.")
        for name in ("learning_rate", "fine_tuning_rate"):
            if getattr(self, name) is not None:
                _checks.number(getattr(self, name), name, 0.0)
        if self.layer_decay is not None:
            _checks.number(self.layer_decay, "layer_decay", 1e-6, 1.0)
        if isinstance(self.class_weight, dict):
            weights = {
                str(name): _checks.number(value, "class_weight", 0.0) for name, value in self.class_weight.items()
            }
            object.__setattr__(self, "class_weight", weights)
        elif self.class_weight is not None:
            _checks.one_of(self.class_weight, "class_weight", ["balanced"])
        _checks.integer(self.batch_size, "batch_size", 1)
        _checks.integer(self.seed, "seed", 0)
        self._check_strategy()
        _checks.one_of(self.restore_best_weights, "restore_best_weights", [False, True])
        if self.min_accuracy is not None:
            _checks.number(self.min_accuracy, "min_accuracy", 0.0, 1.0)
        if self.save_model is not None and not os.fspath(self.save_model).endswith(".keras"):
            raise ValueError(f"`save_model` must end in .keras. Received: save_model={os.fspath(self.save_model)!r}.")

    def _check_strategy(self):
        check_strategy(self.strategy)

    def _check_builder(self):
        super()._check_builder()
        if self.builder.get("trainable") is False and self.epochs:
            raise ValueError(
                "`trainable`=false leaves the second phase nothing to train. For feature extraction say epochs=0; "
                "leave `trainable` out to train the upper half of the backbone."
            )
        if self.builder.get("regularizer") is not None and self.epochs == 0:
            raise ValueError(
                "`regularizer` holds the backbone in the second phase, and epochs=0 leaves that out. Leave out one."
            )
