"""What training runs on texts, tables and recordings are made of, beside the fields of every training run."""

import dataclasses
import os
from typing import ClassVar

import numpy as np

from tf_transfer import _checks
from tf_transfer.builders import (
    AudioClassifier,
    TabularClassifier,
    TabularRegressor,
    TextClassifier,
    TextRegressor,
)
from tf_transfer.data import AudioFolder, hold_out, read_table, read_text
from tf_transfer.workflow.labelled_folders import split
from tf_transfer.workflow.labelled_rows import LabelledRows
from tf_transfer.workflow.run_config import RunConfig
from tf_transfer.workflow.training_config import DEFAULT_SPLIT, TrainingConfig

_TASKS = ("classification", "regression")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _PossiblyFromScratch(TrainingConfig):
    """Runs whose network may start at random: then everything trains from the first epoch, at the full rate."""

    not_chosen: ClassVar[dict] = {name: where for name, where in RunConfig.not_chosen.items() if name != "input_shape"}
    scratch_epochs: ClassVar[int] = 30

    freeze_epochs: int | None = None
    epochs: int | None = None

    def phases(self, builder, num_examples=None):
        fields = super().phases(builder, num_examples)
        scratch = builder.trainable is True
        if self.freeze_epochs is None:
            fields["freeze_epochs"] = 0 if scratch else 20
        if self.epochs is None:
            fields["epochs"] = self.scratch_epochs if scratch else 10
            if self.builder.get("trainable") is False:
                fields["epochs"] = 0
        if scratch and not fields["freeze_epochs"] and self.fine_tuning_rate is None:
            fields["fine_tuning_rate"] = self.learning_rate
        return fields

    def _try_builder(self, class_names):
        self.make_builder(class_names)

    def _parts(self, x, y):
        """Returns the rows to train on and those to measure on."""
        return hold_out((x, y), self.validation_split or DEFAULT_SPLIT, self.seed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTrainConfig(_PossiblyFromScratch):
    """A training run on a file of labelled texts, for `tft.workflow.train`.

    Args:
        text: String or path, a CSV or TSV file with a header, as in `tft.data.read_text`.
        text_column: String, the column of the texts. Defaults to the one with a name such as "text" or "review".
        target: String, the column to predict. Defaults to the one with a name such as "label" or "class".
        task: "classification" or "regression". Defaults to "classification".
        freeze_epochs: Integer. Defaults to 20, and to 0 for an encoder that starts at random.
        epochs: Integer. Defaults to 10, and to 30 for an encoder that starts at random.
        **fields: Those of `TrainingConfig`, and of `tft.TextClassifier`: backbone, backbone_options and the others.

    Example:

    >>> config = TextTrainConfig.from_dict({"text": "reviews.csv", "backbone": "cnn", "epochs": "5"})
    >>> config.builder, config.epochs
    ({'backbone': 'cnn'}, 5)
    """

    builder_class = TextClassifier
    example = "FILE.csv"
    required = {"text": "the file of labelled texts"}

    text: str | os.PathLike
    text_column: str | None = None
    target: str | None = None
    task: str = "classification"

    def __post_init__(self):
        _checks.one_of(self.task, "task", _TASKS)
        super().__post_init__()

    def whole(self):
        return self._read(self.text, self.builder.get("class_names"))

    def labelled(self):
        whole = self.whole()
        if self.validation is not None:
            return whole, self._read(self.validation, whole.class_names)
        parts = self._parts(whole.texts, whole.labels)
        return tuple(dataclasses.replace(whole, texts=x, labels=y) for x, y in parts)

    def open(self):
        training, validation = self.labelled()
        names = training.class_names
        builder = self._builder(names, training.labels).adapt(training.texts)
        parts = (training, validation)
        return builder, *(LabelledRows(each.texts, each.labels, (each.path,), names, "texts") for each in parts)

    def _read(self, path, class_names):
        regression = self.task == "regression"
        return read_text(path, self.text_column, self.target, class_names=class_names, regression=regression)

    def _builder(self, class_names, y):
        if self.task == "classification":
            return self.make_builder(class_names)
        scale = {"target_mean": float(np.mean(y)), "target_std": float(np.std(y)) or 1.0}
        return self.make_builder(None, builder_class=TextRegressor, **scale)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableTrainConfig(_PossiblyFromScratch):
    """A training run on a table, for `tft.workflow.train`.

    Args:
        table: String or path, a CSV, TSV or parquet file, as in `tft.data.read_table`.
        target: String, the column to predict.
        columns: Tuple of strings, the columns to predict from. Defaults to all that say something.
        kinds: Dict from names of columns to "number", "category" or "text", where what is found would be wrong.
        task: "classification" or "regression". Defaults to what the target looks like.
        freeze_epochs: Integer. Defaults to 0, since a feature map starts at random.
        epochs: Integer. Defaults to 100.
        **fields: Those of `TrainingConfig`, and of `tft.TabularClassifier`: hidden_units, dropout and the others.

    Example:

    >>> config = TableTrainConfig.from_dict({"table": "heart.csv", "target": "sick", "hidden_units": "32,32"})
    >>> config.builder, config.target
    ({'hidden_units': (32, 32)}, 'sick')
    """

    builder_class = TabularClassifier
    example = "FILE.csv"
    required = {"table": "the file of rows", "target": "the column to predict"}
    not_chosen = {
        **_PossiblyFromScratch.not_chosen,
        "columns": "the run's own `columns` and `kinds`",
        "target_parts": "the parts of a target of its own, which a run on one table does not have",
        "target_regularizer": "what holds the parts of a target of its own",
    }
    scratch_epochs = 100

    table: str | os.PathLike
    target: str
    columns: tuple | None = None
    kinds: dict = dataclasses.field(default_factory=dict)
    task: str | None = None

    def __post_init__(self):
        if self.task is not None:
            _checks.one_of(self.task, "task", _TASKS)
        if isinstance(self.columns, list | str):
            names = self.columns.split(",") if isinstance(self.columns, str) else self.columns
            object.__setattr__(self, "columns", tuple(str(name).strip() for name in names))
        super().__post_init__()

    def whole(self):
        return self._read(self.table, self.columns, self.kinds, self.task, self.builder.get("class_names"))

    def labelled(self):
        whole = self.whole()
        if self.validation is not None:
            known = (tuple(whole), whole.kinds, whole.task, whole.class_names)
            return whole, self._read(self.validation, *known, verbose=False)
        parts = self._parts(dict(whole), whole.y)
        return tuple(dataclasses.replace(whole, columns=x, y=y) for x, y in parts)

    def open(self):
        training, validation = self.labelled()
        regression = {"builder_class": TabularRegressor} if training.task == "regression" else {}
        names = training.class_names
        builder = self.make_builder(names, columns=training.kinds, **regression).adapt(training, training.y)
        parts = (training, validation)
        return builder, *(LabelledRows(builder.inputs(each), each.y, (each.path,), names, "rows") for each in parts)

    def _read(self, path, columns, kinds, task, class_names, verbose=True):
        return read_table(
            path, self.target, task, columns=columns, kinds=kinds, class_names=class_names, verbose=verbose
        )

    def _try_builder(self, class_names):
        self.make_builder(class_names, columns=("column",))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioTrainConfig(_PossiblyFromScratch):
    """A training run on a folder of recordings, for `tft.workflow.train`.

    Args:
        audio: String or path, the folder that has one subfolder of WAV files per class.
        skip_bad: Boolean, whether to leave out recordings that can't be read instead of stopping. Defaults to False.
        freeze_epochs: Integer. Defaults to 20, and to 0 for a network that starts at random.
        epochs: Integer. Defaults to 10, and to 30 for a network that starts at random.
        **fields: Those of `TrainingConfig`, and of `tft.AudioClassifier`: sample_rate, seconds, backbone and so on.

    Example:

    >>> config = AudioTrainConfig.from_dict({"audio": "digits", "sample_rate": "8000", "seconds": "0.5"})
    >>> config.builder
    {'sample_rate': 8000, 'seconds': 0.5}
    """

    builder_class = AudioClassifier
    example = "FILE.wav"
    required = {"audio": "the folder that has one subfolder of recordings per class"}

    audio: str | os.PathLike
    skip_bad: bool = False

    def __post_init__(self):
        _checks.one_of(self.skip_bad, "skip_bad", [False, True])
        super().__post_init__()

    def whole(self):
        return self._read(self.audio, self.builder.get("class_names"))

    def labelled(self):
        folder = self.whole()
        if self.validation is None:
            return split(folder, self)
        return folder, self._read(self.validation, folder.class_names)

    def open(self):
        training, validation = self.labelled()
        return self.make_builder(training.class_names), training, validation

    def _read(self, path, class_names):
        rate, seconds = (self.builder.get(name, getattr(AudioClassifier, name)) for name in ("sample_rate", "seconds"))
        return AudioFolder(path, rate, seconds, skip_bad=self.skip_bad, class_names=class_names)
