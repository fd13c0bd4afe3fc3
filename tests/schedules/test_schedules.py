"""Schedules against their formulas, in and out of a graph, and through a configuration."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

EACH = [
    (tft.schedules.constant(0.3), lambda p: 0.3),
    (tft.schedules.linear(1.0, 3.0, begin=0.2, finish=0.6), lambda p: 1 + 2 * min(max((p - 0.2) / 0.4, 0), 1)),
    (tft.schedules.cosine(2.0, 0.0), lambda p: 1 + math.cos(math.pi * p)),
    (tft.schedules.dann(0.7, gamma=5.0), lambda p: 0.7 * math.tanh(2.5 * p)),
    (tft.schedules.gaussian(3.0, finish=0.5, gamma=4.0), lambda p: 3 * math.exp(-4 * max(1 - 2 * p, 0) ** 2)),
]


@pytest.mark.parametrize("schedule, formula", EACH)
@pytest.mark.parametrize("jit", [False, True])
def test_values_follow_the_formula(schedule, formula, jit):
    grid = np.linspace(0, 1, 11, dtype="float32")
    inside = tf.function(schedule, jit_compile=jit)(tf.constant(grid)).numpy()
    np.testing.assert_allclose(inside, [formula(p) for p in grid], rtol=1e-5, atol=1e-6)
    assert inside.dtype == np.float32


@pytest.mark.parametrize("schedule, _", EACH)
def test_a_configuration_gives_the_same_schedule(schedule, _):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert again == schedule and hash(again) == hash(schedule)
    assert again != tft.schedules.constant(17.0)


def test_progress_outside_of_the_training_is_its_nearest_end():
    ramp = tft.schedules.linear(0.0, 1.0)
    assert float(ramp(-0.5)) == 0.0 and float(ramp(1.5)) == 1.0


@pytest.mark.parametrize(
    "call, fragment",
    [
        (lambda: tft.schedules.linear(begin=0.5, finish=0.5), "`begin` must be less than `finish`"),
        (lambda: tft.schedules.dann(-1.0), "`final` must be a number of at least 0"),
        (lambda: tft.schedules.get("dann", "adaptation_weight"), "A schedule from `tft.schedules` is welcome"),
        (lambda: tft.schedules.get(-1, "weight", minimum=0.0), "`weight` must be a number of at least 0"),
    ],
)
def test_what_can_not_be_is_told(call, fragment):
    with pytest.raises(ValueError, match=fragment):
        call()
