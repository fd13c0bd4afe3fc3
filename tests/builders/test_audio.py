"""`AudioClassifier`: learns sounds, on each kind of backbone, and what works on models of images works on it."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.io import wavfile
from small_models import small_backbone

import tf_transfer as tft
from tf_transfer.backbones import find_backbone, split_at_backbone

from contract_toys import audio_module

RATE = 4000
SMALL = {"sample_rate": RATE, "seconds": 0.5, "num_mel_bins": 16, "backbone_options": {"filters": [8, 16]}, "seed": 0}
SMALL |= {"frame_seconds": 0.032, "step_seconds": 0.016}


def sounds(num=24, seed=0):
    """Returns noisy tones that stay, rise or fall, and which they do."""
    rng, time = np.random.default_rng(seed), np.arange(2000) / RATE
    y = np.arange(num) % 3
    start = rng.uniform(500, 900, num)
    slope = np.array([0.0, 500.0, -400.0])[y]
    phase = 2 * np.pi * (start[:, None] * time + slope[:, None] * time**2)
    x = rng.uniform(0.05, 0.5, (num, 1)) * np.sin(phase) + 0.01 * rng.normal(size=(num, 2000))
    return x.astype("float32"), y


def classifier(**options):
    return tft.AudioClassifier(num_classes=3, **{**SMALL, **options})


@pytest.fixture(scope="module")
def trained():
    model = classifier(learning_rate=1e-2, dropout=0.0).build()
    model.fit(*sounds(96), batch_size=16, epochs=6, verbose=0)
    return model


def test_it_learns_sounds(trained):
    assert trained.evaluate(*sounds(48, seed=1), verbose=0)[1] > 0.9


def test_loudness_does_not_matter_and_neighbors_do_not(trained):
    x, _ = sounds(9, seed=2)
    scores = trained.predict(x, verbose=0)
    np.testing.assert_allclose(trained.predict(x[3:4], verbose=0), scores[3:4], atol=1e-4)


def test_low_precision_does_not_reach_the_waveform(trained):
    x, _ = sounds(9, seed=2)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = classifier(learning_rate=1e-2).build()
    finally:
        keras.config.set_dtype_policy("float32")
    model.set_weights(trained.get_weights())
    logits = [keras.Model(each.input, each.get_layer("logits").output)(x) for each in (trained, model)]
    # 8 bits a sample would be noise at -48 dB, louder than half of what these sounds have.
    np.testing.assert_allclose(*logits, atol=0.05 * np.abs(logits[0]).max())


@pytest.mark.slow
def test_fine_tuning_takes_a_folder_of_recordings(tmp_path):
    x, y = sounds()
    for index, (wave, label) in enumerate(zip(x, y, strict=True)):
        (tmp_path / "sounds" / "abc"[label]).mkdir(parents=True, exist_ok=True)
        wavfile.write(tmp_path / "sounds" / "abc"[label] / f"{index}.wav", RATE, wave)
    recordings = tft.data.AudioFolder(tmp_path / "sounds", RATE, 0.5)
    model = classifier(trainable=False).build()
    options = {"features_cache": tmp_path / "cache", "verbose": 0, "seed": 0}
    history = tft.fine_tune(model, recordings, recordings, freeze_epochs=2, epochs=1, **options)
    assert [(phase.name, phase.cached) for phase in history.phases] == [("head", True), ("fine-tuning", False)]
    assert np.isfinite(history.history["loss"]).all()


def test_blocks_freeze_and_thaw(trained):
    assert tft.blocks(trained) == ["conv_1", "conv_2"]
    copy = classifier().build()
    assert find_backbone(copy).input_shape == (None, 2000)
    head = copy.get_layer("logits").count_params()
    assert tft.set_trainable(copy, False, verbose=False).trainable == head
    assert tft.set_trainable(copy, "conv_2", verbose=False).trainable == head + 8 * 16 * 9 + 32


def test_a_backbone_is_carried_over_by_model_and_by_file(trained, tmp_path):
    x, _ = sounds(4)
    features = find_backbone(trained).predict(x, verbose=0)
    trained.save(tmp_path / "source.keras")
    name = find_backbone(trained).name
    by_file = {"backbone": f"file:{tmp_path / 'source.keras'}", "backbone_options": {"output_layer": name}}
    spectrograms = {"backbone": find_backbone(find_backbone(trained))}
    for options in ({"backbone": find_backbone(trained)}, by_file, spectrograms):
        builder = tft.AudioClassifier(num_classes=5, **{**SMALL, "backbone_options": {}, **options})
        assert builder.trainable is False
        model = builder.build()
        np.testing.assert_allclose(split_at_backbone(model)[0].predict(x, verbose=0), features, atol=1e-5)
    with pytest.raises(ValueError, match=r"one input, waveforms of shape \(4000,\).*Received: \[\(2000,\)\]"):
        tft.AudioClassifier(num_classes=5, backbone=find_backbone(trained), sample_rate=RATE, seconds=1.0).build()


@pytest.mark.slow
def test_networks_of_images_see_a_grey_picture():
    options = {"backbone": "mobilenet_v2", "backbone_options": {"alpha": 0.35}, "num_mel_bins": 32}
    model = tft.AudioClassifier(num_classes=3, **{**SMALL, **options}).build()
    backbone = find_backbone(model)
    assert len(tft.blocks(model)) > 10
    pictures = keras.Model(backbone.input, backbone.get_layer("as_image").output)(sounds(8)[0]).numpy()
    assert pictures.shape == (8, 32, 32, 1)
    assert abs(pictures.mean() - 127.5) < 1
    assert ((pictures > 0) & (pictures < 255)).mean() > 0.9


def test_modules_take_waveforms():
    builder = tft.AudioClassifier(
        num_classes=3,
        backbone=f"hub:{audio_module()}",
        backbone_options={"output_key": 1},
        sample_rate=RATE,
        seconds=0.5,
    )
    model = builder.build()
    assert split_at_backbone(model)[0].output_shape == (None, 3)
    model.fit(*sounds(), epochs=1, verbose=0)


def test_a_module_that_lists_no_variables_is_a_backbone_too(tmp_path):
    module = tf.Module()
    module.__call__ = tf.function(lambda wave: tf.stack([tf.reduce_max(wave)] * 2), [tf.TensorSpec((None,))])
    tf.saved_model.save(module, str(tmp_path / "module"))
    model = tft.AudioClassifier(
        num_classes=3, backbone=f"hub:{tmp_path / 'module'}", sample_rate=RATE, seconds=0.5
    ).build()
    assert find_backbone(model).output_shape == (None, 2)
    assert len(model.trainable_weights) == 2
    options = {"freeze_epochs": 1, "epochs": 0, "verbose": 0, "features_cache": tmp_path / "cache"}
    (phase,) = tft.fine_tune(model, sounds(), sounds(), **options).phases
    assert phase.cached


def test_the_model_has_no_augmentation_and_the_builder_has(trained):
    assert not [layer for layer in trained._flatten_layers() if "Augment" in type(layer).__name__]
    x, y = sounds(8)
    batches = tft.data.as_dataset((x, y), batch_size=8)
    builder = classifier()
    ((changed, _),) = builder.augment(batches)
    assert np.abs(changed - x).max() > 0.01
    ((same, _),) = dataclasses.replace(builder, augmentation=None).augment(batches)
    np.testing.assert_array_equal(same, x)


# What works on models of images -----------------------------------------------------------------


@pytest.mark.slow
def test_lora_trains_the_convolutions():
    model = classifier(trainable=tft.LoRA(2)).build()
    names = {variable.path.split("/")[-1] for variable in model.trainable_variables}
    assert any("lora" in name for name in names)
    model.fit(*sounds(), epochs=1, verbose=0)


@pytest.mark.slow
def test_a_domain_adversarial_step(trained):
    x, y = sounds()
    encoder, head = split_at_backbone(classifier().build())
    model = tft.DANN(encoder, head, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    pairs = tft.data.pair_domains((x, y), x[::-1].copy(), batch_size=8, seed=0)
    history = model.fit(pairs, epochs=1, verbose=0).history
    assert np.isfinite(history["domain_loss"]).all()
    assert model.deployable().predict(x, verbose=0).shape == (24, 3)


@pytest.mark.slow
def test_a_distillation_step(trained):
    x, y = sounds()
    student = tft.Distiller(classifier().build(), trained)
    student.compile("adam", "sparse_categorical_crossentropy")
    assert np.isfinite(student.fit(x, y, epochs=1, verbose=0).history["knowledge_distillation_loss"]).all()


def test_batch_statistics_follow_another_domain():
    spectrogram = keras.Input((16, 32, 1))
    inner = small_backbone()
    x = keras.layers.Concatenate()([spectrogram] * 3)
    resized = keras.layers.Resizing(16, 16)(x)
    model = classifier(backbone=keras.Model(spectrogram, inner(resized)), backbone_options={}).build()
    before = [v.numpy() for v in model.non_trainable_variables if "moving_mean" in v.path]
    adapted = tft.AdaBN(model)
    adapted.compile(loss="sparse_categorical_crossentropy")
    adapted.fit(sounds()[0], verbose=0)
    after = [v.numpy() for v in adapted.deployable().non_trainable_variables if "moving_mean" in v.path]
    assert before and all(np.abs(one - other).max() > 0 for one, other in zip(before, after, strict=True))


@pytest.mark.slow
def test_it_is_exported(trained, tmp_path):
    path = tft.export(trained, str(tmp_path / "sounds"), examples=sounds(4)[0])
    x, _ = sounds(4)
    served = tf.saved_model.load(path).signatures["serving_default"]
    (name,) = served.structured_input_signature[1]
    assert name == "waveform"
    scores = served(waveform=tf.constant(x))["scores"]
    np.testing.assert_allclose(scores, trained.predict(x, verbose=0), atol=1e-5)
