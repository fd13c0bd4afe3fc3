"""What each public object of `tft.builders` holds beyond its docstring."""

import dataclasses

import keras
import numpy as np
import pytest

import tf_transfer as tft

import contracts
from contract_parts import check_refuses, check_saves
from contract_registry import row
from contract_toys import audio_module, backbone_file, classifier, images


@row("builders.ImageClassifier")
def _(image_classifier):
    builder = image_classifier(
        num_classes=3, backbone=backbone_file(), weights=None, hidden_units=[5], dropout=0.1, l2=1e-4, trainable=True
    )
    contracts.check_builder(builder, images(), np.arange(8) % 3, "image", "scores")
    frozen = dataclasses.replace(builder, trainable=False)
    assert len(builder.build().trainable_weights) > len(frozen.build().trainable_weights), (
        "trainable=True trains no more"
    )
    several = dataclasses.replace(builder, multi_label=True, augmentation=None, class_names=["a", "b", "c"])
    contracts.check_builder(several, images(), np.eye(3)[np.arange(8) % 3], "image", "scores")
    check_refuses(lambda: image_classifier(num_classes=1), "`num_classes`", "at least 2")
    check_refuses(lambda: image_classifier(num_classes=3, class_names=["a"]), "`class_names`", "3")
    check_refuses(lambda: image_classifier(num_classes=3, dropout=1.0), "`dropout`")
    check_refuses(lambda: image_classifier(num_classes=3, augmentation="standrd"), "Did you mean 'standard'?")


@row("builders.AudioBuilder", example_in="builders.AudioClassifier")
def _(audio_builder):
    check_refuses(lambda: audio_builder(seconds=0), "`seconds`", "above 0")
    check_refuses(lambda: audio_builder(augmentation="standrd"), "Did you mean 'standard'?")
    assert audio_builder().trainable and not audio_builder(backbone="hub:somewhere").trainable


@row("builders.AudioClassifier")
def _(audio_classifier):
    options = {"sample_rate": 4000, "seconds": 0.25, "num_mel_bins": 16, "normalization": [-20.0, 10.0], "seed": 1}
    options |= {"backbone_options": {"filters": [8, 16]}, "frame_seconds": 0.02, "pooling": "max", "dropout": 0.1}
    waves = np.random.default_rng(0).normal(size=(8, 1000)).astype("float32")
    builder = audio_classifier(num_classes=3, hidden_units=[5], max_frequency=1800.0, **options)
    contracts.check_builder(builder, waves, np.arange(8) % 3, "waveform", "scores")
    module = audio_classifier(
        num_classes=3, backbone=f"hub:{audio_module()}", backbone_options={"output_key": 1}, seconds=0.01
    )
    contracts.check_builder(module, waves[:, :160], np.arange(8) % 3, "waveform", "scores", keras_only=False)
    check_refuses(lambda: audio_classifier(num_classes=3, backbone="small").build(), "Did you mean 'small_conv'?")


@row("builders.FusionBuilder", example_in="builders.FeatureFusion")
def _(fusion_builder):
    check_refuses(lambda: fusion_builder(branches={}), "`branches`", "at least two")


def _two_branches():
    one = tft.builders.ImageBuilder(backbone=backbone_file(), weights=None, augmentation=None)
    return {"one": one, "other": dataclasses.replace(one, seed=4, trainable=1)}


@row("builders.FeatureFusion")
def _(feature_fusion):
    builder = feature_fusion(
        num_classes=3, branches=_two_branches(), fusion="gated", fusion_units=6, hidden_units=[5], seed=1
    )
    contracts.check_builder(builder, images(), np.arange(8) % 3, "image", "scores")
    check_refuses(lambda: dataclasses.replace(builder, fusion="gatd"), "Did you mean 'gated'?")
    check_refuses(lambda: dataclasses.replace(builder, inputs={"oter": "photo"}), "Did you mean 'other'?")


@row("builders.FeatureFusionRegressor")
def _(feature_fusion_regressor):
    contracts.check_builder_fields(feature_fusion_regressor(branches=_two_branches(), fusion="residual"))
    check_refuses(lambda: feature_fusion_regressor(branches=_two_branches(), num_outputs=0), "`num_outputs`")


@row("builders.fuse")
def _(fuse):
    features = keras.Input((5,))
    shapes = [fuse(features, (2, 3), way, 4).shape for way in ("concatenate", "gated", "attention", "residual")]
    assert shapes == [(None, 5), (None, 4), (None, 4), (None, 2)]
    check_refuses(lambda: fuse(features, (2, 3), "atention"), "Did you mean 'attention'?")


@row("builders.ImageRegressor")
def _(image_regressor):
    builder = image_regressor(backbone=backbone_file(), weights=None, num_outputs=2, target_mean=4.0, target_std=2.0)
    contracts.check_builder(builder, images(), np.ones((8, 2)), "image", "predictions")
    check_refuses(lambda: image_regressor(num_outputs=0), "`num_outputs`", "at least 1")
    check_refuses(lambda: image_regressor(target_std=0.0), "`target_std`")


