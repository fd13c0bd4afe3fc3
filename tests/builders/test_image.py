"""Builders of image models: what they build, how they compile, and which fields can't be."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from small_models import colour_images, small_backbone

import tf_transfer as tft

SMALL = {"weights": None, "input_shape": (32, 32, 3), "backbone_options": {"alpha": 0.35}}


def small_classifier(**fields):
    return tft.ImageClassifier(**{"num_classes": 3, "backbone": small_backbone(), **fields})


class TestImageClassifier:
    def test_input_logits_and_scores(self):
        model = small_classifier(dropout=0.3, hidden_units=(7, 5)).build()
        assert model.input.name == "image" and model.output_names == ["scores"]
        assert [layer.name for layer in model.layers[2:]] == [
            "dropout_1", "hidden_1", "dropout_2", "hidden_2", "dropout", "logits", "scores",
        ]  # fmt: skip
        assert model.get_layer("dropout").rate == 0.3
        assert model.get_layer("hidden_1").units == 7

    def test_first_scores_are_even(self):
        x, _ = colour_images(4)
        np.testing.assert_allclose(small_classifier().build().predict(x, verbose=0), np.full((4, 3), 1 / 3), rtol=1e-6)

    def test_l2_is_the_squared_norm_of_the_kernels(self):
        model = small_classifier(l2=0.5, hidden_units=(4,)).build()
        model.get_layer("logits").kernel.assign(np.ones((4, 3)))
        hidden = model.get_layer("hidden_1").kernel.numpy()
        assert float(sum(model.losses)) == pytest.approx(0.5 * (12 + (hidden**2).sum()), rel=1e-5)

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_scores_are_float32_whatever_the_policy(self, policy):
        keras.config.set_dtype_policy(policy)
        try:
            model = tft.ImageClassifier(num_classes=2, **SMALL).build()
            x = np.zeros((2, 32, 32, 3), "float32")
            assert model(x).dtype == "float32" and model.get_layer("logits").dtype_policy.name == "float32"
            assert model.get_layer("mobilenet_v2").output.dtype == policy.removeprefix("mixed_")
            model.fit(x, np.zeros(2), verbose=0)
        finally:
            keras.config.set_dtype_policy("float32")

    @pytest.mark.parametrize(
        ("fields", "loss", "one_hot"),
        [
            ({}, keras.losses.SparseCategoricalCrossentropy, False),
            ({"label_smoothing": 0.1}, keras.losses.CategoricalCrossentropy, True),
            ({"augmentation": "mixup"}, keras.losses.CategoricalCrossentropy, True),
            ({"multi_label": True}, keras.losses.BinaryCrossentropy, True),
        ],
    )
    def test_loss_follows_the_labels(self, fields, loss, one_hot):
        builder = small_classifier(**fields)
        model = builder.build()
        assert isinstance(model.loss, loss) and builder.one_hot_labels is one_hot
        x, y = colour_images(6)
        labels = np.eye(3)[y] if one_hot else y
        assert set(model.evaluate(x, labels, return_dict=True, verbose=0)) >= {"loss", "accuracy"}

    def test_smoothed_loss_worked_out_by_hand(self):
        model = small_classifier(label_smoothing=0.3, augmentation=None).build()
        model.get_layer("logits").bias.assign([1.0, 0.0, 0.0])
        x, _ = colour_images(2)
        scores = np.exp([1.0, 0.0, 0.0]) / (np.e + 2)
        smoothed = np.array([0.8, 0.1, 0.1])
        assert model.evaluate(x, np.eye(3)[[0, 0]], verbose=0)[0] == pytest.approx(
            -(smoothed * np.log(scores)).sum(), rel=1e-4
        )

    def test_multi_label_scores_are_independent(self):
        model = small_classifier(multi_label=True).build()
        model.get_layer("logits").bias.assign([3.0, 3.0, -3.0])
        x, _ = colour_images(1)
        expected = 1 / (1 + np.exp([-3.0, -3.0, 3.0]))
        np.testing.assert_allclose(model.predict(x, verbose=0)[0], expected, rtol=1e-4)

    def test_learns(self):
        model = small_classifier(trainable=True, batch_norm="trainable", learning_rate=1e-2).build()
        x, y = colour_images(60)
        model.fit(x, y, epochs=20, batch_size=20, verbose=0)
        assert model.evaluate(x, y, verbose=0)[1] > 0.95

    def test_feature_maps_are_flattened(self):
        model = tft.ImageClassifier(num_classes=2, pooling=None, **SMALL).build()
        assert model.get_layer("logits").kernel.shape == (1280, 2)

    def test_seed_repeats_everything(self):
        builder = tft.ImageClassifier(num_classes=2, hidden_units=(3,), seed=5, **SMALL)
        first, second = builder.build().get_weights(), builder.build().get_weights()
        other = dataclasses.replace(builder, seed=6).build().get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(first, second))
        assert not all(np.array_equal(a, b) for a, b in zip(first, other))

    def test_augmentation_is_not_in_the_model(self):
        builder = small_classifier(augmentation="standard")
        kinds = {type(layer).__module__ for layer in builder.build()._flatten_layers()}
        assert not any("image_preprocessing" in kind for kind in kinds)
        x, y = colour_images(8)
        batches = tft.data.as_dataset((x, y), batch_size=8)
        changed = next(iter(builder.augment(batches)))[0]
        assert changed.shape == x.shape and not np.allclose(changed, x)


class TestImageRegressor:
    def test_predicts_in_the_unit_of_the_target(self):
        model = tft.ImageRegressor(backbone=small_backbone(), target_mean=40.0, target_std=12.0).build()
        x, _ = colour_images(3)
        np.testing.assert_allclose(model.predict(x, verbose=0), np.full((3, 1), 40.0), rtol=1e-6)
        model.get_layer("standardized").bias.assign([0.5])
        np.testing.assert_allclose(model.predict(x, verbose=0), np.full((3, 1), 46.0), rtol=1e-6)
        assert model.evaluate(x, np.full(3, 44.0), verbose=0) == pytest.approx([4.0, 2.0], rel=1e-5)

    def test_learns_a_large_scale(self):
        x, y = colour_images(60)
        target = 1000.0 + 200.0 * y
        model = tft.ImageRegressor(
            backbone=small_backbone(), target_mean=1200.0, target_std=160.0, learning_rate=1e-2, trainable=True
        ).build()  # fmt: skip
        model.fit(x, target, epochs=25, batch_size=20, verbose=0)
        assert model.evaluate(x, target, verbose=0)[1] < 60

    def test_several_outputs(self):
        assert tft.ImageRegressor(backbone=small_backbone(), num_outputs=4).build().output_shape == (None, 4)


class TestFieldsAsData:
    BUILDERS = (
        tft.ImageClassifier(
            num_classes=2, class_names=["a", "b"], trainable=["block_1", "top"], hidden_units=[8], **SMALL
        ),
        tft.ImageRegressor(target_mean=1.5, target_std=0.25, trainable=0.25, augmentation=None, **SMALL),
    )

    @pytest.mark.parametrize("builder", BUILDERS)
    def test_dict_json_and_yaml_round_trips(self, builder, tmp_path):
        kind = type(builder)
        assert kind.from_dict(builder.to_dict()) == builder
        assert kind.from_dict(json.loads(json.dumps(builder.to_dict()))) == builder
        assert kind.from_yaml(builder.to_yaml()) == builder
        builder.to_yaml(tmp_path / "builder.yaml")
        assert kind.from_yaml(tmp_path / "builder.yaml") == builder
        assert kind.from_yaml(str(tmp_path / "builder.yaml")) == builder

    def test_the_model_knows_its_builder(self):
        builder = small_classifier()
        assert builder.build().builder is builder

    def test_a_model_as_a_field_does_not_go_into_a_file(self):
        with pytest.raises(ValueError, match=r"`backbone` holds a Functional.*'file:PATH'"):
            small_classifier().to_dict()

    def test_unknown_field(self):
        with pytest.raises(ValueError, match=r"no field 'droput'.*Did you mean 'dropout'"):
            tft.ImageClassifier.from_dict({"num_classes": 2, "droput": 0.1})

    def test_missing_field(self):
        with pytest.raises(ValueError, match="num_classes"):
            tft.ImageClassifier.from_dict({"backbone": "mobilenet_v2"})

    def test_another_builder(self):
        with pytest.raises(ValueError, match="those of 'ImageRegressor', not of 'ImageClassifier'"):
            tft.ImageClassifier.from_dict(self.BUILDERS[1].to_dict())

    def test_yaml_that_is_no_mapping(self):
        with pytest.raises(ValueError, match="must hold the fields"):
            tft.ImageClassifier.from_yaml("- a\n- b\n")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_classes": 1}, "`num_classes` must be an integer of at least 2"),
        ({"num_classes": 2.5}, "`num_classes` must be an integer"),
        ({"class_names": ["a", "b"]}, "must be 3 different names"),
        ({"class_names": ["a", "b", "b"]}, "must be 3 different names"),
        ({"dropout": 1.0}, "`dropout` must be a number"),
        ({"l2": -1.0}, "`l2` must be a number"),
        ({"label_smoothing": 1.0}, "`label_smoothing`"),
        ({"hidden_units": (0,)}, "`hidden_units` must be an integer of at least 1"),
        ({"input_shape": (32, 32)}, "height, width, channels"),
        ({"batch_norm": "freeze"}, "`batch_norm` must be one of"),
        ({"augmentation": "standart"}, "Did you mean 'standard'"),
        ({"augmentation": "mixup", "multi_label": True}, "does not go with multi_label"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be a number"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, message):
    with pytest.raises(ValueError, match=message):
        tft.ImageClassifier(**{"num_classes": 3, **fields})


def test_bad_regression_fields():
    with pytest.raises(ValueError, match="`target_std` must be above 0"):
        tft.ImageRegressor(target_std=0.0)
    with pytest.raises(ValueError, match="a regressor has none"):
        tft.ImageRegressor(augmentation="cutmix")


def test_unknown_backbone_is_said_with_a_hint():
    with pytest.raises(ValueError, match=r"Unknown backbone 'mobilnet_v2'\. Did you mean 'mobilenet_v2'\?"):
        tft.ImageClassifier(num_classes=2, backbone="mobilnet_v2").build()
