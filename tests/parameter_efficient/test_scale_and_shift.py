"""Scale and shift: where it stands, what trains, and that it folds into every layer that it may stand behind."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from few_parameter_toys import CONTINUE, X, Y, fit_and_tell, small_model, with_statistics

import tf_transfer as tft

HEAD = {"logits/kernel", "logits/bias"}


def draw_scales(model, seed=0):
    """Gives each scale and shift random values, and returns them by layer."""
    rng = np.random.default_rng(seed)
    found = {}
    for layer in model._flatten_layers():
        if layer.name.endswith("_scale_and_shift"):
            scale, shift = rng.uniform(0.5, 2.0, layer.bias.shape), rng.normal(size=layer.bias.shape)
            layer.set_weights([scale.reshape(layer.get_weights()[0].shape), shift])
            found[layer.name.removesuffix("_scale_and_shift")] = scale, shift
    return found


def test_a_new_model_with_equal_outputs_and_scales_behind_normalization_only():
    model = with_statistics(small_model())
    before = model.predict(X, verbose=0)
    scaled = tft.ScaleAndShift().apply(model, verbose=False)
    np.testing.assert_array_equal(scaled.predict(X, verbose=0), before)
    assert set(draw_scales(scaled)) == {"bn_0", "bn_1", "bn_2"}
    assert not {id(weight) for weight in model.weights} & {id(weight) for weight in scaled.weights}


def test_only_scales_and_head_move_and_the_count_is_right():
    method = tft.ScaleAndShift()
    scaled = method.apply(with_statistics(small_model()), verbose=False)
    assert method.mark(scaled).trainable == 2 * (8 + 16 + 16) + 51
    own = {f"bn_{i}_scale_and_shift/{part}" for i in range(3) for part in ("kernel", "bias")}
    assert fit_and_tell(scaled, 3) == own | HEAD


def test_a_dense_layer_is_scaled_before_its_activation():
    backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh", name="low")], name="b")
    scaled = tft.ScaleAndShift().apply(backbone, verbose=False)
    scale, shift = draw_scales(scaled)["low"]
    x = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")
    kernel, bias = backbone.get_weights()
    np.testing.assert_allclose(scaled(x), np.tanh(scale * (x @ kernel + bias) + shift), rtol=1e-5, atol=1e-6)


# Layers with all that folding may meet: strides, groups, missing biases, scales or offsets, activations.
LAYERS = {
    "dense": ((4,), keras.layers.Dense, {"units": 3, "activation": "gelu"}),
    "dense_without_bias": ((4,), keras.layers.Dense, {"units": 3, "use_bias": False}),
    "dense_on_maps": ((5, 5, 4), keras.layers.Dense, {"units": 3}),
    "conv1d": ((6, 4), keras.layers.Conv1D, {"filters": 3, "kernel_size": 2, "activation": "relu"}),
    "conv2d_grouped": ((5, 5, 4), keras.layers.Conv2D, {"filters": 6, "kernel_size": 3, "groups": 2, "strides": 2}),
    "conv3d": ((3, 3, 3, 2), keras.layers.Conv3D, {"filters": 3, "kernel_size": 2, "use_bias": False}),
    "depthwise": ((5, 5, 3), keras.layers.DepthwiseConv2D, {"kernel_size": 3, "depth_multiplier": 2}),
    "depthwise_1d": ((5, 3), keras.layers.DepthwiseConv1D, {"kernel_size": 3, "use_bias": False}),
    "separable": ((5, 5, 3), keras.layers.SeparableConv2D, {"filters": 4, "kernel_size": 3, "activation": "relu"}),
    "einsum": ((5, 4), keras.layers.EinsumDense, {"equation": "abc,cd->abd", "output_shape": (None, 3)}),
    "einsum_heads": (
        (5, 4),
        keras.layers.EinsumDense,
        {"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "de"},
    ),
    "batch_norm": ((5, 5, 3), keras.layers.BatchNormalization, {"scale": False}),
    "batch_norm_without_center": ((5, 3), keras.layers.BatchNormalization, {"center": False}),
    "layer_norm": ((5, 3), keras.layers.LayerNormalization, {"center": False, "scale": False}),
    "group_norm": ((5, 5, 4), keras.layers.GroupNormalization, {"groups": 2}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_folds_exactly(name):
    shape, kind, fields = LAYERS[name]
    backbone = keras.Sequential([keras.Input(shape), kind(**fields, name="it")])
    rng = np.random.default_rng(2)
    backbone.set_weights([rng.uniform(0.2, 1.5, weight.shape) for weight in backbone.get_weights()])
    method = tft.ScaleAndShift()
    scaled = method.apply(backbone, verbose=False)
    x = rng.normal(size=(3, *shape)).astype("float32")
    np.testing.assert_array_equal(scaled(x), backbone(x))
    draw_scales(scaled)
    merged = method.merge(scaled)
    np.testing.assert_allclose(merged(x), scaled(x), rtol=1e-4, atol=1e-5)
    assert not np.allclose(merged(x), backbone(x), atol=1e-2)
    assert [type(layer) for layer in merged.layers[1:]] == [kind]


@pytest.mark.parametrize(("policy", "tolerance"), [(None, 1e-5), ("mixed_bfloat16", 3e-2)])
def test_merged_after_training_it_has_the_weights_of_the_plain_model(policy, tolerance):
    method = tft.ScaleAndShift()
    scaled = method.apply(with_statistics(small_model(policy)), verbose=False)
    fit_and_tell(scaled, 3)
    draw_scales(scaled)
    merged = method.merge(scaled)
    np.testing.assert_allclose(merged.predict(X, verbose=0), scaled.predict(X, verbose=0), atol=tolerance)
    plain = small_model(policy)
    assert [(w.name, w.shape) for w in merged.weights] == [(w.name, w.shape) for w in plain.weights]
    assert fit_and_tell(merged) == HEAD


@pytest.mark.slow
def test_mobilenet_v2_folds():
    model = tft.ImageClassifier(
        num_classes=3, weights=None, input_shape=(32, 32, 3), backbone_options={"alpha": 0.35}, seed=1
    ).build()
    method = tft.ScaleAndShift()
    scaled = method.apply(model, verbose=False)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    count = sum(2 * layer.moving_mean.shape[0] for layer in norms)
    assert method.mark(scaled).trainable == count + 1280 * 3 + 3
    rng = np.random.default_rng(0)
    for layer in scaled._flatten_layers():
        if layer.name.endswith("_scale_and_shift"):
            layer.set_weights([rng.uniform(0.9, 1.1, w.shape) for w in layer.get_weights()])
    x = rng.uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    features = [each.get_layer("mobilenet_v2").predict(x, verbose=0) for each in (scaled, method.merge(scaled), model)]
    np.testing.assert_allclose(features[0], features[1], rtol=1e-4, atol=1e-5)
    assert not np.allclose(features[0], features[2], atol=1e-2)


def test_a_pattern_that_matches_nothing_lists_the_layers():
    with pytest.raises(ValueError, match=r"scaled: \['conv_0', 'bn_0', .*Did you mean 'bn_1'"):
        tft.ScaleAndShift(targets="bn1").apply(small_model())


def test_a_layer_that_is_called_twice_folds_once():
    inputs = keras.Input((4,))
    shared = keras.layers.Dense(4, "tanh", name="shared")
    backbone = keras.Model(inputs, shared(shared(inputs)))
    method = tft.ScaleAndShift()
    scaled = method.apply(backbone, verbose=False)
    draw_scales(scaled)
    x = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(method.merge(scaled)(x), scaled(x), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_in_a_fresh_process_outputs_are_equal_and_training_goes_on(tmp_path):
    method = tft.ScaleAndShift()
    scaled = method.apply(with_statistics(small_model()), verbose=False)
    fit_and_tell(scaled, 3)
    scaled.save(tmp_path / "scaled.keras")
    np.savez(tmp_path / "examples.npz", x=X, y=Y, scores=scaled.predict(X, verbose=0))
    arguments = [str(tmp_path / "scaled.keras"), str(tmp_path / "examples.npz"), repr(method.to_dict())]
    done = subprocess.run([sys.executable, "-c", CONTINUE, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == str(method.mark(scaled).trainable)
