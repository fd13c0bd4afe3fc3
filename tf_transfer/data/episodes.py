"""Episodes of few-shot learning: a few labelled examples of a few classes, and more of the same to be asked about."""

import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.example_arrays import check_arrays

ENDLESS = tf.data.INFINITE_CARDINALITY


def episodes(
    x,
    y=None,
    ways=5,
    shots=1,
    queries=15,
    *,
    classes=None,
    num_episodes=None,
    batch_size=1,
    rotations=False,
    fixed=False,
    seed=None,
):
    """Draws episodes from labelled examples: in each, some classes with a few examples to learn from, and a few others.

    Each episode has classes of its own, drawn at random and called 0 to `ways` - 1 in it. The examples to learn from,
    the support, and those to be asked about, the query, are different ones, all drawn without replacement.

    A batch is `({"support", "support_labels", "query"}, query_labels)`, each with a leading axis of episodes: what
    methods in `tft.few_shot` are fitted to. Examples of a class stand together, in the order of the classes.

    Args:
        x: Array of examples `(num_examples, ...)`, a dict of such arrays for a model with several inputs, or an
            `ImageFolder` or `AudioFolder`, whose files are read as they are drawn.
        y: Integer array `(num_examples,)`, the class of each. None for a folder.
        ways: Integer, at least 2, classes in an episode. Defaults to 5.
        shots: Integer, examples of each class in the support. Defaults to 1.
        queries: Integer, examples of each class in the query. Defaults to 15.
        classes: Sequence of integers, the classes to draw from, such as one part of `tft.data.split_classes`. Defaults
            to all.
        num_episodes: Integer, episodes of one epoch, or None for an endless stream. Defaults to None.
        batch_size: Integer, episodes of one batch; a multiple of `num_episodes`. Defaults to 1.
        rotations: Boolean, whether images turned by 90, 180 and 270 degrees are classes of their own, as is done for
            characters (Santoro et al., 2016). A class and its turns stay on one side of a split by `classes`. Defaults
            to False.
        fixed: Boolean, whether every epoch has the same episodes, to compare models on. Defaults to False.
        seed: Integer or None, the same seed gives the same episodes. Defaults to None.

    Returns:
        A `tf.data.Dataset` of batches with support `(batch_size, ways * shots, ...)`, its labels `(batch_size, ways *
        shots)`, query `(batch_size, ways * queries, ...)` and its labels `(batch_size, ways * queries)`.

    Raises:
        ValueError: When there are fewer classes than `ways`, or a class has fewer than `shots + queries` examples.

    Example:

    >>> x, y = np.arange(12.0), np.arange(12) // 4
    >>> stream = tft.data.episodes(x, y, ways=2, shots=1, queries=2, num_episodes=10, seed=0)
    >>> inputs, labels = next(iter(stream))
    >>> inputs["support"].shape, inputs["query"].shape, labels.numpy().tolist()
    (TensorShape([1, 2]), TensorShape([1, 4]), [[0, 0, 1, 1]])
    """
    _checks.integer(ways, "ways", 2)
    _checks.integer(shots, "shots", 1)
    _checks.integer(queries, "queries", 1)
    _checks.integer(batch_size, "batch_size", 1)
    if num_episodes is not None and _checks.integer(num_episodes, "num_episodes", 1) % batch_size:
        raise ValueError(
            f"`num_episodes` must be a multiple of `batch_size`, {batch_size}. Received: num_episodes={num_episodes}."
        )
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else _checks.integer(seed, "seed", 0)
    read, labels = _examples(x, y)
    members, counts = _members(labels, classes, shots + queries)
    turns = 4 if rotations else 1
    if len(members) * turns < ways:
        raise ValueError(
            f"{len(members) * turns} classes are too few for episodes of ways={ways}. Take fewer ways"
            f"{'' if rotations else ', or rotations=True'}."
        )

    def draw(number):
        kinds, chosen = _draw(number, members, counts, ways, shots + queries, turns)
        return kinds // len(members), chosen

    numbers = tf.data.Dataset.random(seed, rerandomize_each_iteration=not fixed)
    numbers = numbers if num_episodes is None else numbers.take(num_episodes)
    arrange = _arrange(ways, shots, queries, rotations)

    def episode(number):
        turns, chosen = draw(number)
        return arrange(turns, read(chosen))

    stream = numbers.map(episode, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size, drop_remainder=True)
    known = ENDLESS if num_episodes is None else num_episodes // batch_size
    return stream.apply(tf.data.experimental.assert_cardinality(known)).prefetch(tf.data.AUTOTUNE)