@row("builders.TabularRegressor")
def _(tabular_regressor):
    table = {"pH": np.arange(8.0), "alcohol": np.arange(8.0) ** 2}
    options = dict(hidden_units=[3, 5], dropout=0.1, l2=1e-4, target_parts=["bias"], target_regularizer="L2SP", seed=3)
    builder = tabular_regressor(columns=["pH", "alcohol"], num_outputs=1, **options).adapt(table, np.arange(8.0))
    contracts.check_builder_fields(builder)
    one = dataclasses.replace(builder, columns={"pH": builder.columns["pH"]})
    contracts.check_builder(one, {"pH": np.arange(8.0)[:, None]}, np.ones((8, 1)), "pH", "predictions")
    check_refuses(lambda: tabular_regressor(columns=[]), "`columns`", "names of columns")
    check_refuses(lambda: tabular_regressor(columns={"pH": {"mean": 1.0}}), "`columns['pH']`", "mean, std")
    check_refuses(lambda: dataclasses.replace(builder, hidden_units=()), "`hidden_units`", "feature map")
    check_refuses(lambda: dataclasses.replace(builder, target_parts=["wieghts"]), "Did you mean 'weights'")
    check_refuses(lambda: builder.for_target(keras.Sequential([keras.Input((1,))])), "`TabularClassifier` built")


@row("builders.TabularClassifier")
def _(tabular_classifier):
    table = {"ward": ["A", "B", None, "A"] * 2, "note": ["no pain", "pain", "", "no"] * 2, "age": [*range(7), None]}
    options = dict(num_classes=2, hidden_units=[3], dropout=0.1, trainable=True, target_parts=["weights"], seed=3)
    builder = tabular_classifier(columns={"ward": None, "note": "text", "age": "number"}, **options)
    builder = builder.adapt(table, np.arange(8) % 2)
    contracts.check_builder_fields(builder)
    one = dataclasses.replace(builder, columns={"ward": builder.columns["ward"]})
    contracts.check_builder(one, one.inputs(table), np.arange(8) % 2, "ward", "scores")
    check_refuses(lambda: tabular_classifier(columns=["a"], num_classes=1), "`num_classes`", "at least 2")
    check_refuses(lambda: tabular_classifier(columns={"a": "numbr"}, num_classes=2), "Did you mean 'number'")
    check_refuses(lambda: builder.adapt(table, np.arange(8)), "Labels must be integers from 0 to 1")
    check_refuses(lambda: builder.adapt(table, scaler="target"), "needs a `target`")


@row("builders.TabularBuilder", example_in="builders.TabularClassifier")
def _(tabular_builder):
    check_refuses(lambda: tabular_builder(columns=["a"], hidden_units=()), "`hidden_units`", "feature map")
    check_refuses(lambda: tabular_builder(columns=["a"], max_tokens=0), "`max_tokens`")


@row("builders.Builder", example_in="builders.ImageClassifier")
def _(builder):
    check_refuses(lambda: builder.from_dict({"dropout": 0.1}), "no field 'dropout'")
    with pytest.raises(NotImplementedError):
        builder().build()


@row("builders.BackboneBuilder", example_in="builders.ImageClassifier")
def _(backbone_builder):
    check_refuses(lambda: backbone_builder(dropout=1.0), "`dropout`")
    with pytest.raises(NotImplementedError, match="_features"):
        backbone_builder().build()


@row("builders.ClassifierFields", example_in="builders.ImageClassifier")
def _(classifier_fields):
    check_refuses(lambda: classifier_fields(num_classes=1), "`num_classes`")
    assert classifier_fields(num_classes=2, label_smoothing=0.1).one_hot_labels


@row("builders.RegressorFields", example_in="builders.ImageRegressor")
def _(regressor_fields):
    check_refuses(lambda: regressor_fields(target_std=0.0), "`target_std`", "above 0")


@row("builders.ImageBuilder", example_in="builders.ImageClassifier")
def _(image_builder):
    check_refuses(lambda: image_builder(input_shape=(96, 96)), "`input_shape`")


@row("builders.classification_head")
def _(classification_head):
    scores = classification_head(keras.Input((2, 2, 4), dtype="bfloat16"), 3)
    assert (scores.shape, scores.dtype) == ((None, 3), "float32")


@row("builders.regression_head")
def _(regression_head):
    assert regression_head(keras.Input((2, 2, 4)), 2).shape == (None, 2)


def _texts():
    return np.array(["a good film", "a bad film", "good", "bad", "no film", "film", "good bad", "a"], object)


@row("builders.TextClassifier")
def _(text_classifier):
    options = {"vocabulary": ("film", "a", "good", "bad"), "sequence_length": 4, "dim": 4, "num_blocks": 1}
    builder = text_classifier(num_classes=2, backbone="cnn", backbone_options=options, hidden_units=[3], seed=1)
    contracts.check_builder(builder, _texts(), np.arange(8) % 2, "text", "scores")
    check_refuses(lambda: text_classifier(num_classes=1), "`num_classes`", "at least 2")
    check_refuses(lambda: text_classifier(num_classes=2, backbone="transfromer"), "Did you mean 'transformer'?")
    check_refuses(lambda: text_classifier(num_classes=2).build(), "`builder.adapt(texts).build()`")
    check_refuses(lambda: text_classifier(num_classes=2, backbone_options={"dimm": 3}), "Did you mean 'dim'?")


