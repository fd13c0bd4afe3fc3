"""Random changes of training images in the data pipeline, so that they are in no saved model."""

import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.data.labels import example_spec, match_labels
from tf_transfer.data.random_layers import map_with_layers
from tf_transfer.data.recipes import MIXING, mixes_labels, recipe_layers

_EPISODE = ("support", "query")


def augment(dataset, recipe="standard", *, seed=None, num_classes=None):
    """Changes the images of a dataset at random: each image by itself, each epoch anew.

    The layers run inside the dataset, on several cores, one batch at a time. Their random numbers
    come from the dataset too, so the same seed gives the same stream however many cores there are.

    Args:
        dataset: A `tf.data.Dataset` of batches (x, y) or (x, y, sample_weight), as `as_dataset` makes
            them; x are images (batch, height, width, channels) in 0..255, or a dict with such an
            "image"; or one of `tft.data.episodes` of images.
        recipe: A name in `recipe_names()`, a list of Keras layers that take images in 0..255, or
            None for the dataset as it is. Defaults to "standard".
        seed: Integer or None, the same seed gives the same stream. Defaults to None.
        num_classes: Integer; needed by recipes that mix labels, which come out one-hot. Defaults to
            None.

    Returns:
        A `tf.data.Dataset` of the same batches, images float32 within 0..255 and of their size
        (unless own layers change it), sample weights as they were.

    Raises:
        ValueError: If the recipe is unknown, x are no batches of images, `num_classes` is needed, or labels of
            episodes would be mixed.

    Example:

    >>> dataset = tf.data.Dataset.from_tensors(([[[[0.0], [9.0]]]] * 3, [0, 1, 2]))
    >>> for x, y in augment(dataset, "flip", seed=0):
    ...     print(x.shape, sorted({tuple(row) for row in x.numpy().reshape(3, 2).tolist()}))
    (3, 1, 2, 1) [(0.0, 9.0), (9.0, 0.0)]

    Reference:
        MixUp: Zhang et al., 2018, https://arxiv.org/abs/1710.09412
        CutMix: Yun et al., 2019, https://arxiv.org/abs/1905.04899
    """
    spec = example_spec(dataset)[0]
    layers = recipe_layers(recipe, num_channels=num_channels(spec))
    if not layers:
        return dataset
    if mixes_labels(layers):
        if _is_episode(spec):
            raise ValueError(f"recipe={recipe!r} mixes labels, and those of episodes are classes. Take another.")
        if num_classes is None:
            raise ValueError(f"recipe={recipe!r} mixes labels, which must be one-hot for it: give `num_classes`.")
        dataset = match_labels(dataset, num_classes, one_hot=True)
    return map_with_layers(dataset, layers, lambda batch: apply_layers(layers, *batch), seed)


def preview(images, recipe="standard", *, num_samples=6, seed=None):
    """Draws images, each with a row of augmented samples beside it, to see what a model would be shown.

    Args:
        images: Array (num_images, height, width, channels) in 0..255, 1 or 3 channels; for instance
            `image_folder.examples(4)`.
        recipe: As for `augment`. Defaults to "standard".
        num_samples: Positive integer, the number of samples of each image. Defaults to 6.
        seed: Integer or None, the same seed gives the same figure. Defaults to None.

    Returns:
        A `matplotlib.figure.Figure`; a notebook shows it, `figure.savefig("samples.png")` saves it.

    Example:

    >>> figure = preview(np.zeros((2, 8, 8, 3)), "flip", num_samples=3)
    >>> len(figure.axes)
    8
    """
    from matplotlib.figure import Figure

    images = np.asarray(images, np.float32)
    num_samples = _checks.integer(num_samples, "num_samples", minimum=1)
    batch = tf.data.Dataset.from_tensors((images, np.zeros(len(images), np.int64))).repeat(num_samples)
    columns = [images, *(x.numpy() for x, _ in augment(batch, recipe, seed=seed, num_classes=2))]
    # Figure itself, not pyplot: nothing stays behind in a global list of windows.
    figure = Figure(figsize=(1.6 * len(columns), 1.7 * len(images)), layout="constrained")
    grid = figure.subplots(len(images), len(columns), squeeze=False)
    for axes, column in zip(grid.T, columns, strict=True):
        for axis, image in zip(axes, column, strict=True):
            axis.imshow(image.astype("uint8"), cmap="gray", vmin=0, vmax=255)
            axis.set_axis_off()
    grid[0, 0].set_title("original")
    grid[0, 1].set_title(recipe if isinstance(recipe, str) else "augmented", loc="left")
    return figure


def apply_layers(layers, x, y=None, *weight):
    """Returns a batch (x, y, ...) with its images through a recipe's layers, in 0..255; y is for those that mix."""
    image, put_back = _images(x)
    image = tf.cast(image, tf.float32)
    for layer in layers:
        if isinstance(layer, MIXING):
            mixed = layer({"images": image, "labels": y}, training=True)
            image, y = mixed["images"], mixed["labels"]
        else:
            image = layer(image, training=True)
    return put_back(tf.clip_by_value(tf.cast(image, tf.float32), 0.0, 255.0)), y, *weight


def num_channels(spec):
    """Returns the channels of batches of images, and raises for what is none."""
    episode = _is_episode(spec)
    if episode:
        spec = spec["support"]
    elif isinstance(spec, dict):
        if "image" not in spec:
            raise ValueError(f'x must have an "image" to augment. Received: {sorted(spec)}.')
        spec = spec["image"]
    if not hasattr(spec, "shape") or spec.shape.rank != 4 + episode:
        raise ValueError(
            "x must be batches of images, of shape (batch, height, width, channels); `as_dataset` makes them. "
            f"Received: {spec}."
        )
    return spec.shape[-1]


def _is_episode(x):
    return isinstance(x, dict) and all(name in x for name in _EPISODE)


def _images(x):
    """Returns the images of a batch, (num, height, width, channels), and a function that puts others in their place."""
    if not isinstance(x, dict):
        return x, lambda image: image
    if not _is_episode(x):
        return x["image"], lambda image: {**x, "image": image}
    sizes = [ops.shape(x[name])[1] for name in _EPISODE]
    all_images = tf.concat([x[name] for name in _EPISODE], axis=1)

    def put_back(image):
        parts = tf.split(tf.reshape(image, [-1, sum(sizes), *image.shape[1:]]), sizes, axis=1)
        return {**x, **dict(zip(_EPISODE, parts, strict=True))}

    return tf.reshape(all_images, [-1, *all_images.shape[2:]]), put_back
