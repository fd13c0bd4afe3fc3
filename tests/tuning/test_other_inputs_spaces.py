"""Searches over what is no image: the default spaces, and trials on columns with gaps, on strings and waveforms."""

import dataclasses

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft


@pytest.mark.slow
def test_the_default_space_of_a_table_runs():
    rng = np.random.default_rng(0)
    table = {"age": np.where(np.arange(24) % 5, rng.normal(50, 9, 24), np.nan), "ward": ["A", "B", None] * 8}
    y = np.arange(24) % 3
    builder = tft.TabularClassifier(columns=list(table), num_classes=3, seed=0).adapt(table, y)
    made = tft.tuning.TransferHyperModel(builder, features_cache=False, freeze_epochs=0, epochs=8, seed=0)
    hp = keras_tuner.HyperParameters()
    model = made.build(hp)
    assert set(hp.values) == {"learning_rate", "dropout", "l2", "hidden_units", "fine_tuning_rate"}
    data = builder.inputs(table), y
    history = made.fit(hp, model, data, data).history
    assert history["val_loss"][-1] < history["val_loss"][0]


def test_texts_and_recordings_have_the_rates_of_what_starts_random_or_was_pretrained(tmp_path):
    text = tft.TextClassifier(num_classes=2)
    sound = tft.AudioClassifier(num_classes=2, sample_rate=4000, seconds=0.25)
    for builder in (text, sound):
        space = tft.tuning.default_space(builder)
        assert list(space) == ["learning_rate", "dropout", "hidden_units", "l2", "fine_tuning_rate"]
        assert space["fine_tuning_rate"].default == 3e-3
    encoder = tft.TextEncoder(dim=4, vocabulary=("good", "bad"), sequence_length=4).build()
    tuned = tft.tuning.default_space(dataclasses.replace(text, backbone=encoder, trainable=False))
    assert tuned["fine_tuning_rate"].default == 3e-5


@pytest.mark.slow
def test_a_search_over_texts_finds_what_separates_them(tmp_path):
    texts, labels = np.array(["a good film", "a bad film"] * 10, object), np.array([1, 0] * 10)
    builder = tft.TextClassifier(num_classes=2, seed=0).adapt(texts, verbose=0)
    found = tft.tuning.search(
        builder, {"learning_rate": tft.tuning.Choice([1e-6, 0.1])}, train=(texts, labels), validation=(texts, labels),
        tuner="grid", objective="val_loss", directory=tmp_path, project_name="texts", seed=0, freeze_epochs=5, epochs=0,
        verbose=0,
    )  # fmt: skip
    assert found.best_values == {"learning_rate": 0.1}
    assert found.best_model.predict(tf.constant(["good", "bad"]), verbose=0).argmax(-1).tolist() == [1, 0]