@row("builders.TextRegressor")
def _(text_regressor):
    builder = text_regressor(backbone_options={"dim": 4}, num_outputs=2, target_mean=1.0).adapt(_texts(), verbose=0)
    contracts.check_builder(builder, _texts(), np.ones((8, 2)), "text", "predictions")
    check_refuses(lambda: text_regressor(target_std=0.0), "`target_std`")


@row("builders.TextBuilder", example_in="builders.TextClassifier")
def _(text_builder):
    images_in = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    check_refuses(lambda: text_builder(backbone=images_in), "`backbone` must take strings", "float32")


@row("builders.TextEncoder")
def _(text_encoder):
    builder = text_encoder(architecture="cnn", causal=True, dim=4, pooling="max", dropout=0.2, seed=2)
    builder = builder.adapt(_texts(), verbose=0)
    contracts.check_builder_fields(builder)
    assert builder.build().output_shape == (None, 4)
    check_refuses(lambda: text_encoder(dim=6, num_heads=4), "`num_heads` must divide `dim`")
    check_refuses(lambda: text_encoder(vocabulary=["Good"]), "small letters", "'Good'")
    check_refuses(lambda: text_encoder().adapt([1, 2]), "sequence of strings", "1")
    check_refuses(lambda: text_encoder(architecture="mean", causal=True), "no order of words")


def several_tasks(cls, **fields):
    options = {"weights": None, "augmentation": None, "dropout": 0.1, "seed": 2, "trainable": True}
    trunk = tft.builders.ImageBuilder(backbone=backbone_file(), **options)
    digit = tft.ClassificationTask(num_classes=3, class_weight={1: 2.0}, weight=0.5)
    tags = tft.ClassificationTask(num_classes=2, multi_label=True)
    return cls(**{"trunk": trunk, "tasks": {"digit": digit, "tags": tags, "age": tft.RegressionTask()}, **fields})


@row("builders.MultiTask")
def _(multi_task):
    builder = several_tasks(multi_task)
    contracts.check_builder_fields(builder)
    model = builder.build()
    assert set(model.output_names) == {"digit", "tags", "age"} and {each.dtype for each in model.outputs} == {"float32"}
    y = {"digit": np.arange(8) % 4 - 1, "tags": np.eye(2)[np.arange(8) % 2], "age": np.full((8, 1), 2.0)}
    assert np.all(np.isfinite(model.fit(images(), y, verbose=0).history["loss"]))
    check_saves(model, images())
    check_refuses(lambda: multi_task(trunk=builder.trunk, tasks={}), "`tasks`", "dict")
    check_refuses(lambda: multi_task(trunk=tft.ImageClassifier(num_classes=3), tasks=builder.tasks), "ImageBuilder")
    check_refuses(lambda: multi_task(trunk={"builder": "ImageBilder"}, tasks=builder.tasks), "Did you mean")
    check_refuses(lambda: multi_task(trunk=builder.trunk, tasks={"my task": {"builder": "RegressionTask"}}), "'_'")


@row("builders.one_task")
def _(one_task):
    model = several_tasks(tft.MultiTask).build()
    check_refuses(lambda: one_task(model, "digits"), "Did you mean 'digit'?")
    check_refuses(lambda: one_task(one_task(model, "digit"), "digit"), "several outputs")
    # Adaptation and distillation work on it as on any classifier.
    digits = one_task(model, "digit")
    adapter = tft.DANN(*tft.backbones.split_at_backbone(digits), seed=0)
    adapter.compile("adam", digits.loss)
    y = np.arange(8) % 3
    pairs = tft.data.pair_domains((images(), y), images(), batch_size=8)
    assert np.isfinite(adapter.fit(pairs, verbose=0).history["loss"][0])
    student = tft.Distiller(one_task(model, "digit"), classifier(), verbose=False)
    student.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_layer("digit_logits").kernel.numpy()
    assert np.isfinite(student.fit(images(), y, verbose=0).history["loss"][0])
    assert not np.array_equal(model.get_layer("digit_logits").kernel.numpy(), before)


@row("builders.ClassificationTask")
def _(task):
    contracts.check_builder_fields(task(num_classes=3, class_weight={0: 2.0}, label_smoothing=0.1, weight=2.0))
    check_refuses(lambda: task(num_classes=3, class_weight={3: 1.0}), "classes [3]", "3")
    check_refuses(lambda: task(num_classes=3, weight=0.0), "`weight`", "above 0")


@row("builders.RegressionTask")
def _(task):
    contracts.check_builder_fields(task(num_outputs=2, target_mean=4.0, target_std=2.0, weight=0.5))
    with pytest.raises(NotImplementedError, match="MultiTask"):
        task().build()


@row("builders.Task", example_in="builders.ClassificationTask")
def _(task):
    with pytest.raises(NotImplementedError, match="`head`"):
        task().head(None, "digit", {})
