"""What each public object of `tft.fine_tuning` holds beyond its docstring."""

import dataclasses
import functools

import keras
import numpy as np

import tf_transfer as tft

import contracts
from contract_parts import check_refuses
from contract_registry import row
from contract_toys import backbone_file, classifier, images


@row("fine_tuning.fine_tune")
def _(fine_tune):
    x, y, model = images(), np.arange(8) % 3, classifier()
    check_refuses(lambda: fine_tune(keras.Sequential(), (x, y)), "compile")
    check_refuses(lambda: fine_tune(model, (x, y), unfreeze="block_99", verbose=0), "block_99")
    check_refuses(lambda: fine_tune(model, (x, y), freeze_epochs=0, epochs=0), "above 0")
    check_refuses(lambda: fine_tune(model, (x, y), unfreeze=False), "epochs=0")
    check_refuses(lambda: fine_tune(model, (x, y), layer_decay=2.0), "`layer_decay`")
    check_refuses(lambda: fine_tune(model, (x, y[:7]), verbose=0), "8", "7")


@row("fine_tuning.find_learning_rate")
def _(find_learning_rate):
    check_refuses(lambda: find_learning_rate(3, (images(), np.arange(8) % 3)), "Received")


@row("fine_tuning.LearningRateSearch")
def _(learning_rate_search):
    flat = learning_rate_search(np.geomspace(1e-5, 1.0, 20), np.ones(20), diverged=False)
    check_refuses(lambda: flat.suggestion, "fell at no rate", "`max_rate`")


@row("fine_tuning.GradualUnfreezing")
def _(gradual_unfreezing):
    def model():
        backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="low")], name="small")
        made = keras.Sequential([keras.Input((4,)), backbone, keras.layers.Dense(1)])
        made.compile("adam", "mse")
        return made

    x = np.random.default_rng(4).normal(size=(8, 4)).astype("float32")
    contracts.check_callback(functools.partial(gradual_unfreezing, verbose=0), model, x, x[:, :1])
    check_refuses(lambda: gradual_unfreezing(num_blocks=0), "`num_blocks`")
    check_refuses(lambda: gradual_unfreezing(batch_norm="frosen"), "Did you mean 'frozen'?")


@row("fine_tuning.Phase", example_in="fine_tuning.fine_tune")
def _(phase):
    assert phase.__dataclass_params__.frozen


@row("fine_tuning.FineTuningHistory", example_in="fine_tuning.fine_tune")
def _(fine_tuning_history):
    check_refuses(lambda: fine_tuning_history().plot(["loss"]), "['loss']", "history")


@row("fine_tuning.warmup_cosine")
def _(warmup_cosine):
    schedule = warmup_cosine(0.5, num_steps=10, warmup=0.0)
    assert np.isclose(float(schedule(0)), 0.5)
    assert np.isclose(float(schedule(10)), 0.0)


@row("fine_tuning.step_decay")
def _(step_decay):
    assert np.isclose(float(step_decay(0.5, num_steps=4, factor=0.5, at=(0.5,))(3)), 0.25)


@row("fine_tuning.BiTHyperRule")
def _(bit_hyper_rule):
    check_refuses(lambda: bit_hyper_rule.of(0, (32, 32)), "`num_examples`")
    check_refuses(lambda: bit_hyper_rule.of(10, (0, 32)), "`image_size`")


@row("fine_tuning.layer_decay_optimizer")
def _(layer_decay_optimizer):
    model = tft.ImageClassifier(num_classes=3, backbone=backbone_file(), weights=None, trainable=True).build()
    optimizer = layer_decay_optimizer(model, keras.optimizers.SGD, 0.5, 0.1)
    assert sorted(round(float(inner.learning_rate), 6) for inner in optimizer.optimizers) == [0.05, 0.5]


@row("fine_tuning.head_rate_optimizer")
def _(head_rate_optimizer):
    build = tft.ImageClassifier(num_classes=3, backbone=backbone_file(), weights=None, trainable=True).build
    model = build()
    optimizer = head_rate_optimizer(model, keras.optimizers.SGD, 0.05, 10)
    optimizer.build(model.trainable_variables)
    rates = {variable.path: float(each.learning_rate) for each in optimizer.optimizers
             for variable in each._trainable_variables}  # fmt: skip
    assert all(np.isclose(rate, 0.5 if path.startswith("logits") else 0.05) for path, rate in rates.items())
    assert len(rates) == len(model.trainable_variables)
    tft.set_trainable(model, False, verbose=False)
    assert isinstance(head_rate_optimizer(model, keras.optimizers.SGD, 0.05, 10), keras.optimizers.SGD)


@row("fine_tuning.two_stage")
def _(two_stage):
    table = tft.TabularClassifier(columns={"a": {"mean": 0.0, "std": 1.0}}, num_classes=2)
    data = {"a": np.zeros((4, 1))}, np.arange(4) % 2
    check_refuses(lambda: two_stage(table.build(), data, data), "`builder` must be a builder")
    check_refuses(lambda: two_stage(table, data, data, head_factor=0.5), "`head_factor`", "at least 1")
    wider = dataclasses.replace(table, hidden_units=(8, 8))
    check_refuses(lambda: two_stage(table, data, data, source_builder=wider), "the same backbone", "(1, 8)")
    three = dataclasses.replace(table, num_classes=3)
    check_refuses(lambda: two_stage(table, data, data, source_builder=three, keep_head=True), "keep_head=False")
    adapted = dataclasses.replace(table, trainable=tft.LoRA(2))
    check_refuses(lambda: two_stage(adapted, data, data), "trainable=True", "`source_model`")
    check_refuses(lambda: two_stage(table, data, data, resume="state"), "`seed`")


@row("fine_tuning.TwoStageResult", example_in="fine_tuning.two_stage")
def _(two_stage_result):
    assert two_stage_result.__dataclass_params__.frozen
