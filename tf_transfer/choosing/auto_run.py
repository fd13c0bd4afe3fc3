"""From a folder of images to a searched, saved and exported model."""

import os

from tf_transfer import _files
from tf_transfer.choosing.auto import auto
from tf_transfer.data import ImageFolder
from tf_transfer.layers import save_model
from tf_transfer.serving import export
from tf_transfer.serving.version_folders import check_target
from tf_transfer.workflow.export_record import files_fingerprint
from tf_transfer.workflow.output_folder import DPI, check_file, check_output
from tf_transfer.workflow.run_export import kept_if_it_fails

_NUM_EXAMPLES = 16


def auto_run(images, minutes=20, *, skip_bad=False, channels=3, output=None, model_file=None, served=None, **options):
    """Searches for the best way to learn a folder of images, and keeps the model; see `tft.auto`.

    Args:
        images: String or path, a folder with a folder a class.
        minutes: As in `tft.auto`. Saving and exporting come on top.
        skip_bad: Boolean, whether to leave out images that can't be read instead of stopping. Defaults to False.
        channels: 1 (grey), 3 (RGB) or 4. Defaults to 3.
        output: String or path, a folder that is made for model.keras, config.yaml, tried.csv, tried.json and tried.png.
            Defaults to None.
        model_file: String or path, a `.keras` file to save to. Defaults to None.
        served: String or path, the folder of the served model. Defaults to None.
        **options: As of `tft.auto`.

    Returns:
        The `tft.choosing.AutoResult`, and a dict of what was "saved", "wrote" and "exported" to paths or None.

    Raises:
        ValueError: For input or options that can't be, before anything is trained.
        OSError: For folders and files that can't be read, and places that can't be written to.
    """
    check_output(output)
    if model_file is not None:
        check_file(model_file, "save_model")
        if not os.fspath(model_file).endswith(".keras"):
            raise ValueError(f"`save_model` must end in .keras. Received: save_model={os.fspath(model_file)!r}.")
    if served is not None:
        check_target(served)
    folder = ImageFolder(images, (224, 224), channels=channels, skip_bad=skip_bad)
    result = auto(folder, minutes, **options)
    places = {"saved": _saved(result, model_file), "wrote": _written(result, output)}
    saved = places["saved"] or (places["wrote"] and os.path.join(places["wrote"], "model.keras"))
    return result, {**places, "exported": _exported(result, served, folder, saved)}


def _saved(result, path):
    if path is None:
        return None
    with kept_if_it_fails(result, path, "saving", f"{os.fspath(path)!r} was not written"):
        save_model(result.model, path, list(result.class_names))
    return os.fspath(path)


def _written(result, path):
    if path is None:
        return None
    with (
        kept_if_it_fails(result, path, "writing", f"{os.fspath(path)!r} was not written"),
        _files.whole_folder(path) as draft,
    ):
        save_model(result.model, os.path.join(draft, "model.keras"), list(result.class_names))
        if result.config is not None:
            result.config.to_yaml(os.path.join(draft, "config.yaml"))
        result.to_csv(os.path.join(draft, "tried.csv"))
        _files.write_json(os.path.join(draft, "tried.json"), result.to_dict(), indent=2, ensure_ascii=False)
        result.plot().savefig(os.path.join(draft, "tried.png"), dpi=DPI)
    return os.fspath(path)


def _exported(result, path, folder, saved):
    if path is None:
        return None
    size = result.model.input_shape[1:]
    with kept_if_it_fails(result, path, "exporting", "nothing was exported", saved):
        return export(
            result.model,
            path,
            class_names=list(result.class_names),
            examples=folder.resized(size[:2], size[2]).examples(_NUM_EXAMPLES),
            builder=result.builder,
            metrics={f"cross_validated_{result.metric}": result.best.score},
            data_fingerprint=files_fingerprint(folder),
        )
