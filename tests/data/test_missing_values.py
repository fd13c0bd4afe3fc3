"""Values that are missing: an error unless the caller says that NaN stands for them."""

import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

COLUMN = np.array([[1.0], [np.nan], [3.0], [4.0]], "float32")


def test_nan_is_an_error_unless_it_stands_for_a_missing_value():
    with pytest.raises(ValueError, match=r"x\['age'\].*NaN or infinity, first in example 1"):
        tft.data.as_dataset(({"age": COLUMN}, np.arange(4)))
    batches = tft.data.as_dataset(({"age": COLUMN}, np.arange(4)), missing=True)
    np.testing.assert_array_equal(next(iter(batches))[0]["age"], COLUMN)


def test_infinity_is_an_error_also_beside_missing_values():
    column = COLUMN.copy()
    column[2] = np.inf
    with pytest.raises(ValueError, match="Received: infinity, first in example 2"):
        tft.data.as_dataset(({"age": column}, np.arange(4)), missing=True)


def test_streams_are_checked_as_they_pass():
    def stream(values):
        return tf.data.Dataset.from_tensor_slices(({"age": values}, np.arange(4))).batch(2)

    with pytest.raises(tf.errors.InvalidArgumentError, match="finite"):
        list(tft.data.as_dataset(stream(COLUMN)))
    passed = np.concatenate([x["age"] for x, _ in tft.data.as_dataset(stream(COLUMN), missing=True)])
    np.testing.assert_array_equal(passed, COLUMN)
    with pytest.raises(tf.errors.InvalidArgumentError, match="finite or missing"):
        list(tft.data.as_dataset(stream(np.where(np.isnan(COLUMN), np.inf, COLUMN)), missing=True))


def test_labels_of_tasks_may_be_missing():
    labels = {"age": np.array([1.0, np.nan, 3.0, 4.0], "float32"), "kind": np.arange(4)}
    _, y = next(iter(tft.data.as_dataset((COLUMN * 0 + 1, labels), missing=True)))
    np.testing.assert_array_equal(y["age"], labels["age"])


def test_pairs_of_tables_may_have_missing_values():
    source, target = ({"age": COLUMN}, np.arange(4)), {"age": np.full((4, 1), np.nan, "float32")}
    with pytest.raises(ValueError, match=r"source x.*NaN"):
        tft.data.pair_domains(source, target, batch_size=4)
    x, _ = next(iter(tft.data.pair_domains(source, target, batch_size=4, shuffle=False, missing=True)))
    np.testing.assert_array_equal(x["source"]["age"], COLUMN)
    assert np.isnan(x["target"]["age"]).all()
