"""Features as TensorBoard's projector shows them: points to turn around, with labels and pictures."""

import math
import os

import numpy as np
import tensorflow as tf

from tf_transfer import _checks, _files

# TensorBoard refuses a picture of all examples that is larger.
_LARGEST_SPRITE = 8192
_THUMBNAIL = 64


def write_projector(features, folder, *, columns=None, images=None, thumbnail=None):
    """Writes features for the projector of TensorBoard: `tensorboard --logdir FOLDER`, then "Projector".

    There the points can be turned, colored by a column, searched, and looked at as pictures; PCA, t-SNE and UMAP run in
    the browser. Several features of the same examples, such as those of a model before and after an adaptation, stand
    side by side.

    Args:
        features: Float array of shape `(num_examples, ...)`, or dict of names to such arrays.
        folder: String or path of the log folder; it is made where it is not there, and files of these names in it are
            replaced.
        columns: Dict of names to sequences of one value an example, such as `{"label": names, "domain": domains}`.
            Defaults to None.
        images: Array of shape `(num_examples, height, width, channels)` with 1 or 3 channels in 0..255. Defaults to
            None.
        thumbnail: Integer, pixels of the side of a picture. Defaults to 64, or less where there are so many examples
            that TensorBoard would not take them.

    Returns:
        String, the folder.

    Raises:
        ValueError: When features, columns and images are not of the same examples, or there are too many images.

    Example:

    >>> features = np.random.default_rng(0).normal(size=(6, 3))
    >>> tft.reporting.write_projector(features, "logs", columns={"label": ["ant", "bee"] * 3})
    'logs'
    >>> import os
    >>> sorted(os.listdir("logs"))
    ['features.tsv', 'metadata.tsv', 'projector_config.pbtxt']
    """
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    features = features if isinstance(features, dict) else {"features": features}
    tensors = {_checked_name(name): _rows(values, name) for name, values in features.items()}
    sizes = {len(rows) for rows in tensors.values()}
    if len(sizes) != 1:
        raise ValueError(f"`features` must be of the same examples. Received: {sorted(sizes)} of them.")
    num = sizes.pop()
    metadata = None if columns is None else _metadata(columns, num)
    sprite, side = (None, None) if images is None else _sprite(images, num, thumbnail)
    folder = os.fspath(folder)
    os.makedirs(folder, exist_ok=True)
    config = ProjectorConfig()
    for name, rows in tensors.items():
        embedding = config.embeddings.add(tensor_name=name, tensor_path=f"{name}.tsv", tensor_shape=rows.shape)
        lines = ("\t".join(f"{value:.6g}" for value in row) for row in rows)
        _files.write_text(os.path.join(folder, f"{name}.tsv"), "\n".join(lines) + "\n")
        if metadata is not None:
            embedding.metadata_path = "metadata.tsv"
        if sprite is not None:
            embedding.sprite.image_path = "sprite.png"
            embedding.sprite.single_image_dim.extend([side, side])
    if metadata is not None:
        _files.write_text(os.path.join(folder, "metadata.tsv"), metadata)
    if sprite is not None:
        with _files.whole_file(os.path.join(folder, "sprite.png")) as draft, open(draft, "wb") as file:
            file.write(sprite)
    # Last, so that TensorBoard never finds names of files that are not there yet.
    _files.write_text(os.path.join(folder, "projector_config.pbtxt"), text_format.MessageToString(config))
    return folder


def _checked_name(name):
    if not isinstance(name, str) or not name or {*name} & {"/", "\\"} or name in ("metadata", "projector_config"):
        raise ValueError(f"A name of features must be one of a file. Received: {name!r}.")
    return name


def _rows(values, name):
    rows = np.asarray(values, "float32")
    rows = rows.reshape(len(rows), -1) if rows.ndim > 1 and len(rows) else rows
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise ValueError(f"`features[{name!r}]` must be finite, one row an example. Received: shape {rows.shape}.")
    return rows


def _metadata(columns, num):
    """Returns the table of what is known of each example; the format wants a header only above several columns."""
    wrong = {name: len(values) for name, values in columns.items() if len(values) != num}
    if wrong or not columns:
        raise ValueError(f"`columns` must have one value for each of {num} examples. Received: {wrong or columns}.")
    # The colors go by what stands in a cell, which must not end it.
    clean = [[" ".join(str(value).split()) for value in values] for values in columns.values()]
    lines = ["\t".join(columns)] if len(columns) > 1 else []
    lines += ["\t".join(row) for row in zip(*clean, strict=True)]
    return "\n".join(lines) + "\n"


def _sprite(images, num, thumbnail):
    """Returns all images as thumbnails in one square PNG, row by row, and the side of a thumbnail."""
    images = np.asarray(images)
    if images.ndim != 4 or len(images) != num or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"`images` must have shape ({num}, height, width, 1 or 3), one an example. Received: {images.shape}."
        )
    across = math.ceil(math.sqrt(num))
    side = min(_THUMBNAIL, _LARGEST_SPRITE // across) if thumbnail is None else thumbnail
    _checks.integer(side, "thumbnail", 1, max(1, _LARGEST_SPRITE // across))
    small = tf.image.resize(images.astype("float32"), (side, side), method="area").numpy()
    grid = np.full((across * across, side, side, images.shape[-1]), 255.0, "float32")
    grid[:num] = small
    whole = grid.reshape(across, across, side, side, -1).swapaxes(1, 2).reshape(across * side, across * side, -1)
    return tf.io.encode_png(whole.clip(0, 255).astype("uint8")).numpy(), side
