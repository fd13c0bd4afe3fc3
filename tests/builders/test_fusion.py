"""`FeatureFusion`: what each way of fusing computes, what is shared, and what trains in which branch."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import colour_images, small_backbone

import tf_transfer as tft
from tf_transfer.backbones import block_layers, find_backbone, split_at_backbone
from tf_transfer.builders import fuse

from contract_toys import backbone_file

SOUND = {"sample_rate": 4000, "seconds": 0.25, "num_mel_bins": 16, "backbone_options": {"filters": [8, 16]}}


def image_branch(seed=0, size=16, **options):
    return tft.builders.ImageBuilder(backbone=small_backbone(seed, f"small_{seed}", size), augmentation=None, **options)


def fusion(**options):
    branches = {"one": image_branch(0), "other": image_branch(7)}
    return tft.FeatureFusion(**{"num_classes": 3, "branches": branches, "seed": 0, **options})


def encoder(name, units, dim=4):
    kernel = keras.initializers.GlorotUniform(seed=units)
    return keras.Sequential([keras.Input((dim,), name=name), keras.layers.Dense(units, kernel_initializer=kernel)])


# Ways of fusing -------------------------------------------------------------------------------------


def fused(way, features, sizes, units=5, change=None):
    inputs = keras.Input((sum(sizes),))
    model = keras.Model(inputs, fuse(inputs, sizes, way, units, seed=1))
    if change:
        change(model)
    return model(features).numpy(), model


def features(sizes, num=6):
    return np.random.default_rng(0).normal(size=(num, sum(sizes))).astype("float32")


def projections(model, x, sizes):
    parts, hidden = np.split(x, np.cumsum(sizes)[:-1], axis=1), []
    for i, part in enumerate(parts, start=1):
        standard = (part - part.mean(1, keepdims=True)) / np.sqrt(part.var(1, keepdims=True) + 1e-3)
        kernel, bias = model.get_layer(f"project_{i}").get_weights()
        hidden.append(np.tanh(standard @ kernel + bias))
    return np.stack(hidden, axis=1)


@pytest.mark.parametrize("way", ["gated", "attention"])
def test_all_branches_count_alike_at_first(way):
    sizes = (3, 4, 2)
    x = features(sizes)
    got, model = fused(way, x, sizes)
    np.testing.assert_allclose(got, projections(model, x, sizes).mean(axis=1), atol=1e-5)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_gates_weigh_each_unit_and_attention_each_branch():
    sizes, rng = (3, 4), np.random.default_rng(1)
    x = features(sizes)
    kernel = rng.normal(size=(10, 10)).astype("float32")
    got, model = fused("gated", x, sizes, change=lambda m: m.get_layer("gates").set_weights([kernel, np.zeros(10)]))
    hidden = projections(model, x, sizes)
    weights = softmax((hidden.reshape(6, -1) @ kernel).reshape(6, 2, 5))
    np.testing.assert_allclose(got, (weights * hidden).sum(axis=1), atol=1e-5)
    kernel = rng.normal(size=(5, 1)).astype("float32")
    change = lambda m: m.get_layer("attention").set_weights([kernel, np.zeros(1)])  # noqa: E731
    got, model = fused("attention", x, sizes, change=change)
    hidden = projections(model, x, sizes)
    np.testing.assert_allclose(got, (softmax(hidden @ kernel) * hidden).sum(axis=1), atol=1e-5)


def test_a_residual_starts_as_the_first_branch_and_adds_what_the_others_map_to():
    sizes = (3, 4, 2)
    x = features(sizes)
    got, model = fused("residual", x, sizes)
    np.testing.assert_array_equal(got, x[:, :3])
    kernel = np.random.default_rng(1).normal(size=(5, 3)).astype("float32")
    model.get_layer("residual").set_weights([kernel, np.ones(3)])
    first, bias = model.get_layer("residual_hidden").get_weights()
    np.testing.assert_allclose(model(x), x[:, :3] + np.maximum(x[:, 3:] @ first + bias, 0) @ kernel + 1, atol=1e-5)


# Branches -------------------------------------------------------------------------------------------


def test_features_are_those_of_the_branches_side_by_side():
    x, _ = colour_images(6)
    backbones = [small_backbone(0, "a"), small_backbone(7, "b")]
    branches = {"one": tft.builders.ImageBuilder(backbone=backbones[0], augmentation=None), "other": backbones[1]}
    model = tft.FeatureFusion(num_classes=3, branches=branches).build()
    expected = np.concatenate([each.predict(x, verbose=0) for each in backbones], axis=1)
    encoder, head = split_at_backbone(model)
    np.testing.assert_allclose(encoder.predict(x, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(head.predict(expected, verbose=0), model.predict(x, verbose=0), atol=1e-6)


def test_one_image_is_scaled_to_each_backbone():
    branches = {"fine": image_branch(0, size=32), "coarse": image_branch(7, size=16)}
    model = tft.FeatureFusion(num_classes=3, branches=branches).build()
    assert model.input_shape == (None, 32, 32, 3)
    x, _ = colour_images(4, size=32)
    coarse = small_backbone(7).predict(keras.layers.Resizing(16, 16)(x), verbose=0)
    np.testing.assert_allclose(split_at_backbone(model)[0].predict(x, verbose=0)[:, 16:], coarse, atol=1e-4)


def test_inputs_go_by_name_and_can_be_renamed():
    branches = {"front": image_branch(0), "side": image_branch(7), "voice": tft.builders.AudioBuilder(**SOUND)}
    builder = tft.FeatureFusion(num_classes=3, branches=branches, inputs={"side": "profile"})
    model = builder.build()
    assert {name: tuple(each.shape[1:]) for name, each in model.input.items()} == {
        "image": (16, 16, 3),
        "profile": (16, 16, 3),
        "waveform": (1000,),
    }
    x = {name: np.random.default_rng(0).normal(size=(4, *each.shape[1:])) for name, each in model.input.items()}
    scores = model.predict(x, verbose=0)
    assert scores.shape == (4, 3)
    backbone, changed = split_at_backbone(model)[0], {**x, "profile": x["profile"][::-1]}
    one, other = backbone.predict(x, verbose=0), backbone.predict(changed, verbose=0)
    moved = np.abs(one - other).max(axis=0) > 0
    assert not moved[:16].any() and moved[16:32].any() and not moved[32:].any()


def test_each_input_is_augmented_by_its_branch():
    flipping = tft.builders.ImageBuilder(backbone=small_backbone(0, "a"), augmentation="flip")
    branches = {"front": image_branch(0), "side": flipping, "voice": tft.builders.AudioBuilder(**SOUND)}
    builder = tft.FeatureFusion(num_classes=3, branches=branches, inputs={"side": "profile"}, seed=0)
    image = colour_images(16)[0]
    x = {"image": image, "profile": image.copy(), "waveform": np.random.default_rng(0).normal(size=(16, 1000))}
    ((changed, _),) = builder.augment(tft.data.as_dataset((x, np.arange(16) % 3), batch_size=16))
    np.testing.assert_array_equal(changed["image"], image)
    assert {"image", "profile", "waveform"} == set(changed)
    for before, after in zip(image, changed["profile"].numpy(), strict=True):
        assert np.array_equal(after, before) or np.array_equal(after, before[:, ::-1])
    assert not np.array_equal(changed["profile"], image)
    assert not np.allclose(changed["waveform"], x["waveform"], atol=0.1)


WAYS = ["concatenate", *(pytest.param(way, marks=pytest.mark.slow) for way in ("gated", "attention", "residual"))]


@pytest.mark.parametrize("way", WAYS)
def test_it_learns_what_needs_both_branches(way):
    """The class is whether two numbers, which different branches see, have the same sign."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400, 4)).astype("float32")
    y = (a[:, 0] * b[:, 0] > 0).astype(int)
    branches = {"first": encoder("a", 8), "second": encoder("b", 8)}
    options = {"hidden_units": [32], "dropout": 0.0, "learning_rate": 2e-2, "fusion_units": 16, "seed": 0}
    model = tft.FeatureFusion(num_classes=2, branches=branches, fusion=way, trainable=True, **options).build()
    model.fit({"a": a, "b": b}, y, epochs=30, batch_size=50, verbose=0)
    assert model.evaluate({"a": a, "b": b}, y, verbose=0)[1] > 0.85


