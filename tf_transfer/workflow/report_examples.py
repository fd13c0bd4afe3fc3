"""The examples that a report is about: those that a run set aside, or others of the same kind."""

import typing

import numpy as np

from tf_transfer.builders import TabularClassifier
from tf_transfer.builders.table_columns import input_names
from tf_transfer.data import AudioFolder, ImageFolder, UnlabeledImages, read_table, read_text
from tf_transfer.data.table_columns import is_missing
from tf_transfer.layers.keras_files import known_class_names
from tf_transfer.reporting.asking import output_names
from tf_transfer.workflow.domain_folders import read_domains, subfolders
from tf_transfer.workflow.labelled_folders import read_folders
from tf_transfer.workflow.labelled_rows import as_data
from tf_transfer.workflow.run_settings import config_class


class RunExamples(typing.NamedTuple):
    """What a run says of a model besides the model.

    Attributes:
        builder: The builder of the model, or None.
        held_out: Labelled examples that the run measured on, or None.
        source: The source of an adaptation, or None.
        target: The target of an adaptation, or None.
    """

    builder: typing.Any = None
    held_out: typing.Any = None
    source: typing.Any = None
    target: typing.Any = None


def open_run(run, model):
    """Opens the examples of a run again, split as it split them; paths count from the current folder.

    Args:
        run: `Run`.
        model: Its `keras.Model`.

    Raises:
        OSError: When files of the run are not where its configuration says.
        ValueError: When they are not what they were.
    """
    # Where it wrote is nothing that is read again.
    fields = {name: value for name, value in run.settings.items() if name not in ("output", "export", "save_model")}
    kind = config_class(run)
    required = {name: run.settings[name] for name in kind.required if name not in fields}
    config, shape = kind.from_dict({**fields, **required}), model.input_shape[1:]
    if run.command == "adapt":
        domains = read_domains(config, shape)
        builder = config.make_builder(domains.source.class_names, shape)
        return RunExamples(builder, domains.validation, domains.source, domains.target)
    if run.command == "distill":
        _, held_out = read_folders(config, shape, known_class_names(model))
        return RunExamples(held_out=held_out)
    builder, _, held_out = config.open()
    return RunExamples(builder, as_data(held_out))


def read_examples(model, *, images=None, text=None, table=None, audio=None, target=None, skip_bad=False):
    """Reads labelled examples as a model takes them, from a folder or file as in training.

    Args:
        model: `keras.Model`, with its builder where one is known.
        images: Path of a folder with one subfolder of images per class. Defaults to None.
        text: Path of a file of labelled texts. Defaults to None.
        table: Path of a file of rows. Defaults to None.
        audio: Path of a folder with one subfolder of WAV files per class. Defaults to None.
        target: String, the column of labels or values in `text` or `table`. Defaults to None.
        skip_bad: Boolean, whether to leave out images or recordings that can't be read. Defaults to False.
    """
    if outputs := output_names(model):
        raise ValueError(
            f"A folder or file has one label an example, and the model has the outputs {sorted(outputs)}. In Python, "
            "`tft.report(model, (x, labels))` takes labels as a dict by output."
        )
    names, builder = known_class_names(model), getattr(model, "builder", None)
    if images is not None:
        shape = _one_shape(model, 3, "images")
        return ImageFolder(images, shape[:2], channels=shape[-1], class_names=names, skip_bad=skip_bad)
    if audio is not None:
        if not hasattr(builder, "sample_rate"):
            raise ValueError("A .keras file does not say its sample rate. Give the folder of the run instead.")
        return AudioFolder(audio, builder.sample_rate, builder.seconds, class_names=names, skip_bad=skip_bad)
    if text is not None:
        found = read_text(text, None, target, class_names=names, regression=names is None)
        return found.texts, found.labels
    columns = _columns(model, builder)
    rows = read_table(table, target, columns=list(columns), kinds=columns, class_names=names, verbose=False)
    reader = builder if hasattr(builder, "columns") else TabularClassifier(columns=columns, num_classes=2)
    if reader is not builder and any(is_missing(values).any() for values in rows.values()):
        raise ValueError(
            "A .keras file does not say whether values may be missing. Give the folder of the run instead."
        )
    y = rows.y if rows.class_names is not None else np.asarray(rows.y, "float32")[:, None]
    return reader.inputs(rows), y


def read_source(model, folder, skip_bad=False):
    """Returns the images of a folder, with labels where it has the subfolders of the model's classes."""
    shape, names = _one_shape(model, 3, "images"), known_class_names(model)
    options = {"channels": shape[-1], "skip_bad": skip_bad}
    if names is not None and set(subfolders(folder)) == set(names):
        return ImageFolder(folder, shape[:2], class_names=names, **options)
    return UnlabeledImages(folder, shape[:2], **options)


def _one_shape(model, rank, what):
    shape = model.input_shape[1:] if isinstance(model.input_shape, tuple) else ()
    if len(shape) != rank:
        raise ValueError(f"The model takes no {what}; its inputs have the shape {model.input_shape}.")
    return shape


def _columns(model, builder):
    """Returns the columns of a model of tables with their kinds."""
    if hasattr(builder, "columns"):
        return {name: column["kind"] for name, column in builder.columns.items()}
    inputs = model.input
    if not isinstance(inputs, dict):
        raise ValueError(f"The model takes no rows of a table; its inputs have the shape {model.input_shape}.")
    # Without its builder, the names are those of the inputs, which for most columns are their own.
    names = input_names(inputs)
    return {name: "category" if inputs[name].dtype == "string" else "number" for name in names}
