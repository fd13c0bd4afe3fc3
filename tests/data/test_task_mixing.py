"""Data sets with labels of different tasks, mixed into one stream."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

DIGITS = (np.arange(10.0)[:, None], np.arange(10) % 3)
AGES = (100 + np.arange(4.0)[:, None], np.arange(4.0)[:, None])


def test_each_batch_has_examples_of_all_and_labels_of_one_task_each():
    mixed = tft.data.mix_tasks({"digit": DIGITS, "age": AGES}, batch_size=6, seed=0)
    assert int(mixed.cardinality()) == 4
    seen = []
    for x, y in mixed:
        x, digit, age = x.numpy()[:, 0], y["digit"].numpy(), y["age"].numpy()[:, 0]
        of_ages = x >= 100
        assert of_ages.tolist() == [False, True] * 3
        np.testing.assert_array_equal(digit, np.where(of_ages, -1, x % 3))
        np.testing.assert_array_equal(age, np.where(of_ages, x - 100, np.nan))
        seen += x[~of_ages].tolist()
    assert set(seen) == set(range(10)) and len(seen) == 12


def test_the_same_seed_gives_the_same_batches_and_each_epoch_another_order():
    first, second = (tft.data.mix_tasks({"digit": DIGITS, "age": AGES}, batch_size=4, seed=7) for _ in range(2))
    epochs = [np.concatenate([x.numpy() for x, _ in each]) for each in (first, second, first)]
    np.testing.assert_array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], epochs[2])


def test_streams_dict_inputs_weights_and_labels_of_several_tasks():
    x = {"a": np.arange(6.0)[:, None], "b": np.arange(6.0)[:, None]}
    both = tf.data.Dataset.from_tensor_slices((x, {"digit": np.arange(6), "age": np.arange(6.0)[:, None]})).batch(4)
    weighted = ({"a": np.ones((3, 1)), "b": np.ones((3, 1))}, np.array([7, 8, 9]), np.array([0.5, 0.5, 0.5]))
    both = both.map(lambda x, y: (tf.nest.map_structure(lambda leaf: tf.cast(leaf, tf.float32), x), y))
    batches = list(tft.data.mix_tasks({"both": both, "digit": weighted}, batch_size=4, shuffle=False))
    inputs, labels, weights = batches[0]
    assert sorted(inputs) == ["a", "b"] and sorted(labels) == ["age", "digit"]
    assert labels["digit"].numpy().tolist() == [0, 7, 1, 8]
    np.testing.assert_array_equal(labels["age"].numpy().ravel(), [0.0, np.nan, 1.0, np.nan])
    assert weights.numpy().tolist() == [1.0, 0.5, 1.0, 0.5]


def test_a_model_of_several_tasks_trains_on_it():
    x = keras.Input((1,))
    model = keras.Model(
        x,
        {
            "digit": keras.layers.Dense(3, "softmax", name="digit")(x),
            "age": keras.layers.Dense(1, name="age", kernel_initializer="zeros")(x),
        },
    )
    losses = {
        "digit": tft.losses.LabelledLoss("sparse_categorical_crossentropy", -1),
        "age": tft.losses.LabelledLoss("mse"),
    }
    model.compile(keras.optimizers.SGD(0.0), losses)
    history = model.fit(tft.data.mix_tasks({"digit": DIGITS, "age": AGES}, batch_size=8, seed=0), verbose=0).history
    assert history["age_loss"][0] == pytest.approx(np.mean(np.arange(4.0) ** 2))


def test_what_does_not_fit_together_is_said():
    with pytest.raises(ValueError, match="The x of data of 'digit' and data of 'age' must have the same structure"):
        tft.data.mix_tasks({"digit": DIGITS, "age": (np.ones((4, 2)), AGES[1])}, batch_size=4)
    with pytest.raises(ValueError, match="The labels of 'digit' of"):
        tft.data.mix_tasks({"digit": DIGITS, "more": (DIGITS[0], {"digit": np.ones((10, 3))})}, batch_size=4)
    unknown = tf.data.Dataset.from_tensor_slices(DIGITS).filter(lambda x, y: y > 0)
    with pytest.raises(ValueError, match="length of the data of 'digit' is not known"):
        tft.data.mix_tasks({"digit": unknown, "age": AGES}, batch_size=4)
    with pytest.raises(ValueError, match="`batch_size` must be an integer of at least 2"):
        tft.data.mix_tasks({"digit": DIGITS, "age": AGES}, batch_size=1)