# What trains ----------------------------------------------------------------------------------------


def trained_blocks(model):
    return [name for name, layers in block_layers(model).items() if any(each.trainable_variables for each in layers)]


def test_blocks_have_their_branch_in_front():
    model = fusion().build()
    assert tft.blocks(model) == [f"{branch}/conv_{i}" for branch in ("one", "other") for i in range(3)]
    assert find_backbone(model).name == "branches"


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        (False, []),
        (1, ["one/conv_2", "other/conv_2"]),
        (0.5, ["one/conv_1", "one/conv_2", "other/conv_1", "other/conv_2"]),
        ("one/conv_2", ["one/conv_2"]),
        ("re:other/conv_[01]", ["other/conv_0", "other/conv_1"]),
        (["one/conv_0", "other/conv_2"], ["one/conv_0", "other/conv_2"]),
        ({"other": True}, ["other/conv_0", "other/conv_1", "other/conv_2"]),
        ({"one": "conv_1", "other": 1}, ["one/conv_1", "one/conv_2", "other/conv_2"]),
    ],
)
def test_what_trains_is_said_by_branch(trainable, expected):
    model = fusion().build()
    tft.set_trainable(model, trainable, verbose=False)
    assert trained_blocks(model) == expected
    assert trained_blocks(fusion(trainable=trainable).build()) == expected


