"""Few labelled examples and many unlabelled ones become one stream, with weak and strong views of the latter."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data.augmentation import apply_layers, num_channels
from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.domain_epochs import common_spec
from tf_transfer.data.domain_streams import INFINITE, open_stream
from tf_transfer.data.pairing import check_source, check_target
from tf_transfer.data.random_layers import map_with_layers
from tf_transfer.data.recipes import mixes_labels, recipe_layers
from tf_transfer.data.unlabeled_images import UnlabeledImages

VIEWS = ("labelled", "unlabelled", "strong")


def pair_labelled(
    labelled,
    unlabelled,
    batch_size=64,
    *,
    ratio=7,
    weak=None,
    strong=None,
    index=False,
    shuffle=True,
    seed=None,
    epoch="unlabelled",
    input_shape=None,
):
    """Pairs batches of labelled examples with larger ones of unlabelled examples, for semi-supervised learning.

    The batches have the form that Keras' own `fit` knows, so that `class_weight`, `sample_weight`, the compiled loss
    and metrics apply to the labelled part. Labels that come with the unlabelled examples are dropped here. Each
    labelled example brings `ratio` unlabelled ones, so that the replicas of a strategy get as much of both.

    The side that an epoch covers is seen once, but for what is left of it when no full batch is; the other one repeats
    as often as that takes, within a batch too where it is that small. The papers put the labelled examples among the
    unlabelled ones as well; to do so, give both in `unlabelled`.

    Args:
        labelled: As a single source of `tft.data.pair_domains`: arrays `(x, y)` or `(x, y, sample_weight)`, an
            `ImageFolder`, a `tf.data.Dataset` of such tuples.
        unlabelled: As a target there: x alone, `UnlabeledImages`, or anything that `labelled` can be.
        batch_size: Positive integer, the labelled examples in a batch. Defaults to 64.
        ratio: Positive integer, the unlabelled examples for each labelled one. Defaults to 7, as in FixMatch.
        weak: What changes the labelled examples and the first view of the unlabelled ones at random: a recipe for
            images (see `tft.data.augment`), or a function from a batch of x to one of that kind, such as for texts.
            Defaults to None: they stay as they are.
        strong: The same for a second view of the unlabelled examples, made from the same originals. "cutout" changes
            photographs a lot, "cutout_no_flip" digits. Defaults to None: there is one view.
        index: Bool, whether to say which of the unlabelled examples each is, as `tft.semi_supervised.FlexMatch` asks
            for. Of a `tf.data.Dataset` it is not known. Defaults to False.
        shuffle: Bool, whether arrays and folders come in a new order at each repetition and epoch. Defaults to True.
        seed: Integer or None, the same seed gives the same batches, and the same views by recipes. Defaults to None.
        epoch: "unlabelled" or "labelled", the side that an epoch covers. One that is endless, or of unknown length,
            makes an endless dataset, which needs `fit(steps_per_epoch=...)`. Defaults to "unlabelled".
        input_shape: As for `tft.data.as_dataset`: the shape of one x; images, which have three dimensions, then become
            float32. Defaults to None: any, unchanged.

    Returns:
        A `tf.data.Dataset` of batches (x, y) or (x, y, sample_weight), where x is a dict: "labelled" of shape
        `(batch_size, ...)`, "unlabelled" of shape `(batch_size, ratio, ...)`, with `strong` also "strong", of that
        shape, and with `index` also "index", int64 of shape `(batch_size, ratio)`.

    Raises:
        TypeError: If a side is none of the above.
        ValueError: If the sides differ in structure, kind of values or shape, a value is not finite, one is empty, the
            unlabelled side has less than a batch, or a recipe mixes labels.

    Example:

    >>> x, y, many = np.zeros((4, 2)), np.array([0, 1, 0, 1]), np.ones((12, 2))
    >>> batches = tft.data.pair_labelled((x, y), many, batch_size=2, ratio=3, strong=lambda x: x + 0.5, seed=0)
    >>> for inputs, labels in batches:
    ...     print({name: tuple(part.shape) for name, part in inputs.items()}, labels.shape)
    {'labelled': (2, 2), 'unlabelled': (2, 3, 2), 'strong': (2, 3, 2)} (2,)
    {'labelled': (2, 2), 'unlabelled': (2, 3, 2), 'strong': (2, 3, 2)} (2,)

    Reference:
        Sohn et al., 2020, https://arxiv.org/abs/2001.07685
    """
    batch_size = _checks.integer(batch_size, "batch_size", minimum=1)
    ratio = _checks.integer(ratio, "ratio", minimum=1)
    epoch = _checks.one_of(epoch, "epoch", ["unlabelled", "labelled"])
    seed = seed if seed is None else _checks.integer(seed, "seed", minimum=0)
    check_source(labelled, "`labelled`")
    check_target(unlabelled, "`unlabelled`")
    seeds = [int(number) for number in np.random.SeedSequence(seed).generate_state(3)]
    given = open_stream(labelled, "labelled", batch_size, shuffle, seeds[0], input_shape=input_shape)
    size = batch_size * ratio
    rest = _unlabelled(unlabelled, size, shuffle, seeds[1], input_shape, given.spec[0], bool(index))
    spec = common_spec([given, rest], [given.spec[0], rest.spec[0]], "x")
    steps = _steps(given if epoch == "labelled" else rest)

    def pair(first, second):
        x, *labels = given.read_element(first)
        many, *found = rest.read_element(second)
        inputs = {"labelled": _cast(x, spec, batch_size), "unlabelled": _cast(many, spec, size)}
        return {**inputs, **({"index": found[0]} if index else {})}, *labels

    dataset = tf.data.Dataset.zip(given.batches(), rest.batches()).map(pair, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset if steps is None else dataset.take(steps)
    dataset = _with_views(dataset, weak, strong, seeds[2]).map(lambda x, *labels: (_grouped(x, ratio), *labels))
    # Batching anew forgets it, and `fit` shows no progress without it.
    length = tf.data.experimental.assert_cardinality(INFINITE if steps is None else steps)
    return dataset.apply(length).prefetch(tf.data.AUTOTUNE)


def is_labelled_pair(inputs):
    """Returns whether inputs are a batch of `pair_labelled`."""
    return isinstance(inputs, dict) and {"labelled", "unlabelled"} <= set(inputs) <= {*VIEWS, "index"}


def _unlabelled(data, size, shuffle, seed, input_shape, like, index):
    """Opens the unlabelled side; with `index` it reads (x, index)."""
    if not index:
        return _enough(open_stream(data, "unlabelled", size, shuffle, seed, input_shape=input_shape, like=like))
    if isinstance(data, tf.data.Dataset):
        raise ValueError(
            "Which of its examples is which, a tf.data.Dataset does not say. Received: index=True and such a dataset. "
            'Give an array or a folder, or add "index", int64 of shape (batch_size, ratio), to the batches yourself.'
        )
    if not isinstance(data, (ClassFolder, UnlabeledImages)):
        stream = open_stream(data, "unlabelled", size, shuffle, seed, input_shape=input_shape, like=like)
        return _enough(dataclasses.replace(stream, read=lambda order: (*stream.read(order), order)))
    order = open_stream(np.arange(len(data)), "unlabelled", size, shuffle, seed, like=tf.TensorSpec((), tf.int64))

    def read(indices):
        files = data.in_order(tf.data.Dataset.from_tensor_slices(indices)).batch(size, drop_remainder=True)
        batch = files.get_single_element()
        return (batch[0] if isinstance(batch, tuple) else batch), indices

    return _enough(dataclasses.replace(order, read=read))


def _enough(stream):
    if 0 <= stream.num_examples < stream.batch_size:
        raise ValueError(
            f"A batch has {stream.batch_size} unlabelled examples, `batch_size` times `ratio`. Received: "
            f"{stream.num_examples} in all. Use a smaller `batch_size` or `ratio`."
        )
    return stream


def _steps(stream):
    # What does not say how long it is may be endless.
    return max(stream.num_examples // stream.batch_size, 1) if stream.num_examples >= 0 else None


def _cast(x, spec, size):
    def cast(leaf, leaf_spec):
        return tf.ensure_shape(tf.cast(leaf, leaf_spec.dtype), [size, *leaf_spec.shape])

    return tf.nest.map_structure(cast, x, spec)


def _grouped(inputs, ratio):
    """Returns a batch whose unlabelled examples stand in groups of `ratio`, one group for each labelled example."""
    parts = {
        name: part if name == "labelled" else tf.nest.map_structure(lambda leaf: _split(leaf, ratio), part)
        for name, part in inputs.items()
    }
    return {name: parts[name] for name in (*VIEWS, "index") if name in parts}


def _split(leaf, ratio):
    return tf.reshape(leaf, [leaf.shape[0] // ratio, ratio, *inner_shape(leaf)])


def inner_shape(leaf, axis=1):
    """Returns the sizes of a tensor from an axis on, each as a scalar tensor where it is not known before it runs.

    Args:
        leaf: Tensor.
        axis: Integer, the first axis that counts. Defaults to 1, those of one example.

    Returns:
        A list of integers and scalar tensors.
    """
    return [tf.shape(leaf)[at] if size is None else size for at, size in enumerate(leaf.shape)][axis:]


def _with_views(dataset, weak, strong, seed):
    """Adds the views to batches whose unlabelled examples are in one row."""
    x = dataset.element_spec[0]["labelled"]
    first, second = _view(weak, "weak", x), _view(strong, "strong", x)
    layers = [layer for view in (first, second) for layer in view if isinstance(layer, keras.layers.Layer)]

    def change(batch):
        inputs, *rest = batch
        views = {name: _seen(part, first) if name != "index" else part for name, part in inputs.items()}
        if strong is not None:
            views["strong"] = _seen(inputs["unlabelled"], second)
        return views, *rest

    if layers:
        return map_with_layers(dataset, layers, change, seed)
    return dataset.map(lambda *batch: change(batch), num_parallel_calls=tf.data.AUTOTUNE)


def _view(recipe, name, x):
    """Returns what makes a view: a list of layers, or of a function, or an empty one."""
    if callable(recipe) and not isinstance(recipe, keras.layers.Layer):
        return [recipe]
    if recipe is None:
        return []
    if mixes_labels(recipe):
        raise ValueError(
            f"`{name}` makes views of examples whose labels are not known, and can't mix labels. Received: "
            f"{name}={recipe!r}. Choose another recipe, such as 'cutout'."
        )
    return recipe_layers(recipe, num_channels(x))


def _seen(x, view):
    if len(view) == 1 and not isinstance(view[0], keras.layers.Layer):
        return view[0](x)
    return apply_layers(view, x)[0] if view else x
