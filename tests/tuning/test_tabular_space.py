"""The default space of a table: its trials train on columns with gaps and strings."""

import keras_tuner
import numpy as np
import pytest

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