def test_builders_say_what_trains_in_their_branch():
    branches = {"one": image_branch(0, trainable="conv_1"), "other": image_branch(7)}
    builder = fusion(branches=branches)
    assert builder.trainable == {"one": "conv_1", "other": False}
    model = builder.build()
    assert trained_blocks(model) == ["one/conv_1", "one/conv_2"]
    before = {v.path: v.numpy() for v in find_backbone(model).variables}
    model.fit(*colour_images(9), verbose=0)
    assert not [
        v.path
        for v in find_backbone(model).variables
        if "other" in v.path.split("/")[:2] and (np.abs(v.numpy() - before[v.path]).max() > 0)
    ]


def test_wrong_choices_are_explained():
    with pytest.raises(ValueError, match=r"`branch` must be one of \['one', 'other'\]. .* Did you mean 'other'"):
        tft.set_trainable(fusion().build(), {"othr": True}, verbose=False)
    image = tft.ImageClassifier(num_classes=3, backbone=small_backbone()).build()
    with pytest.raises(ValueError, match=r"has the branches \[\]; its blocks are"):
        tft.set_trainable(image, {"one": True}, verbose=False)
    with pytest.raises(ValueError, match="has no field 'othr'"):
        fusion(trainable={"othr": True})
    with pytest.raises(ValueError, match="is for all branches"):
        fusion(trainable={"other": tft.LoRA(2)})
    with pytest.raises(ValueError, match="`dropout` is a field of the whole"):
        fusion(branches={"one": image_branch(), "other": image_branch(dropout=0.5)})
    with pytest.raises(ValueError, match="without a head of its own"):
        fusion(branches={"one": image_branch(), "other": tft.ImageClassifier(num_classes=2)})
    with pytest.raises(ValueError, match="Rename that of one"):
        fusion(branches={"one": encoder("x", 3), "other": encoder("x", 3, dim=5)}).build()


