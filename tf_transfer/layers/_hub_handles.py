"""From what a user calls a module (folder, archive, URL, Kaggle handle) to a folder on this machine."""

import hashlib
import importlib
import os
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tf_transfer import _files
from tf_transfer.layers import archives

_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
_KAGGLE = re.compile(r"[\w.-]+/[\w.-]+/(?P<framework>[\w.-]+)/[\w.-]+(/\d+)?")
_KAGGLE_FRAMEWORKS = ("tensorflow1", "tensorflow2", "tflite", "tfjs", "keras", "jax", "other")


def resolve_handle(handle):
    """Finds the SavedModel folder that a handle stands for, fetching or unpacking it where needed.

    Args:
        handle: String or `pathlib.Path`. One of
            a SavedModel folder or a `file://` URL of one;
            a local `.tar.gz`, `.tgz` or `.tar` of one, unpacked once to `$TF_TRANSFER_CACHE`;
            an `http(s)://` or `gs://` URL, fetched by tensorflow_hub and cached in `$TFHUB_CACHE_DIR`;
            a Kaggle handle, `owner/model/framework/variation[/version]`, with or without `kaggle:` before it,
            fetched by the optional package kagglehub.

    Returns:
        The folder, a string.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        ConnectionError: if the module is not on this machine and cannot be fetched.
        ImportError: if a Kaggle handle is given and kagglehub is not installed.
        ValueError: if what was found is no SavedModel, or an archive is unsafe.

    Example:

    >>> from tf_transfer.backbones import shipped
    >>> folder = shipped("mnist_encoder")
    >>> tft.layers.resolve_handle(folder) == str(folder)
    True
    """
    if not isinstance(handle, str | os.PathLike):
        raise ValueError(f"`handle` must be a string or a path. Received: handle={handle!r}.")
    handle = os.fspath(handle)
    if handle.startswith("kaggle:"):
        return _saved_model(_fetch_from_kaggle(handle.removeprefix("kaggle:").strip("/")), handle)
    scheme = urllib.parse.urlsplit(handle).scheme if "://" in handle else ""
    if scheme and scheme != "file":
        return _fetch_by_url(handle)
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(handle).path) if scheme else handle)
    if path.is_dir():
        return _saved_model(path, handle)
    if path.is_file():
        return _unpacked(path)
    if not scheme and _looks_like_kaggle(handle):
        return _saved_model(_fetch_from_kaggle(handle), handle)
    raise FileNotFoundError(
        f"No module found for handle={handle!r}: there is neither a folder nor an archive at {str(path.absolute())!r}. "
        "A SavedModel folder, a .tar.gz of one, a URL, or a Kaggle handle such as "
        "'google/yamnet/tensorFlow2/yamnet' was expected."
    )


def _saved_model(folder, handle):
    folder = Path(folder)
    if any((folder / name).is_file() for name in _MODEL_FILES):
        return str(folder)
    below = sorted({str(found.parent) for name in _MODEL_FILES for found in folder.glob(f"*/{name}")})
    hint = f" Did you mean {below[-1]!r}?" if below else ""
    raise ValueError(f"handle={handle!r} is a folder without {_MODEL_FILES[0]!r}, so it is no SavedModel.{hint}")


def _unpacked(archive):
    folder = archives.cache_folder() / "archives" / _files.file_digest(archive)
    if not folder.is_dir():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _files.whole_folder(folder) as draft:
                archives.unpack_tar(archive, draft)
                _model_inside(draft, archive)
        except FileExistsError:
            # Another process was faster; the name is the content's hash, so its folder is as good as ours.
            pass
    return str(_model_inside(folder, archive))


def _model_inside(folder, archive):
    found = {path.parent for name in _MODEL_FILES for path in Path(folder).rglob(name)}
    if len(found) != 1:
        raise ValueError(f"{str(archive)!r} must hold one SavedModel. It holds {len(found)} {_MODEL_FILES[0]!r} files.")
    return found.pop()


def _looks_like_kaggle(handle):
    match = _KAGGLE.fullmatch(handle)
    return bool(match) and match["framework"].lower() in _KAGGLE_FRAMEWORKS


def _fetch_from_kaggle(handle):
    if not _KAGGLE.fullmatch(handle):
        raise ValueError(
            "A Kaggle handle must read owner/model/framework/variation or owner/model/framework/variation/version, "
            f"such as 'google/yamnet/tensorFlow2/yamnet/1'. Received: {handle!r}."
        )
    try:
        kagglehub = importlib.import_module("kagglehub")
    except ImportError as error:
        raise ImportError(
            f"{handle!r} is no folder here; as a Kaggle handle it needs the package kagglehub. Install it with "
            "`pip install tf-transfer[kaggle]`, or download the module and pass its folder."
        ) from error
    try:
        return kagglehub.model_download(handle)
    # Requests' errors, which kagglehub lets through, are OSErrors.
    except OSError as error:
        raise ConnectionError(
            f"The Kaggle module {handle!r} is not in kagglehub's cache and could not be fetched "
            f"({type(error).__name__}: {error}). For work offline, fetch it once where there is a network and pass the "
            "folder, or copy kagglehub's cache ($KAGGLEHUB_CACHE, by default ~/.cache/kagglehub) to this machine."
        ) from error


def _fetch_by_url(handle):
    hub = importlib.import_module("tensorflow_hub")
    try:
        folder = hub.resolve(handle)
    except OSError as error:
        cached = Path(os.environ.get("TFHUB_CACHE_DIR") or Path(tempfile.gettempdir()) / "tfhub_modules")
        cached = cached / hashlib.sha1(handle.encode(), usedforsecurity=False).hexdigest()
        # HTTPError's text alone ("HTTP Error 404") would hide whether a server answered at all.
        reason = f"the server answered {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error)
        raise ConnectionError(
            f"The module {handle!r} is not cached on this machine and could not be fetched ({reason}). "
            f"For work offline, unpack it to {str(cached)!r} (set TFHUB_CACHE_DIR to choose another cache), "
            "or download it where there is a network and pass the folder or the .tar.gz."
        ) from error
    return folder if "://" in folder else _saved_model(folder, handle)
