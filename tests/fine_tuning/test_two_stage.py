"""Two stages from a source to a target: what is carried over, at which rates each part trains, and going on."""

import dataclasses

import keras
import numpy as np
import pytest
from small_models import colour_images, small_backbone

import tf_transfer as tft

COLUMNS = {name: {"mean": 0.0, "std": 1.0} for name in "abc"}
QUICK = {"source_epochs": 2, "epochs": 2, "source_rate": 0.1, "learning_rate": 0.02, "seed": 0, "verbose": 0}
QUICK |= {"validation_split": 0.0, "batch_size": 16}


def rows(num_rows, seed, flipped=False):
    """Returns rows of three classes by the sign of two columns; the target has the signs the other way."""
    x = np.random.default_rng(seed).normal(size=(num_rows, 3)).astype("float32")
    signs = x[:, :2] * (-1 if flipped else 1) > 0
    return {name: x[:, i : i + 1] for i, name in enumerate("abc")}, signs.sum(1)


def table_builder(num_classes=3):
    return tft.TabularClassifier(columns=COLUMNS, num_classes=num_classes, hidden_units=[8], seed=0)


class Rates(keras.callbacks.Callback):
    """Notes by which optimizer each variable trains."""

    def on_train_end(self, logs=None):
        self.kinds = {
            variable.path: each for each in self.model.optimizer.optimizers for variable in each._trainable_variables
        }
        schedules = {path: each._learning_rate for path, each in self.kinds.items()}
        self.highest = {
            path: float(each.warmup_target or each.initial_learning_rate) for path, each in schedules.items()
        }


def test_the_backbone_is_carried_over_and_the_head_is_new_and_faster():
    source_builder = table_builder(num_classes=4)
    rates = Rates()
    result = tft.two_stage(
        table_builder(), rows(64, 0), rows(16, 1), source_builder=source_builder, callbacks=[rates],
        **{**QUICK, "learning_rate": 1e-12},
    )  # fmt: skip
    carried, own = (each.get_layer("feature_map").get_weights() for each in (result.source_model, result.model))
    start = source_builder.build().get_layer("feature_map").get_weights()
    np.testing.assert_allclose(own[0], carried[0], atol=1e-6)
    assert abs(carried[0] - start[0]).max() > 1e-3
    assert result.source_model.output_shape == (None, 4) and result.model.output_shape == (None, 3)
    assert abs(result.model.get_layer("logits").kernel.numpy()).max() < 1e-6
    assert {path.split("/")[0]: round(rate / 1e-12) for path, rate in rates.highest.items()} == {
        "feature_map": 1,
        "logits": 10,
    }
    for each in rates.kinds.values():
        assert isinstance(each, keras.optimizers.SGD) and (each.nesterov, each.momentum) == (True, 0.9)


def test_a_kept_head_begins_where_the_source_ended_and_the_history_tells_both_stages():
    target = rows(16, 1)
    options = {**QUICK, "learning_rate": 1e-12, "source_epochs": 3}
    result = tft.two_stage(table_builder(), rows(64, 0), target, target, keep_head=True, **options)
    for one, other in zip(result.source_model.get_weights(), result.model.get_weights()):
        np.testing.assert_allclose(one, other, atol=1e-6)
    history = result.history
    assert [(phase.name, phase.first_epoch, phase.num_epochs) for phase in history.phases] == [
        ("source", 0, 3),
        ("target", 3, 2),
    ]
    assert len(history.history["loss"]) == 5 and np.isnan(history.history["val_loss"][:3]).all()
    of_source = result.model.evaluate(*rows(64, 0), verbose=0, return_dict=True)["loss"]
    assert history.history["loss"][2] == pytest.approx(of_source, rel=0.2)
    assert history.phases[0].learning_rate == 0.1 and history.phases[1].best_epoch in (3, 4)


@pytest.mark.slow
def test_what_the_source_has_taught_helps_where_labels_are_few():
    source, (x, y) = rows(512, 0), rows(12, 1, flipped=True)
    test, y_test = rows(256, 2, flipped=True)
    options = {**QUICK, "source_epochs": 20, "epochs": 20}
    transferred = tft.two_stage(table_builder(), source, (x, y), **options).model
    alone = table_builder().build()
    alone.compile(keras.optimizers.SGD(0.02, 0.9, True), alone.loss, metrics=["accuracy"])
    alone.fit(x, y, batch_size=16, epochs=20, verbose=0)
    accuracies = [
        model.evaluate(test, y_test, verbose=0, return_dict=True)["accuracy"] for model in (transferred, alone)
    ]
    assert accuracies[0] > accuracies[1] + 0.1


@pytest.mark.slow
def test_other_inputs_take_the_same_call():
    x, y = colour_images(24)
    images = tft.ImageClassifier(num_classes=3, backbone=small_backbone(), augmentation=None, seed=0)
    wider = dataclasses.replace(images, num_classes=5, class_names=None)
    result = tft.two_stage(images, (x, y), (x[:8], y[:8]), source_builder=wider, **QUICK)
    assert result.model.predict(x, verbose=0).shape == (24, 3) and result.source_model.output_shape == (None, 5)
    texts = np.array(["good film", "bad film", "a good one", "bad"] * 4, object)
    builder = tft.TextClassifier(num_classes=2, backbone_options={"dim": 4}, seed=0).adapt(texts, verbose=0)
    labels = np.arange(16) % 2
    result = tft.two_stage(builder, (texts, labels), (texts[:8], 1 - labels[:8]), **QUICK)
    assert [phase.name for phase in result.history.phases] == ["source", "target"]


class Stopped(Exception):
    pass


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise Stopped


@pytest.mark.slow
def test_a_run_that_was_stopped_in_the_second_stage_ends_as_it_would_have(tmp_path):
    target = rows(16, 1)
    options = {**QUICK, "epochs": 3}
    whole = tft.two_stage(table_builder(), rows(64, 0), target, **options)
    state = tmp_path / "state"
    with pytest.raises(Stopped):
        tft.two_stage(table_builder(), rows(64, 0), target, callbacks=[Stop()], resume=state, **options)
    assert state.is_dir()
    again = tft.two_stage(table_builder(), rows(64, 0), target, resume=state, **options)
    for model in ("model", "source_model"):
        for one, other in zip(getattr(whole, model).get_weights(), getattr(again, model).get_weights()):
            np.testing.assert_array_equal(one, other)
    assert again.history.history["loss"] == whole.history.history["loss"] and not state.exists()
