"""`HubAudioLayer`: modules of one waveform or of batches, one output or several, with frames or without."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.layers import HubAudioLayer, load_model

from contract_toys import audio_module


def waves():
    return np.random.default_rng(0).normal(size=(5, 64)).astype("float32")


def by_hand(x, kernel):
    frames = np.stack([x[:, i : i + 16] for i in range(0, 49, 8)], axis=1)
    return np.maximum(frames @ kernel, 0).mean(axis=1)


def saved(call, spec, folder):
    module = tf.Module()
    module.__call__ = tf.function(call, input_signature=[spec])
    tf.saved_model.save(module, str(folder))
    return str(folder)


def test_a_module_of_one_waveform_takes_a_batch_and_averages_its_frames():
    layer = HubAudioLayer(audio_module(), output_key=1, trainable=True)
    model = keras.Sequential([keras.Input((64,)), layer])
    assert model.output_shape == (None, 3)
    np.testing.assert_allclose(model(waves()), by_hand(waves(), layer.weights[0].numpy()), rtol=1e-5)
    scalar = HubAudioLayer(audio_module(), output_key=0)
    np.testing.assert_allclose(scalar(waves()), waves().max(axis=1))


def test_it_trains_and_comes_back_from_a_file(tmp_path):
    layer = HubAudioLayer(audio_module(), output_key=1, trainable=True)
    model = keras.Sequential([keras.Input((64,)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = layer.weights[0].numpy()
    model.fit(waves(), np.zeros((5, 3)), verbose=0)
    assert not np.allclose(layer.weights[0].numpy(), before)
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(waves(), verbose=0), model.predict(waves(), verbose=0), rtol=1e-6)


@pytest.mark.parametrize("frames", [False, True])
def test_a_module_of_batches_in_another_precision(tmp_path, frames):
    def call(x):
        features = tf.reshape(x, [-1, 8, 8])
        return {"features": features if frames else features[:, 0], "other": x}

    folder = saved(call, tf.TensorSpec((None, 64), tf.float64), tmp_path / "module")
    got = HubAudioLayer(folder, output_key="features")(waves())
    expected = waves().reshape(5, 8, 8)
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, expected.mean(axis=1) if frames else expected[:, 0], rtol=1e-5)


def test_what_does_not_fit_is_refused(tmp_path):
    images = saved(lambda x: x, tf.TensorSpec((None, 4, 4, 3)), tmp_path / "images")
    with pytest.raises(ValueError, match="takes waveforms, floats of shape"):
        HubAudioLayer(images)
    words = saved(lambda x: x, tf.TensorSpec((None,), tf.string), tmp_path / "words")
    with pytest.raises(ValueError, match="takes waveforms, floats of shape"):
        HubAudioLayer(words)
    one = saved(lambda x: x[:, None], tf.TensorSpec((None,)), tmp_path / "one")
    with pytest.raises(ValueError, match="returns one"):
        HubAudioLayer(one, output_key=0)(waves())