@pytest.mark.slow
def test_two_phases_of_fine_tuning(tmp_path):
    branches = {"fixed": image_branch(0), "learning": image_branch(7, trainable=1)}
    model = fusion(branches=branches, fusion="gated", fusion_units=8).build()
    x, y = colour_images(18)
    options = {"freeze_epochs": 2, "epochs": 1, "features_cache": tmp_path / "cache", "verbose": 0, "seed": 0}
    history = tft.fine_tune(model, (x, y), (x, y), **options)
    head, tuned = history.phases
    assert head.cached
    backbone = find_backbone(model).count_params()
    assert head.trainable == model.count_params() - backbone, "gates and head train in the first phase"
    assert tuned.trainable > head.trainable
    assert trained_blocks(model) == ["learning/conv_2"]


@pytest.mark.slow
def test_adaptation_and_distillation_take_it(tmp_path):
    x, y = colour_images(24)
    teacher = fusion(fusion="gated").build()
    student = tft.Distiller(fusion(fusion="residual").build(), teacher)
    student.compile("adam", "sparse_categorical_crossentropy")
    assert np.isfinite(student.fit(x, y, epochs=1, verbose=0).history["loss"]).all()
    model = tft.DANN(*split_at_backbone(fusion(fusion="attention", trainable=True).build()), seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    pairs = tft.data.pair_domains((x, y), x[::-1].copy(), batch_size=8, seed=0)
    assert np.isfinite(model.fit(pairs, epochs=1, verbose=0).history["domain_loss"]).all()
    lora = fusion(trainable=tft.LoRA(2)).build()
    lora.fit(x, y, verbose=0)
    assert sum("lora" in v.path for v in lora.trainable_variables) == 12


@pytest.mark.slow
def test_texts_and_columns_of_a_table_are_branches(tmp_path):
    texts = np.array(["a good film", "a bad film", "good", "bad"] * 4, object)
    table = {"age": np.arange(16.0), "kind": np.array(["a", "b"] * 8, object)}
    words = tft.builders.TextBuilder(backbone_options={"dim": 8}).adapt(texts, verbose=0)
    facts = tft.builders.TabularBuilder(columns=["age", "kind"]).adapt(table)
    builder = tft.FeatureFusion(num_classes=2, branches={"words": words, "facts": facts}, fusion="gated", seed=0)
    assert tft.FeatureFusion.from_yaml(builder.to_yaml()) == builder
    x, model = {"text": texts, **facts.inputs(table)}, builder.build()
    options = {"freeze_epochs": 1, "epochs": 1, "features_cache": tmp_path / "cache", "verbose": 0}
    phases = tft.fine_tune(model, (x, np.array([1, 0] * 8)), (x, np.array([1, 0] * 8)), **options).phases
    assert phases[0].cached and phases[1].trainable > phases[0].trainable
    path = tft.export(model, str(tmp_path / "fusion"), examples=x)
    served = tf.saved_model.load(path).signatures["serving_default"]
    given = {name: tf.constant(values) for name, values in x.items()}
    np.testing.assert_allclose(served(**given)["scores"], model.predict(given, verbose=0), atol=1e-5)


@pytest.mark.slow
def test_it_is_exported_and_comes_back(tmp_path):
    one = tft.builders.ImageBuilder(backbone=backbone_file(), weights=None, augmentation=None)
    branches = {"one": one, "other": dataclasses.replace(one, trainable=1)}
    x, y = colour_images(12)
    model = fusion(fusion="gated", branches=branches).build()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "fusion.keras")
    again = keras.models.load_model(tmp_path / "fusion.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    path = tft.export(model, str(tmp_path / "fusion"), examples=x)
    served = tf.saved_model.load(path).signatures["serving_default"](image=tf.constant(x))
    np.testing.assert_allclose(served["scores"], model.predict(x, verbose=0), atol=1e-5)
