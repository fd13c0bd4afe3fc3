"""`as_dataset`: every kind of data, and every kind of wrong data."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.data import ImageFolder, as_dataset

X = np.arange(5 * 4 * 4 * 3, dtype="float32").reshape(5, 4, 4, 3)
Y = np.array([0, 1, 2, 0, 1])
W = np.array([1.0, 2.0, 3.0, 4.0, 5.0], "float32")
SHAPE = (4, 4, 3)


def join(dataset):
    return [np.concatenate(part) for part in zip(*dataset.as_numpy_iterator(), strict=True)]


@pytest.mark.parametrize("kind", [np.asarray, tf.constant, lambda values: np.asarray(values).tolist()])
def test_arrays_of_every_kind(kind):
    dataset = as_dataset((kind(X), kind(Y), kind(W)), batch_size=2, input_shape=SHAPE)
    assert dataset.cardinality() == 3
    for part, expected in zip(join(dataset), (X, Y, W), strict=True):
        np.testing.assert_array_equal(part, expected)
    assert dataset.element_spec[0] == tf.TensorSpec((None, 4, 4, 3), tf.float32)
    assert dataset.element_spec[2].dtype == tf.float32


def test_dictionary_of_inputs():
    shapes = {"image": SHAPE, "age": (1,)}
    dataset = as_dataset(({"image": X, "age": W[:, None]}, Y), batch_size=4, input_shape=shapes)
    x, y = next(iter(dataset))
    np.testing.assert_array_equal(x["image"], X[:4])
    np.testing.assert_array_equal(x["age"], W[:4, None])
    np.testing.assert_array_equal(y, Y[:4])


def test_bytes_of_images_become_floats_batch_by_batch():
    dataset = as_dataset((X.astype("uint8"), Y), input_shape=SHAPE)
    np.testing.assert_array_equal(join(dataset)[0], X.astype("uint8").astype("float32"))
    assert dataset.element_spec[0].dtype == tf.float32


def test_integers_that_are_no_images_stay_integers():
    tokens = np.array([[1, 2], [3, 4]])
    assert as_dataset((tokens, [0, 1]), input_shape=(2,)).element_spec[0].dtype == tf.int64


def test_texts():
    x, _ = next(iter(as_dataset((["one", "two"], [0, 1]))))
    assert x.numpy().tolist() == [b"one", b"two"]


def test_shuffle_keeps_pairs_changes_each_epoch_and_repeats_with_its_seed():
    x = np.arange(50.0)

    def orders(seed):
        dataset = as_dataset((x, x * 2, x * 3), batch_size=8, shuffle=True, seed=seed)
        return [join(dataset) for _ in range(2)]

    first, second = orders(seed=5)
    np.testing.assert_array_equal(first[0] * 2, first[1])
    np.testing.assert_array_equal(first[0] * 3, first[2])
    assert sorted(first[0]) == x.tolist()
    assert first[0].tolist() != second[0].tolist()
    again = orders(seed=5)
    assert [epoch[0].tolist() for epoch in again] == [first[0].tolist(), second[0].tolist()]
    assert orders(seed=6)[0][0].tolist() != first[0].tolist()


def test_drop_remainder():
    dataset = as_dataset((X, Y), batch_size=2, drop_remainder=True)
    assert dataset.cardinality() == 2
    assert dataset.element_spec[0].shape[0] == 2


@pytest.mark.parametrize("input_shape", [SHAPE, (None, None, 3), None])
@pytest.mark.parametrize("batched", [False, True])
def test_dataset_batched_or_not(batched, input_shape):
    source = tf.data.Dataset.from_tensor_slices((X, Y, W))
    source = source.batch(3) if batched else source
    dataset = as_dataset(source, input_shape=input_shape)
    assert [len(y) for _, y, _ in dataset] == ([3, 2] if batched else [5])
    for part, expected in zip(join(dataset), (X, Y, W), strict=True):
        np.testing.assert_array_equal(part, expected)


def test_one_hot_labels_of_single_examples_need_the_input_shape():
    source = tf.data.Dataset.from_tensor_slices((X, np.eye(3)[Y]))
    assert next(iter(as_dataset(source, input_shape=SHAPE)))[1].shape == (5, 3)


def test_batch_size_batches_a_batched_dataset_anew():
    source = tf.data.Dataset.from_tensor_slices((X, Y)).batch(3)
    assert [len(y) for _, y in as_dataset(source, batch_size=4, input_shape=SHAPE)] == [4, 1]
    assert [len(y) for _, y in as_dataset(source, batch_size=2, input_shape=SHAPE, drop_remainder=True)] == [2, 2]
    with pytest.raises(ValueError, match="`drop_remainder` of a batched dataset needs a `batch_size`"):
        as_dataset(source, drop_remainder=True)


@pytest.mark.parametrize("batched", [False, True])
def test_endless_dataset_stays_endless(batched):
    source = tf.data.Dataset.from_tensor_slices((X, Y)).repeat()
    dataset = as_dataset(source.batch(4) if batched else source, batch_size=4, input_shape=SHAPE)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert [len(y) for _, y in itertools.islice(dataset, 3)] == [4, 4, 4]


def test_generator_that_can_be_read_once_loses_nothing():
    examples = iter([(X[index], Y[index]) for index in range(5)])
    spec = (tf.TensorSpec(SHAPE, tf.float32), tf.TensorSpec((), tf.int64))
    source = tf.data.Dataset.from_generator(lambda: examples, output_signature=spec)
    np.testing.assert_array_equal(join(as_dataset(source, input_shape=SHAPE))[1], Y)


def test_image_folder(photos):
    images = ImageFolder(photos, (4, 4))
    dataset = as_dataset(images, batch_size=5, input_shape=SHAPE, num_classes=3)
    assert dataset.cardinality() == 3
    np.testing.assert_array_equal(join(dataset)[1], images.labels)
    with pytest.raises(ValueError, match=r"has 3 classes\. Expected: num_classes=4"):
        as_dataset(images, num_classes=4)
    with pytest.raises(ValueError, match=r"\(batch, 5, 5, 3\)\. Received: shape \(None, 4, 4, 3\)"):
        as_dataset(images, input_shape=(5, 5, 3))


# Wrong data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [X, [X, Y], (X,), (X, Y, W, W), None, "folder"])
def test_what_is_no_data(data):
    with pytest.raises(TypeError, match=r"Expected a tuple of arrays \(x, y\)"):
        as_dataset(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y[:3]), r"x, y must have the same length\. Received: lengths \[5, 3\]"),
        ((X, Y, W[:4]), r"Received: lengths \[5, 5, 4\]"),
        (({"a": X, "b": X[:2]}, Y), r"Received: lengths \[5, 2, 5\]"),
        ((X[:0], Y[:0]), "The data is empty"),
        (([], []), "The data is empty"),
        (([[1], [1, 2]], [0, 1]), "`x` must be one array. Received parts of different shapes"),
        ((3.0, Y), "`x` must be an array of examples"),
        ((X, None), "`y` must be an array of examples"),
        ((np.where(X == 100, np.nan, X), Y), "`x` must be finite. Received: NaN or infinity, first in example 2"),
        ((np.where(X == 100, -np.inf, X), Y), "`x` must be finite"),
        ((X, Y, np.where(W == 2, np.inf, W)), "`sample_weight` must be finite.* first in example 1"),
        (({"a": np.full(5, np.nan)}, Y), r"`x\['a'\]` must be finite"),
    ],
)
def test_arrays_that_do_not_fit(data, message):
    with pytest.raises(ValueError, match=message):
        as_dataset(data)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 6, 6, 3), r"must have shape \(batch, 4, 4, 3\)\. Received: shape \(None, 6, 6, 3\)\. Scale the images"),
        ((5, 4, 4), r"Received: shape \(None, 4, 4\)\. Add the axis of channels"),
        ((5, 4, 4, 1), r"The images have 1 channels; 3 are expected"),
        ((5, 48), r"Received: shape \(None, 48\)"),
    ],
)
def test_arrays_of_another_shape(shape, message):
    with pytest.raises(ValueError, match=message):
        as_dataset((np.zeros(shape), Y), input_shape=SHAPE)


def test_labels_outside_are_named_up_front():
    with pytest.raises(ValueError, match=r"from 0 to 1 \(num_classes=2\)\. Received: 2"):
        as_dataset((X, Y), num_classes=2)


def test_dictionary_with_other_keys():
    with pytest.raises(ValueError, match=r"structure of input_shape=.*Received: \['a'\]"):
        as_dataset(({"a": X}, Y), input_shape={"b": SHAPE})
    with pytest.raises(ValueError, match="structure of input_shape"):
        as_dataset(({"a": X}, Y), input_shape=SHAPE)


def test_datasets_that_do_not_fit():
    slices = tf.data.Dataset.from_tensor_slices
    with pytest.raises(ValueError, match="a dataset whose elements are TensorSpec"):
        as_dataset(slices(X))
    with pytest.raises(ValueError, match="The dataset is empty"):
        as_dataset(slices((X, Y)).take(0))
    with pytest.raises(ValueError, match=r"Received: shape \(6, 6, 3\)"):
        as_dataset(slices((np.zeros((5, 6, 6, 3)), Y)), input_shape=(3,))
    with pytest.raises(ValueError, match=r"must have shape \(batch, 4, 4, 3\)\. Received: shape \(None, 6, 6, 3\)"):
        as_dataset(slices((np.zeros((5, 6, 6, 3)), Y)), input_shape=SHAPE)
    unknown = slices((X, Y)).map(lambda x, y: (tf.py_function(lambda v: v, [x], tf.float32), y))
    with pytest.raises(ValueError, match="shapes of the dataset are unknown"):
        as_dataset(unknown, input_shape=SHAPE)


def test_stream_with_an_image_of_another_size_or_nan_stops():
    spec = (tf.TensorSpec((None, None, 3), tf.float32), tf.TensorSpec((), tf.int64))
    source = tf.data.Dataset.from_generator(lambda: iter([(np.zeros((6, 6, 3)), 0)]), output_signature=spec)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(as_dataset(source, input_shape=SHAPE))
    with pytest.raises(tf.errors.InvalidArgumentError, match="The data must be finite"):
        list(as_dataset(tf.data.Dataset.from_tensor_slices((np.full((2, 3), np.nan), [0, 1]))))


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True])
def test_wrong_batch_size(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must be an integer of at least 1"):
        as_dataset((X, Y), batch_size=batch_size)
