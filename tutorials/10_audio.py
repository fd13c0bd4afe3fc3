# %% [markdown]
# # From one microphone to another: sounds
#
# Somebody labelled many recordings of four machines with a good microphone. You have a few of your own, over a
# telephone, and noisy. This tutorial
#
# 1. reads folders of recordings, of whatever rate and length,
# 2. trains a small network on the first, whose spectrogram is a part of the model,
# 3. carries it over to the second with five labels a class,
# 4. exports a model that takes waveforms.
#
# The sounds are made up here, so that it runs anywhere.

# %%
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy.io import wavfile

import tf_transfer as tft

workplace = Path(tempfile.mkdtemp())
RATE, SECONDS = 4000, 0.5

# %% [markdown]
# ## Folders of recordings
#
# A folder a class, WAV files in it. A tone that stays is a fan, one that rises a drill, one that falls a brake, one
# that wavers a saw.

# %%
MACHINES = {"brake": (-700, 0), "drill": (700, 0), "fan": (0, 0), "saw": (0, 60)}


def sound(slope, wavering, rng, rate, telephone):
    time = np.arange(int(rng.uniform(0.4, 0.7) * rate)) / rate
    start = rng.uniform(600, 1100)
    phase = start * time + slope * time**2 / 2 + wavering / 12 * np.cos(2 * np.pi * 12 * time) / (2 * np.pi)
    wave = rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * phase)
    if telephone:
        # Overtones by an overdriven amplifier, and hiss.
        wave = np.clip(3 * wave, -0.3, 0.3) + 0.08 * rng.normal(size=len(time))
    return wave + 0.003 * rng.normal(size=len(time))


def record(folder, num, seed, rate, telephone=False):
    rng = np.random.default_rng(seed)
    for name, (slope, wavering) in MACHINES.items():
        (folder / name).mkdir(parents=True)
        for index in range(num):
            wave = sound(slope, wavering, rng, rate, telephone)
            wavfile.write(folder / name / f"{index}.wav", rate, np.round(32767 * np.clip(wave, -1, 1)).astype(np.int16))


record(workplace / "good", 40, seed=0, rate=8000)
record(workplace / "telephone", 5, seed=1, rate=4000, telephone=True)
record(workplace / "telephone_test", 20, seed=2, rate=4000, telephone=True)

# %% [markdown]
# `AudioFolder` brings all to one rate and length and looks into every file first: a damaged one is named now, and not
# in the middle of an epoch.

# %%
good, few, test = (
    tft.data.AudioFolder(workplace / name, RATE, SECONDS) for name in ("good", "telephone", "telephone_test")
)
print(good, few, test, sep="\n")
(workplace / "good" / "fan" / "broken.wav").write_bytes((workplace / "good" / "fan" / "0.wav").read_bytes()[:500])
try:
    tft.data.AudioFolder(workplace / "good", RATE, SECONDS)
except ValueError as error:
    print(str(error).replace(str(workplace), "..."))

# %% [markdown]
# ## What the network sees
#
# A log-mel spectrogram: frequencies spaced as the ear hears them, against time, in decibels. It is made by Keras' own
# layers inside the model. Each example is brought to mean 0 and deviation 1, so loudness does not matter.

# %%
waves = good.examples(8)
pictures = tft.backbones.log_mel(waves, RATE, num_mel_bins=24, frame_seconds=0.032, step_seconds=0.016)
print(f"waveforms {waves.shape} become pictures {tuple(pictures.shape)}")
for name, picture in zip(good.class_names, pictures.numpy()[::2, :, :, 0], strict=True):
    loudest = picture[:, 4:20:3].argmax(axis=0).tolist()
    print(f"{name:6}: the loudest band along time is {loudest}")

# %% [markdown]
# ## Train on the source
#
# "small_conv" is a network of four convolutions that starts at random; here with three, smaller ones.
# `builder.augment` masks bands and stretches of time at random (SpecAugment). It works on the waveforms of the stream,
# so the model has no trace of it.

# %%
builder = tft.AudioClassifier(
    num_classes=4,
    class_names=good.class_names,
    sample_rate=RATE,
    seconds=SECONDS,
    num_mel_bins=24,
    frame_seconds=0.032,
    step_seconds=0.016,
    backbone_options={"filters": [8, 16, 32]},
    augmentation="light",
    learning_rate=1e-2,
    seed=0,
)
source = builder.build()
source.fit(builder.augment(good.dataset(16, shuffle=True, seed=0)), epochs=12, verbose=0)
_, on_good = source.evaluate(good.dataset(), verbose=0)
_, on_telephone = source.evaluate(test.dataset(), verbose=0)
print(f"accuracy on the good microphone {on_good:.3f}, over the telephone {on_telephone:.3f}")

# %% [markdown]
# ## Carry it over
#
# What lies under the head is the encoder, spectrogram and all. Saved, it is a backbone like any other. With so few
# labels a new head on its frozen features is enough, so `fine_tune` makes its first phase only.

# %%
tft.backbones.find_backbone(source).save(workplace / "encoder.keras")
target = tft.AudioClassifier(
    num_classes=4,
    class_names=good.class_names,
    sample_rate=RATE,
    seconds=SECONDS,
    backbone=f"file:{workplace / 'encoder.keras'}",
    augmentation="light",
    seed=0,
).build()
options = {"learning_rate": 1e-2, "features_cache": workplace / "cache", "seed": 0, "verbose": 0}
tft.fine_tune(target, few, freeze_epochs=30, epochs=0, **options)
_, transferred = target.evaluate(test.dataset(), verbose=0)

scratch = builder.build()
scratch.fit(builder.augment(few.dataset(16, shuffle=True, seed=0)), epochs=30, verbose=0)
_, alone = scratch.evaluate(test.dataset(), verbose=0)
print(f"five labels a class: from scratch {alone:.3f}, transferred {transferred:.3f}")

# %% [markdown]
# ## Serve it
#
# The export takes waveforms; the spectrogram is inside. It was compared with the model before anybody can see it.

# %%
path = tft.export(target, str(workplace / "machines"), examples=test.examples(4))
served = tf.saved_model.load(path).signatures["serving_default"]
scores = served(waveform=tf.constant(test.examples(4)))["scores"].numpy()
print({name: round(float(score), 3) for name, score in zip(good.class_names, scores[0], strict=True)})

# %% [markdown]
# Other networks go where "small_conv" went: a network of images, which sees the spectrogram as a grey picture
# (`backbone="mobilenet_v2", weights="imagenet"`), or a Hub module that takes waveforms
# (`backbone="hub:...", backbone_options={"output_key": 1}` for YAMNet). [docs/audio.md](../docs/audio.md) has figures.

# %%
assert transferred > max(on_telephone, alone) - 0.02, "the transfer did not help"
np.testing.assert_allclose(scores, target.predict(test.examples(4), verbose=0), atol=1e-4)
