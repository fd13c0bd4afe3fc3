"""A training run as plain data."""

import dataclasses
import inspect

import pytest
import yaml

import tf_transfer as tft

TrainConfig = tft.workflow.TrainConfig

ALL = {
    "images": "photos",
    "validation_split": 0.25,
    "skip_bad": True,
    "image_size": [96, 128],
    "channels": 1,
    "epochs": 3,
    "freeze_epochs": 2,
    "learning_rate": 0.01,
    "fine_tuning_rate": 0.0001,
    "layer_decay": 0.9,
    "class_weight": {"ant": 1.0, "bee": 2.0},
    "batch_size": 8,
    "features_cache": False,
    "seed": 7,
    "min_accuracy": 0.9,
    "save_model": "model.keras",
    "export": "saved_models/insects",
    "backbone": "mobilenet_v3_small",
    "weights": None,
    "backbone_options": {"alpha": 0.75},
    "trainable": ["expanded_conv_3", "top"],
    "hidden_units": [64, 32],
    "dropout": 0.5,
    "label_smoothing": 0.1,
    "class_names": ["ant", "bee"],
}


def test_every_choice_survives_dict_and_yaml(tmp_path):
    config = TrainConfig.from_dict(ALL)
    written = config.to_dict()
    assert {name: written[name] for name in ALL} == ALL
    assert TrainConfig.from_dict(written) == config
    config.to_yaml(tmp_path / "run.yaml")
    assert TrainConfig.from_yaml(tmp_path / "run.yaml") == config


def test_a_file_may_write_values_as_the_command_line_does(tmp_path):
    text = "images: photos\nimage_size: 96x128\nweights: none\nlearning_rate: 1e-3\nbackbone_options: alpha=0.35\n"
    # YAML itself reads `1e-3` and `none` as text.
    assert yaml.safe_load(text)["learning_rate"] == "1e-3"
    (tmp_path / "run.yaml").write_text(text)
    config = TrainConfig.from_yaml(tmp_path / "run.yaml", epochs="4", image_size="32")
    assert (config.image_size, config.learning_rate, config.epochs) == ((32, 32), 0.001, 4)
    assert config.builder == {"weights": None, "backbone_options": {"alpha": 0.35}}


def test_the_fields_of_a_builder_make_the_run_that_builds_it_again():
    builder = tft.ImageClassifier(
        num_classes=2,
        class_names=("ant", "bee"),
        input_shape=(64, 96, 1),
        weights=None,
        trainable=3,
        learning_rate=0.02,
        seed=5,
    )
    for fields in ({"images": "photos", **builder.to_dict()}, {"images": "photos", "builder": builder.to_dict()}):
        config = TrainConfig.from_dict(fields)
        assert (config.image_size, config.channels) == ((64, 96), 1)
        assert config.make_builder(["ant", "bee"], (64, 96, 1)) == builder


def test_digits_are_names_of_classes_too():
    assert TrainConfig.from_dict({"images": "x", "class_names": "007,1"}).builder["class_names"] == ("007", "1")


def test_fields_cover_the_builder_and_defaults_are_those_of_fine_tune():
    builder = {field.name for field in dataclasses.fields(tft.ImageClassifier)}
    assert builder - TrainConfig.fields().keys() == TrainConfig.not_chosen.keys() - {"learning_rate", "seed"}
    parameters = inspect.signature(tft.fine_tune).parameters
    shared = {field.name: field.default for field in dataclasses.fields(TrainConfig) if field.name in parameters}
    assert {"epochs", "freeze_epochs", "learning_rate", "layer_decay", "batch_size"} < shared.keys()
    # A run is the same when it is run again; for folders None stands for batches of 32, and a folder to measure on
    # leaves nothing to split.
    others = {"seed": None, "batch_size": None, "validation_split": 0.2}
    assert {name: parameters[name].default for name in shared} == shared | others


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"backbon": "resnet50"}, "has no field 'backbon'.* Did you mean 'backbone'"),
        ({"epochs": -1}, "`epochs` must be an integer of at least 0"),
        ({"epochs": 0, "freeze_epochs": 0}, "must be above 0"),
        ({"epochs": "many"}, "`epochs` must be a whole number"),
        ({"validation_split": 1.5}, "`validation_split` must be between 0 and 1"),
        ({"validation_split": 0.5, "validation": "other"}, "leave out one"),
        ({"image_size": 0}, "`image_size` must be an integer of at least 1"),
        ({"image_size": [1, 2, 3]}, "`image_size` must be a number or height x width"),
        ({"channels": 2}, "`channels` must be one of"),
        ({"min_accuracy": 90}, "`min_accuracy` must be a number from 0.0 to 1.0"),
        ({"class_weight": "balance"}, "Did you mean 'balanced'"),
        ({"save_model": "model.pt"}, "must end in .keras"),
        ({"export": 5}, "`export` must be a path"),
        ({"dropout": 2}, "`dropout` must be a number"),
        ({"augmentation": "standart"}, "Did you mean 'standard'"),
        ({"batch_norm": "frosen"}, "Did you mean 'frozen'"),
        ({"restore_best_weights": 2}, "`restore_best_weights` must be one of"),
        ({"trainable": False}, "For feature extraction say epochs=0"),
        ({"multi_label": True}, "one label"),
        ({"num_classes": 1}, "`num_classes` must be an integer of at least 2"),
        ({"num_classes": 3, "class_names": ["ant", "bee"]}, "there are 2 classes"),
        ({"builder": {"units": 3}}, "has no field 'units'"),
        ({"builder": "ImageRegressor"}, "ImageClassifier"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_read(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainConfig.from_dict({"images": "no such folder", **fields})


def test_a_file_that_is_no_configuration_is_refused(tmp_path):
    for text, sentence in [("a: [1", "not a YAML file"), ("- images", "name: value"), ("epochs: 3", "has no `images`")]:
        (tmp_path / "run.yaml").write_text(text)
        with pytest.raises(ValueError, match=sentence):
            TrainConfig.from_yaml(tmp_path / "run.yaml")