def _examples(x, y):
    """Returns a function that reads the examples of a matrix of indices, and the labels of all."""
    if isinstance(x, ClassFolder):
        if y is not None:
            raise ValueError("A folder has labels of its own: leave out `y`.")
        return lambda chosen: _read_files(x, chosen), x.labels
    if y is None:
        raise ValueError("`y` must be the classes of the examples. Received: y=None.")
    x, y = check_arrays((x, y), ("x", "y"), None)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(f"`y` must be integers, one an example. Received: {y.dtype} of shape {y.shape}.")
    with tf.device("CPU:0"):
        tensors = tf.nest.map_structure(tf.convert_to_tensor, x)
    return lambda chosen: tf.nest.map_structure(lambda tensor: tf.gather(tensor, chosen), tensors), y


def _read_files(folder, chosen):
    num = int(np.prod(chosen.shape))
    files = folder.in_order(tf.data.Dataset.from_tensor_slices(tf.reshape(chosen, [num])))
    batch = files.map(lambda example, _: example).batch(num, drop_remainder=True).get_single_element()
    return tf.reshape(batch, [*chosen.shape, *folder.example_shape])


def _members(labels, classes, needed):
    """Returns the indices of the examples of each class, in a rectangle, and how many there are."""
    labels = np.asarray(labels)
    present = np.unique(labels)
    wanted = present if classes is None else np.unique(np.asarray(classes))
    unknown = np.setdiff1d(wanted, present)
    if len(unknown):
        raise ValueError(
            f"`classes` must be among the labels. Received: {unknown[:5].tolist()}, of which there is none."
        )
    groups = [np.flatnonzero(labels == each) for each in wanted]
    counts = np.array([len(group) for group in groups])
    if counts.min() < needed:
        few = wanted[counts.argmin()]
        raise ValueError(
            f"Class {few} has {counts.min()} examples; shots and queries take {needed}. Take fewer, or leave the class "
            "out by `classes`."
        )
    rectangle = np.zeros((len(groups), counts.max()), np.int64)
    for row, group in enumerate(groups):
        rectangle[row, : len(group)] = group
    return rectangle, counts


def _draw(number, members, counts, ways, needed, turns):
    """Returns the classes of an episode, turned ones counted behind the others, and `needed` examples of each."""
    seeds = tf.random.experimental.stateless_split(tf.stack([number, 0]), 2)
    kinds = tf.random.experimental.stateless_shuffle(tf.range(len(members) * turns), seeds[0])[:ways]
    rows = kinds % len(members)
    keys = tf.random.stateless_uniform((ways, members.shape[1]), seeds[1])
    # What fills the rectangle comes last, and so is never drawn.
    filled = tf.range(members.shape[1])[None] < tf.gather(tf.constant(counts, tf.int32), rows)[:, None]
    keys = tf.where(filled, keys, -1.0)
    places = tf.math.top_k(keys, needed).indices
    return kinds, tf.gather(tf.gather(tf.constant(members), rows), places, batch_dims=1)


def _arrange(ways, shots, queries, rotations):
    """Returns a function from the examples of an episode, by class, to its batch."""
    labels = {
        "support": np.repeat(np.arange(ways, dtype="int32"), shots),
        "query": np.repeat(np.arange(ways, dtype="int32"), queries),
    }

    def arrange(turns, examples):
        if rotations:
            examples = _turned(examples, turns)
        inputs = {
            "support": tf.nest.map_structure(lambda part: _flat(part[:, :shots]), examples),
            "query": tf.nest.map_structure(lambda part: _flat(part[:, shots:]), examples),
        }
        inputs["support_labels"] = tf.constant(labels["support"])
        return inputs, tf.constant(labels["query"])

    return arrange


def _flat(examples):
    return tf.reshape(examples, [examples.shape[0] * examples.shape[1], *examples.shape[2:]])


def _turned(images, turns):
    """Turns the images of each class `(ways, number, height, width[, channels])` by its number of right angles."""
    shapes = [tuple(leaf.shape[2:]) for leaf in tf.nest.flatten(images)]
    if isinstance(images, dict) or len(shapes[0]) not in (2, 3) or shapes[0][0] != shapes[0][1]:
        raise ValueError(f"`rotations` are for square images. Received: examples of shape {str(shapes)[1:-1]}.")
    once = lambda x: tf.reverse(tf.linalg.matrix_transpose(x), [-2])  # noqa: E731
    if images.shape.rank == 5:
        once = lambda x: tf.reverse(tf.transpose(x, [0, 1, 3, 2, 4]), [2])  # noqa: E731
    all_turns = [images]
    for _ in range(3):
        all_turns.append(once(all_turns[-1]))
    return tf.gather(tf.stack(all_turns, axis=1), turns, batch_dims=1)
