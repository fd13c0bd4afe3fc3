"""A model cut behind its backbone gives the same in two steps, and shares its weights."""

import keras
import numpy as np
import pytest
from small_models import colour_images, small_backbone

import tf_transfer as tft
from tf_transfer.backbones import split_at_backbone


def functional():
    return tft.ImageClassifier(num_classes=3, backbone=small_backbone(), hidden_units=(5,)).build()


def sequential():
    return keras.Sequential(
        [keras.Input((16, 16, 3)), small_backbone(), keras.layers.Dropout(0.5), keras.layers.Dense(3)]
    )


@pytest.mark.parametrize("make", [functional, sequential])
def test_two_parts_equal_the_whole(make):
    model = make()
    # The builder's logits start at zero, which would make any features equal.
    model.set_weights(
        [np.random.default_rng(i).normal(0.2, 0.3, w.shape) ** 2 for i, w in enumerate(model.get_weights())]
    )
    encoder, head = split_at_backbone(model)
    x, _ = colour_images(6)
    features = encoder.predict(x, verbose=0)
    assert features.shape == (6, 16)
    whole = model.predict(x, verbose=0)
    assert whole.std() > 1e-3
    np.testing.assert_allclose(head.predict(features, verbose=0), whole, rtol=1e-5, atol=1e-6)


def test_training_the_head_trains_the_model():
    model = functional()
    _, head = split_at_backbone(model)
    head.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_layer("logits").bias.numpy()
    head.fit(np.ones((4, 16)), np.zeros(4), verbose=0)
    assert not np.array_equal(before, model.get_layer("logits").bias.numpy())


def test_a_shortcut_around_the_backbone_is_refused():
    image, extra = keras.Input((16, 16, 3)), keras.Input((2,))
    joined = keras.layers.Concatenate()([small_backbone()(image), extra])
    model = keras.Model([image, extra], keras.layers.Dense(2)(joined))
    with pytest.raises(ValueError, match="depend on more than the features of its backbone 'small'"):
        split_at_backbone(model)


def test_no_backbone_is_refused():
    with pytest.raises(ValueError, match="no backbone nested"):
        split_at_backbone(small_backbone())
