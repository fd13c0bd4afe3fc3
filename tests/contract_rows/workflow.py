"""What each public object of `tft.workflow` holds beyond its docstring."""

import numpy as np

import tf_transfer as tft

from contract_parts import check_refuses
from contract_registry import row
from contract_toys import classifier, images


@row("workflow.TrainConfig")
def _(train_config):
    check_refuses(lambda: train_config.from_dict({"images": "x", "droput": 0.1}), "Did you mean 'dropout'?")
    check_refuses(lambda: train_config.from_dict({"epochs": 3}), "`images`")
    check_refuses(lambda: train_config(images="x", epochs=-1), "`epochs`")


@row("workflow.TrainingConfig", example_in="workflow.TrainConfig")
def _(training_config):
    check_refuses(lambda: training_config(freeze_epochs=0, epochs=0), "`freeze_epochs` and `epochs`")


@row("workflow.TextTrainConfig")
def _(text_train_config):
    check_refuses(lambda: text_train_config.from_dict({"text": "x.csv", "image_size": 96}), "'image_size'")
    check_refuses(lambda: text_train_config(text="x.csv", task="ranking"), "`task`")
    check_refuses(lambda: text_train_config(text="x.csv", builder={"backbone": "cn"}), "Did you mean 'cnn'?")


@row("workflow.TableTrainConfig")
def _(table_train_config):
    check_refuses(lambda: table_train_config.from_dict({"table": "x.csv"}), "`target`", "the column to predict")
    check_refuses(lambda: table_train_config(table="x.csv", target="y", builder={"target_parts": "bias"}), "no field")


@row("workflow.AudioTrainConfig")
def _(audio_train_config):
    check_refuses(lambda: audio_train_config(audio="x", builder={"sample_rate": 0}), "`sample_rate`")


@row("workflow.train")
def _(train):
    missing = tft.workflow.TrainConfig(images="no/such/folder", builder={"weights": None})
    check_refuses(lambda: train(missing, verbose=0), "no/such/folder")


@row("workflow.TrainResult", example_in="workflow.train")
def _(train_result):
    assert train_result.__dataclass_params__.frozen


@row("workflow.AdaptConfig")
def _(adapt_config):
    check_refuses(lambda: adapt_config.from_dict({"source": "x", "target": "y", "methd": "dann"}), "'method'?")
    check_refuses(lambda: adapt_config.from_dict({"source": "x"}), "`target`")
    check_refuses(lambda: adapt_config(source="x", target="y", epochs=0), "`epochs`")


@row("workflow.adapt")
def _(adapt):
    missing = tft.workflow.AdaptConfig(source="no/such/folder", target="y", builder={"weights": "imagenet"})
    check_refuses(lambda: adapt(missing, verbose=0), "no/such/folder")


@row("workflow.AdaptResult", example_in="workflow.adapt")
def _(adapt_result):
    assert adapt_result.__dataclass_params__.frozen


@row("workflow.DistillConfig")
def _(distill_config):
    given = {"teacher": "t.keras", "images": "x"}
    check_refuses(lambda: distill_config.from_dict({**given, "losses": "kd,hnt"}), "Did you mean 'hint'?")
    check_refuses(lambda: distill_config.from_dict({"images": "x"}), "`teacher`")
    check_refuses(lambda: distill_config(**given, weight=1.5), "`weight`")


@row("workflow.distill")
def _(distill):
    missing = tft.workflow.DistillConfig(teacher="no/such/teacher.keras", images="y")
    check_refuses(lambda: distill(missing, verbose=0), "no/such/teacher.keras")


@row("workflow.DistillResult", example_in="workflow.distill")
def _(distill_result):
    assert distill_result.__dataclass_params__.frozen


@row("workflow.predict")
def _(predict):
    check_refuses(lambda: predict("no_such_model", "photo.png"), "no_such_model")
    check_refuses(lambda: predict(__file__, "photo.png"), ".keras file")


@row("workflow.Prediction", example_in="workflow.predict")
def _(prediction):
    assert prediction._fields == ("file", "label", "score", "top")


@row("workflow.rank")
def _(rank):
    check_refuses(lambda: rank("no_such_folder", ["mobilenet_v9"]), "'mobilenet_v9'", "Did you mean")
    check_refuses(lambda: rank("no_such_folder", scores=["leep"]), "`scores`")


@row("workflow.PredictedNumbers", example_in="workflow.predict")
def _(predicted):
    assert predicted._fields == ("file", "values")


@row("workflow.run_demo")
def _(run_demo):
    check_refuses(lambda: run_demo(seeds=[-1], verbose=0), "`seeds`", "at least 0")


@row("workflow.DemoResult", example_in="workflow.run_demo")
def _(demo_result):
    assert demo_result.__dataclass_params__.frozen


@row("workflow.TuneConfig")
def _(tune_config):
    check_refuses(lambda: tune_config.from_dict({"images": "x", "tunr": "grid"}), "Did you mean 'tuner'?")
    check_refuses(lambda: tune_config(images="x", tuner="gird"), "Did you mean 'grid'?")
    check_refuses(lambda: tune_config(images="x", space={"dropout": {"float": [1]}}), "'dropout'", "[low, high]")


@row("workflow.tune")
def _(tune):
    missing = tft.workflow.TuneConfig(images="no/such/folder", builder={"weights": None})
    check_refuses(lambda: tune(missing, verbose=0), "no/such/folder")


@row("workflow.TuneResult", example_in="workflow.tune")
def _(tune_result):
    assert tune_result.__dataclass_params__.frozen


@row("workflow.measure_gap")
def _(measure_gap):
    check_refuses(lambda: measure_gap("no/such/folder", "y", weights=None), "no/such/folder")
    check_refuses(lambda: measure_gap("x", "y", channels=2), "`channels`")


@row("workflow.report")
def _(report):
    check_refuses(lambda: report(classifier(), (images(), np.arange(8) % 3), gap=3), "`gap`")
    check_refuses(lambda: report(classifier(), (images(), np.arange(8) % 3), num_shown=0), "`num_shown`")
    check_refuses(lambda: report(classifier()), "Give `data`")


@row("workflow.Run", example_in="workflow.read_run")
def _(run):
    assert run.__dataclass_params__.frozen
    result = {"main": "accuracy", "figures": {"accuracy": 0.9, "accuracy_95_low": 0.8, "accuracy_95_high": 0.95}}
    assert run("somewhere/run", result, {}).describe() == "accuracy 0.900 (0.800 to 0.950)"


@row("workflow.read_run")
def _(read_run):
    check_refuses(lambda: read_run("no/such/run"), "no/such/run")
    check_refuses(lambda: read_run("."), "not the folder of a run", "--output")


@row("workflow.list_runs")
def _(list_runs):
    check_refuses(lambda: list_runs("no/such/folder"), "no/such/folder")


@row("workflow.compare_runs")
def _(compare_runs):
    check_refuses(lambda: compare_runs("one"), "`runs` must be two or more")
    check_refuses(lambda: compare_runs(["no/such/run", "other"]), "no/such/run")


@row("workflow.RunComparison", example_in="workflow.compare_runs")
def _(comparison):
    assert comparison.__dataclass_params__.frozen


@row("workflow.reproduce_run")
def _(reproduce_run):
    check_refuses(lambda: reproduce_run("no/such/run", "new"), "no/such/run")


@row("workflow.Reproduction", example_in="workflow.reproduce_run")
def _(reproduction):
    assert reproduction.__dataclass_params__.frozen
