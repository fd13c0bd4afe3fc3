"""Pretraining on texts without labels: what is learned, what moves, and that it goes on where it was stopped."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft
from tf_transfer.pretraining.language_model import language_model, looks_ahead

PAIRS = (("cat", "purrs"), ("dog", "barks"), ("bird", "sings"), ("cow", "moos"))
TEXTS = [f"the {animal} always {sound}" for animal, sound in PAIRS] * 8


def small(**fields):
    return tft.TextEncoder(**{"architecture": "cnn", "dim": 16, "num_blocks": 1, "seed": 1, **fields})


def train(encoder, texts=TEXTS, **options):
    defaults = {"epochs": 30, "batch_size": 16, "learning_rate": 0.02, "share": 0.25, "seed": 0, "verbose": 0}
    return tft.pretrain_text(texts, encoder, **{**defaults, **options})


@pytest.mark.slow
def test_words_are_guessed_from_those_around_them():
    encoder = train(small(), validation_split=0.0)
    history = encoder.history.history
    # One of four words is asked for: two of them are always the same, and two are told by each other.
    assert history["loss"][-1] < 0.5 < 1.0 < history["loss"][0] and history["accuracy"][-1] > 0.8
    assert "val_loss" not in history and len(history["loss"]) == 30
    assert isinstance(encoder, keras.Model) and encoder(tf.constant(["the cat"])).shape == (1, 16)


def test_the_scores_start_at_how_often_words_are_there():
    encoder = small(vocabulary=("a", "b"), sequence_length=4).build()
    model = language_model(encoder, np.array([10, 0, 5, 2, 0]))
    inputs = {"ids": tf.constant([[2, 4, 3, 0]], tf.int64), "places": tf.constant([[1, 2]])}
    scores = model(inputs).numpy()
    assert scores.shape == (1, 2, 5)
    expected = np.log(np.array([11, 1, 6, 3, 1]) / 22)
    assert np.abs(scores - expected).max() < 0.5 and np.abs(scores - expected).max() > 0
    assert np.abs(scores[0, 0] - scores[0, 1]).max() > 1e-4, "both places give the same"


@pytest.mark.slow
def test_an_encoder_is_trained_on_in_place_and_all_of_it_learns():
    encoder = small().adapt(TEXTS, verbose=0).build()
    before = [np.array(weight) for weight in encoder.weights]
    again = train(encoder, epochs=1)
    assert again is encoder
    still = [weight.path for weight, old in zip(encoder.weights, before) if np.array_equal(old, weight)]
    assert not still, f"{still} did not learn"


@pytest.mark.slow
def test_next_words_with_an_encoder_that_does_not_look_ahead():
    builder = small(causal=True, dropout=0.0).adapt(TEXTS, verbose=0)
    assert not looks_ahead(builder.build())
    assert looks_ahead(small().adapt(TEXTS, verbose=0).build())
    history = train(builder, objective="next", share=None, validation_split=0.0, epochs=80).history.history
    # "the" leaves four animals open, log 4; what follows is certain.
    assert history["loss"][-1] == pytest.approx(np.log(4) / 3, abs=0.15)


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_and_ends_as_it_would_have(tmp_path):
    whole = train(small(), epochs=3)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(small(), epochs=3, callbacks=[Stop()], resume=folder)
    resumed = train(small(), epochs=3, resume=folder)
    for one, other in zip(whole.weights, resumed.weights):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    assert resumed.history.history["loss"] == whole.history.history["loss"] and not folder.exists()
