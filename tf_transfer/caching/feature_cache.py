"""Features of a frozen backbone, computed once and kept on disk."""

import hashlib
import os
import sys
from pathlib import Path

import keras
import tensorflow as tf

from tf_transfer import _checks, _files
from tf_transfer.caching import feature_store as store
from tf_transfer.caching.backbone_key import backbone_key, first_random_layer
from tf_transfer.caching.cached_features import CachedFeatures
from tf_transfer.caching.feature_extraction import Extraction, RandomStreamError, StreamPass, unpack


class FeatureCache:
    """Keeps the features of frozen backbones on disk, so that a head trains without running the backbone.

    Features are computed in one pass with bounded memory and found again by architecture, weights and data, whatever
    the order of the examples, in later runs and in other processes. A run that is killed leaves nothing
    half-written, and files that were damaged are noticed and computed anew.

    Args:
        directory: Path of the folder. Defaults to None: `$TF_TRANSFER_CACHE/features` when the variable is set, else
            the user's cache folder, `~/.cache/tf_transfer/features` on Linux.

    Example:

    >>> backbone = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    >>> x, y = np.eye(4, dtype="float32"), np.array([0, 1, 0, 1])
    >>> data = tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
    >>> cache = tft.FeatureCache("features")
    >>> cached = cache.features(backbone, data, verbose=0)
    >>> cached.features.shape, cached.labels.tolist()
    ((4, 2), [0, 1, 0, 1])
    >>> head = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    >>> head.compile("adam", "mse")
    >>> history = head.fit(cached.dataset(batch_size=2, shuffle=True), epochs=2, verbose=0)
    >>> cache.clear(), cache.size()
    (1, 0)
    """

    def __init__(self, directory=None):
        self.directory = Path(directory).expanduser() if directory is not None else _default_directory()
        if self.directory.exists() and not self.directory.is_dir():
            raise ValueError(f"`directory` must be a folder. Received: directory={str(self.directory)!r}, a file.")

    @classmethod
    def of(cls, given):
        """Returns the cache that an argument stands for.

        Args:
            given: True for the user's cache folder, False or None for no cache, a folder, or a `FeatureCache`.

        Returns:
            A `FeatureCache`, or None.
        """
        if given is None or given is False:
            return None
        return given if isinstance(given, cls) else cls(None if given is True else given)

    def features(self, backbone, data, *, batch_size=None, steps=None, allow_random_layers=False, verbose=1):
        """Returns the features of all examples, from disk when they were computed before.

        Args:
            backbone: A built `keras.Model` or `keras.layers.Layer` from inputs to features, run with `training=False`.
            data: A batched `tf.data.Dataset` of `x`, `(x, y)` or `(x, y, sample_weight)`.
            batch_size: Integer, how many examples the backbone takes at once. Defaults to None, the batches of `data`.
            steps: Integer, how many batches to take. Defaults to None, all; an endless stream needs it.
            allow_random_layers: Boolean, True where the training without the cache runs the backbone in inference mode
                too, as it does a teacher, so that its augmentation rests. Defaults to False.
            verbose: 0 or 1, whether to show a progress bar while features are computed. Defaults to 1.

        Returns:
            A `CachedFeatures`.

        Raises:
            RandomStreamError: When two passes over `data` differ, or a random layer stands before the backbone.
            ValueError: When `data` is endless, empty or not batched numbers, or the backbone cannot be identified.
            OSError: When the disk has too little room.
        """
        data = _checked_stream(data, steps)
        if batch_size is not None:
            data = data.rebatch(_checks.integer(batch_size, "batch_size", minimum=1))
        if not allow_random_layers:
            _refuse_random_layers(backbone)
        first_pass = StreamPass(data)
        first_pass.run()
        folder = self.directory / _key(backbone, first_pass.fingerprint, data.element_spec)
        cached = self._open(folder, verbose)
        if cached is None:
            first_pass.refuse_random_stream()
            self._compute(backbone, data, first_pass, folder, verbose)
            cached = self._open(folder, verbose)
        return cached

    def entries(self):
        """Returns a list of dicts that say what is cached: key, backbone, num_examples, shape, bytes."""
        found = []
        for folder in store.entries(self.directory):
            manifest = store.read_manifest(folder)
            if manifest is not None:
                about = {"key": folder.name, **manifest["about"], "bytes": store.folder_size(folder)}
                found.append(about)
        return found

    def size(self):
        """Returns the number of bytes on disk."""
        return sum(store.folder_size(folder) for folder in store.entries(self.directory))

    def clear(self):
        """Removes all entries and returns how many there were; other files in the folder stay."""
        folders = store.entries(self.directory)
        for folder in folders:
            store.remove_entry(folder)
        return len(folders)

    def _open(self, folder, verbose):
        if not folder.is_dir():
            return None
        manifest = store.read_manifest(folder)
        columns = store.open_columns(folder, manifest) if manifest is not None else None
        if columns is None:
            if verbose:
                print(f"Cached features in {str(folder)!r} are damaged and will be computed anew.")
            store.remove_entry(folder)
            return None
        return CachedFeatures(**unpack(manifest["structure"], columns))

    def _compute(self, backbone, data, first_pass, folder, verbose):
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"The cache folder {str(self.directory)!r} cannot be made: {error.strerror}.") from error
        with _files.disk_errors(folder, store.KEPT), _files.draft_folder(self.directory) as draft:
            manifest = Extraction(backbone, first_pass, Path(draft), verbose).run()
            store.publish(Path(draft), folder, manifest)


def _default_directory():
    if os.environ.get("TF_TRANSFER_CACHE"):
        return Path(os.environ["TF_TRANSFER_CACHE"]).expanduser() / "features"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tf_transfer" / "features"


def _checked_stream(data, steps):
    """Returns the stream, cut after `steps` batches, when it can be cached at all."""
    if not isinstance(data, tf.data.Dataset):
        raise ValueError(
            f"`data` must be a batched `tf.data.Dataset`. Received: data of type {type(data).__name__}. "
            "Arrays become one with `tft.data.as_dataset`."
        )
    if steps is not None:
        data = data.take(_checks.integer(steps, "steps", minimum=1))
    elif data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("`data` is endless. Say with `steps` how many batches make one pass.")
    _, *targets = keras.utils.unpack_x_y_sample_weight(data.element_spec)
    for spec in keras.tree.flatten(targets):
        if spec is not None and (not isinstance(spec, tf.TensorSpec) or spec.dtype == tf.string):
            raise ValueError(f"Labels and weights must be dense numbers to be cached. Received: {spec}.")
    for spec in keras.tree.flatten(data.element_spec):
        if spec is not None and spec.shape.rank == 0:
            raise ValueError(f"`data` must be batched: `data.batch(32)`. Received: elements of {spec}.")
    return data


def _refuse_random_layers(backbone):
    layer = first_random_layer(backbone)
    if layer is not None:
        raise RandomStreamError(
            f"The layer {layer.name!r} ({type(layer).__name__}) stands before the backbone and changes its inputs at "
            "random, so that features cannot be cached. Move it into the head, or train without the cache."
        )


def _key(backbone, fingerprint, element_spec):
    kinds = keras.tree.map_structure(lambda spec: spec.dtype.name, element_spec)
    identity = f"{store.FORMAT} {backbone_key(backbone)} {fingerprint} {kinds}"
    return hashlib.blake2b(identity.encode(), digest_size=20).hexdigest()
