"""What a run leaves: its folder, and the served model with what is recorded of it. A trained model is never lost."""

import contextlib
import dataclasses
import os
import tempfile

from tf_transfer.layers import save_model
from tf_transfer.serving import export
from tf_transfer.workflow import export_record

_NUM_EXAMPLES = 16


def write_and_export(config, result, write, examples, trained_on, *, saved=None):
    """Writes the folder of a run and exports its model, whichever is asked for, and returns the result with the places.

    Args:
        config: `RunConfig` with `output` and `export`.
        result: As in `export_result`, with `output` too.
        write: Function that writes the folder and returns its path.
        examples: As in `export_result`.
        trained_on: As in `export_result`.
        saved: As in `export_result`.
    """
    if config.output is None:
        return export_result(config, result, examples, trained_on, saved=saved)
    with kept_if_it_fails(result, config.output, "writing", f"{os.fspath(config.output)!r} was not written"):
        result = dataclasses.replace(result, output=write())
    return export_result(config, result, examples, trained_on, saved=os.path.join(result.output, "model.keras"))


def export_result(config, result, examples, trained_on, *, saved=None):
    """Exports the model of a run when it is to, and returns the result with the place.

    Args:
        config: `RunConfig` with `export`, the folder of the served model or None.
        result: Result of the run, a dataclass with `model`, `builder`, `class_names`, `evaluation` and `export_path`.
        examples: `ImageFolder`, from which come the images that the predictions are compared on.
        trained_on: Function that returns the fingerprint of the data, for which all files are read.
        saved: String, the file that has the model already, or None.
    """
    if config.export is None:
        return result
    with kept_if_it_fails(result, config.export, "exporting", "nothing was exported", saved):
        path = export(
            result.model,
            config.export,
            class_names=result.class_names,
            examples=examples.examples(_NUM_EXAMPLES),
            builder=result.builder,
            metrics=export_record.metrics(result.evaluation),
            data_fingerprint=trained_on(),
        )
    return dataclasses.replace(result, export_path=path)


@contextlib.contextmanager
def kept_if_it_fails(result, near, doing, missing, saved=None):
    """Saves the model of a run as a `.keras` file when what comes after the training fails, and says where it is.

    Args:
        result: As in `export_result`.
        near: String or path, what was to be written; the file appears beside it where that is possible.
        doing: String, what is done, such as "exporting".
        missing: String, what is not there after a failure, such as "nothing was exported".
        saved: String, the file that has the model already, or None.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"Stopped while {doing}: {missing}. {_kept(result, near, saved)}") from stop
    except Exception as error:
        said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        kinds = [kind for kind in (OSError, ValueError) if isinstance(error, kind)]
        message = f"{missing[0].upper()}{missing[1:]}: {said.rstrip('.')}. {_kept(result, near, saved)}"
        raise (kinds or [RuntimeError])[0](message) from error


def _kept(result, near, saved):
    """Returns a sentence about where the trained model is."""
    place = saved or _saved_somewhere(result, os.path.abspath(near))
    if place is None:
        return "The trained model could not be saved anywhere either."
    return f"The trained model is in {place!r}; `tf-transfer export` takes it from there."


def _saved_somewhere(result, near):
    """Saves beside `near`, or where that is impossible in the current folder, or in that for temporary files."""
    for folder in (os.path.dirname(near), os.getcwd(), tempfile.gettempdir()):
        path, number = os.path.join(folder, f"{os.path.basename(near)}_rescued.keras"), 1
        while os.path.lexists(path):
            number += 1
            path = os.path.join(folder, f"{os.path.basename(near)}_rescued_{number}.keras")
        with contextlib.suppress(OSError, ValueError):
            os.makedirs(folder, exist_ok=True)
            return save_model(result.model, path, result.class_names)
    return None
