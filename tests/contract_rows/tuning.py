"""What each public object of `tft.tuning` holds beyond its docstring."""

import numpy as np
import tensorflow as tf

import tf_transfer as tft

from contract_parts import check_refuses
from contract_registry import row
from contract_toys import backbone_file, images


@row("tuning.Choice")
def _(choice):
    assert choice.__dataclass_params__.frozen
    check_refuses(lambda: choice([]), "`values`", "at least one")
    check_refuses(lambda: choice([1, 1]), "different")
    check_refuses(lambda: choice(["avg", "max"], default="agv"), "Did you mean 'avg'?")


@row("tuning.Int")
def _(whole):
    assert whole.__dataclass_params__.frozen
    check_refuses(lambda: whole(5, 3), "`high`", "at least 5")
    check_refuses(lambda: whole(0, 3, log=True), "`low`")


@row("tuning.Float")
def _(number):
    assert number.__dataclass_params__.frozen
    check_refuses(lambda: number(0.0, 1.0, log=True), "`low`", "above 0")
    check_refuses(lambda: number(0.5, 1.0, default=0.1), "`default`")


@row("tuning.Boolean")
def _(boolean):
    assert boolean.__dataclass_params__.frozen
    check_refuses(lambda: boolean(default=2), "`default`")


@row("tuning.read_space")
def _(read_space):
    check_refuses(lambda: read_space("dropout: {flaot: [0, 1]}\nx: {float: [0]}\n"), "[low, high]", "'x'")


@row("tuning.write_space")
def _(write_space):
    assert write_space({"epochs": 3}) == "epochs: 3"


@row("tuning.default_space")
def _(default_space):
    check_refuses(lambda: default_space(tft.builders.Builder()), "no default space", "Builder")
    assert "fine_tuning_rate" in default_space(tft.ImageRegressor(), epochs=5)
    table = tft.TabularClassifier(columns=["age"], num_classes=2)
    assert "hidden_units" in default_space(table) and "hidden_units" not in default_space(table, epochs=0)


@row("tuning.TransferHyperModel")
def _(hypermodel):
    builder = tft.ImageClassifier(num_classes=3, backbone=backbone_file(), weights=None)
    space = {"dropout": tft.tuning.Float(0.0, 0.5)}
    check_refuses(lambda: hypermodel(builder, {"droput": tft.tuning.Float(0.0, 1.0)}), "'droput'", "'dropout'?")
    check_refuses(lambda: hypermodel(builder, {"dropout": tft.tuning.Float(0.0, 1.5)}), "'dropout' = 1.5")
    check_refuses(lambda: hypermodel(builder, {"backbone": tft.tuning.Choice(["mobilnet_v2"])}), "'mobilenet_v2'?")
    check_refuses(lambda: hypermodel(builder, space, epoch=3), "'epochs'?")
    check_refuses(lambda: hypermodel("mobilenet_v2", space), "`builder`")


@row("tuning.search")
def _(search):
    builder = tft.ImageClassifier(num_classes=3, backbone=backbone_file(), weights=None)
    data = (images(), np.arange(8) % 3)
    check_refuses(lambda: search(builder, train=data, validation=data, tuner="gird"), "Did you mean 'grid'?")
    check_refuses(lambda: search(builder, train=data, validation=data, epoch=1), "'epochs'?")
    check_refuses(lambda: search(builder, train=data, validation=data, objective="val_thing"), "`objective`")


@row("tuning.SearchResult", example_in="tuning.search")
def _(search_result):
    assert search_result.__dataclass_params__.frozen


@row("tuning.TrialRecord", example_in="tuning.search")
def _(trial_record):
    assert trial_record.__dataclass_params__.frozen


@row("tuning.TargetEntropy")
def _(target_entropy):
    check_refuses(lambda: target_entropy(tf.data.Dataset.from_tensors([[0.0]]).repeat()), "endless")


@row("tuning.TargetInformation")
def _(target_information):
    check_refuses(lambda: target_information(tf.data.Dataset.from_tensors([[0.0]]).repeat()), "endless")


@row("tuning.chief")
def _(chief):
    check_refuses(lambda: chief("8765").__enter__(), "HOST:PORT")


@row("tuning.worker")
def _(worker):
    check_refuses(lambda: worker("host:99999").__enter__(), "HOST:PORT")


@row("tuning.SoftNeighborhoodDensity")
def _(criterion):
    assert (criterion.name, criterion.direction) == ("soft_neighborhood_density", "max")
    check_refuses(lambda: criterion(np.ones((3, 2)), temperature=0.0), "`temperature`")


@row("tuning.neighborhood_density")
def _(neighborhood_density):
    check_refuses(lambda: neighborhood_density(np.ones(3)), "(num_examples, dim)")


@row("tuning.ImportanceWeightedRisk")
@row("tuning.DeepEmbeddedValidation")
def _(criterion):
    assert criterion.direction == "min"
    check_refuses(lambda: criterion((np.ones((3, 2)), [0, 1]), np.ones((3, 2))), "`source` must be a pair")


@row("tuning.ReverseValidation")
def _(criterion):
    assert (criterion.name, criterion.direction) == ("reverse_risk", "min")
    check_refuses(lambda: criterion(None, ([1], [0]), ([1], [0]), [1]), "`fit` must be a function")


@row("tuning.importance_weighted_risk")
@row("tuning.deep_embedded_risk")
def _(risk):
    check_refuses(lambda: risk([0.0], [1.0, 1.0]), "one value an example", "(1,)")


@row("tuning.CriterionMonitor")
def _(monitor):
    check_refuses(lambda: monitor(3), "`criterion` must be a function")
