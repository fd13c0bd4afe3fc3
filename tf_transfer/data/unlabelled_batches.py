"""Whatever holds examples, as batches without labels."""

import numpy as np
import tensorflow as tf

from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.example_shapes import check_shape, map_shapes
from tf_transfer.data.streams import as_dataset
from tf_transfer.data.unlabeled_images import UnlabeledImages


def unlabelled_batches(data, batch_size, input_shape, *, shuffle=False, seed=None):
    """Returns a `tf.data.Dataset` of batches `(x,)`; labels that come along are left out.

    Of arrays and folders what does not fill a batch is left out, unless there is less than one batch.

    Args:
        data: An array, a tuple of arrays (x, ...), an `ImageFolder`, `UnlabeledImages`, or a `tf.data.Dataset` of x or
            tuples (x, ...), batched or not.
        batch_size: Integer; None for the batches of a `tf.data.Dataset` that has some.
        input_shape: Tuple, the shape of one x.
        shuffle: Bool, whether arrays and folders come in a new order each epoch. Defaults to False.
        seed: Integer, of these orders, or None.

    Raises:
        TypeError: If `data` is none of the above.
        ValueError: As in `as_dataset`.

    Example:

    >>> batches = unlabelled_batches(np.zeros((5, 8, 8, 3), "uint8"), 2, (8, 8, 3))
    >>> [x.shape for x, in batches]
    [TensorShape([2, 8, 8, 3]), TensorShape([2, 8, 8, 3])]
    """
    if isinstance(data, tf.data.Dataset):
        # As the rest of the package takes examples; the labels are made up.
        labelled = data.map(lambda x, *_: (x, tf.zeros(tf.shape(x)[: x.shape.rank - len(input_shape)])))
        return as_dataset(labelled, batch_size=batch_size, input_shape=input_shape).map(lambda x, _: (x,))
    options = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed}
    if isinstance(data, (ClassFolder, UnlabeledImages)):
        stream = data.dataset(**options, drop_remainder=batch_size <= len(data))
        batches = stream.map(lambda x, *_: (x,))
        map_shapes(check_shape, batches.element_spec[0], input_shape)
        return batches
    x = data[0] if isinstance(data, tuple) else data
    drop_remainder = batch_size <= len(x)
    made = (x, np.zeros(len(x), "float32"))
    batches = as_dataset(made, **options, input_shape=input_shape, drop_remainder=drop_remainder)
    return batches.map(lambda x, _: (x,))
