"""Files of examples as a stream: read one by one in any order, and put into batches."""

import tensorflow as tf

from tf_transfer import _checks


def read_files(indices, read, files, *labels):
    """Returns a dataset of single examples (x, *labels) in the order of `indices`, a dataset of integers.

    Args:
        indices: `tf.data.Dataset` of integers.
        read: Function of a file's path, a scalar string tensor, that returns x.
        files: List of strings.
        *labels: Arrays with an entry a file.
    """
    files, labels = tf.constant(files), [tf.constant(each) for each in labels]

    def read_example(index):
        return read(files[index]), *(each[index] for each in labels)

    return indices.map(read_example, num_parallel_calls=tf.data.AUTOTUNE)


def example_batches(examples, batch_size, shuffle, seed, drop_remainder):
    """Returns a dataset of batches of `examples`, which have a length and the method `in_order`."""
    batch_size = _checks.integer(batch_size, "batch_size", minimum=1)
    indices = tf.data.Dataset.range(len(examples))
    if shuffle:
        indices = indices.shuffle(len(examples), seed=seed, reshuffle_each_iteration=True)
    return examples.in_order(indices).batch(batch_size, drop_remainder=drop_remainder).prefetch(tf.data.AUTOTUNE)
