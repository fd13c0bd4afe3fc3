import copy

import keras
import numpy as np
import pytest

from tf_transfer.training import BestWeights


class Scripted(keras.callbacks.Callback):
    """Writes given values into the logs and numbers the weights by epoch."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_begin(self, epoch, logs=None):
        self.model.set_weights([np.full((1, 1), epoch + 1.0)])

    def on_epoch_end(self, epoch, logs=None):
        if self.values[epoch] is not None:
            logs[self.name] = self.values[epoch]


def final_weight(values, name="val_loss", **options):
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1))])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["accuracy", "mae"])
    keep = BestWeights(name, **options)
    x = np.ones((2, 1))
    model.fit(x, x, epochs=len(values), verbose=0, callbacks=[Scripted(name, values), keep])
    return float(model.get_weights()[0].item()), keep


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ([0.5, 0.2, 0.3], {}, 2.0),
        ([0.5, 0.2, 0.2], {}, 2.0),  # a tie keeps the earlier epoch
        ([0.5, 0.2, 0.3], {"mode": "max"}, 1.0),
        ([0.5, 0.2, 0.3], {"baseline": 0.1}, 0.0),
        ([0.5, 0.2, 0.3], {"baseline": 0.2}, 0.0),  # an epoch has to be better
        ([0.5, 0.2, 0.3], {"baseline": float("nan")}, 2.0),
        ([float("nan"), 0.4, float("nan")], {}, 2.0),
        ([float("nan"), float("nan")], {}, 0.0),
        ([float("inf"), 3.0], {}, 2.0),
        ([None, 0.4, None, 0.3], {"validation_freq": 2}, 4.0),
    ],
)
def test_restores_the_best(values, options, expected):
    weight, keep = final_weight(values, **options)
    assert weight == expected
    assert keep.best_epoch == (int(expected) - 1 if expected else None)


@pytest.mark.parametrize(("name", "expected"), [("val_accuracy", 1.0), ("val_mae", 2.0), ("head_loss", 2.0)])
def test_auto_mode_asks_the_metric(name, expected):
    assert final_weight([0.5, 0.2], name=name)[0] == expected


def test_unknown_direction_asks_for_the_mode():
    with pytest.raises(ValueError, match="mode='max'"):
        final_weight([0.5], name="val_usefulness")


def test_unknown_monitor_lists_what_there_is_after_the_first_epoch():
    with pytest.raises(ValueError, match=r"'accuracy', 'loss', 'mae'.*Did you mean 'accuracy'"):
        final_weight([None, None], name="acuracy")
    with pytest.raises(ValueError, match="validation_data"):
        final_weight([None, None], name="val_accuracy")


def test_bad_arguments():
    with pytest.raises(ValueError, match="`mode` must be one of"):
        BestWeights(mode="larger")
    with pytest.raises(ValueError, match="`baseline` must be a number"):
        BestWeights(baseline="0.3")


def test_batch_normalization_statistics_come_back_and_the_callback_can_be_used_again():
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = np.random.default_rng(0).normal(3.0, 2.0, size=(16, 2)), np.ones((16, 1))
    before = model.get_weights()
    keep = copy.deepcopy(BestWeights("val_loss", baseline=-1.0))
    for _ in range(2):
        model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=[keep])
        for old, new in zip(before, model.get_weights()):
            np.testing.assert_array_equal(old, new)
