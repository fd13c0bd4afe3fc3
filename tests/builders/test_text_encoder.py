"""The text encoder: its vocabulary, its arithmetic, what it does not look at, and how it starts."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

TEXTS = ["A good film!", "a bad film", "the film"]
WORDS = ("film", "a", "the", "good", "bad")


def encoder(**fields):
    return tft.TextEncoder(**{"vocabulary": WORDS, "sequence_length": 4, "dim": 4, "num_heads": 2, **fields})


def features(model, *texts):
    return np.asarray(model(tf.constant(texts)))


def test_the_vocabulary_is_the_most_frequent_words_in_small_letters(capsys):
    builder = tft.TextEncoder(max_words=2).adapt(TEXTS)
    assert builder.vocabulary == ("film", "a") and builder.sequence_length == 8
    # 5 of the 8 words are these two.
    assert "62.5% of those in 3 texts; 100.0% of the texts have at most 8 words" in capsys.readouterr().out


def test_a_dataset_is_adapted_to_like_a_list():
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS)
    assert tft.TextEncoder().adapt(dataset, verbose=0) == tft.TextEncoder().adapt(TEXTS, verbose=0)


def test_characters():
    builder = tft.TextEncoder(split="characters", architecture="mean", dim=2).adapt(["ab a"], verbose=0)
    assert set(builder.vocabulary) == {"a", "b", " "}
    assert builder.build()(tf.constant(["b"])).shape == (1, 2)


def test_the_mean_encoder_is_the_mean_of_normalized_embeddings():
    model = encoder(architecture="mean", seed=1).build()
    table = model.get_layer("stem_words").get_weights()[0]
    rows = table[[2 + WORDS.index("a"), 2 + WORDS.index("film")]]
    normed = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(features(model, "A film."), normed.mean(0, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("architecture", ["transformer", "cnn", "mean"])
def test_padding_is_not_looked_at_and_words_are(architecture):
    short = encoder(architecture=architecture, num_blocks=1, seed=1).build()
    long = encoder(architecture=architecture, num_blocks=1, sequence_length=9).build()
    for layer in short.layers:
        if layer.name == "stem_places":
            places = layer.get_weights()[0]
            long.get_layer(layer.name).set_weights([np.concatenate([places, np.ones((5, 4), "float32")])])
        elif layer.get_weights():
            long.get_layer(layer.name).set_weights(layer.get_weights())
    texts = ("a good film", "bad", "")
    np.testing.assert_allclose(features(short, *texts), features(long, *texts), atol=1e-5)
    unknown, other, empty, known = features(short, "a unheard film", "a queer film", "", "a good film")
    np.testing.assert_array_equal(unknown, other)
    assert np.abs(unknown - known).max() > 1e-3 and not empty.any()


@pytest.mark.parametrize("architecture", ["transformer", "cnn"])
def test_a_causal_encoder_does_not_look_ahead(architecture):
    for causal in (True, False):
        model = encoder(architecture=architecture, causal=causal, seed=1).build()
        states = keras.Model(model.input, model.get_layer("top_norm").output)
        one, other = (np.asarray(states(tf.constant([text])))[0] for text in ("a good film", "a good the"))
        assert np.abs(one[2] - other[2]).max() > 1e-3
        changed = np.abs(one[:2] - other[:2]).max() > 1e-4
        assert changed != causal, f"causal={causal}, and the words before {'changed' if changed else 'stayed'}"


def test_max_pooling_and_seeds():
    model = encoder(pooling="max", seed=1).build()
    states = keras.Model(model.input, model.get_layer("top_norm").output)(tf.constant(["a film"]))
    np.testing.assert_allclose(features(model, "a film"), np.asarray(states)[:, :2].max(axis=1), atol=1e-5)
    assert not features(model, "").any()
    np.testing.assert_array_equal(features(encoder(pooling="max", seed=1).build(), "a"), features(model, "a"))
    assert np.abs(features(encoder(pooling="max", seed=2).build(), "a") - features(model, "a")).max() > 1e-3


def test_word_vectors_are_where_the_first_layer_starts(tmp_path, capsys):
    path = tmp_path / "glove.txt"
    path.write_text("good 1 2 3\nfilm 4 5 6\nthe -1 0 1\nunused 7 8 9\n")
    builder = encoder(word_vectors=str(path), seed=1).adapt(TEXTS)
    assert f"3 of 5 words (60.0%) have a vector in {path}" in capsys.readouterr().out
    model = builder.build()
    table = model.get_layer("stem_words").get_weights()[0]
    assert table[2 + WORDS.index("good")].tolist() == [1, 2, 3] and table[2 + WORDS.index("the")].tolist() == [-1, 0, 1]
    assert table.shape == (2 + 5 + 1, 3) and np.ptp(table[2 + WORDS.index("bad")]) > 0
    assert model.get_layer("stem_project").get_weights()[0].shape == (3, 4), "3 numbers a word do not become 4 features"
    with pytest.warns(UserWarning, match="Only 1 of 3 words"):
        encoder(word_vectors=str(path), vocabulary=("good", "boat", "ship")).build()


def test_a_vocabulary_from_a_file(tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    model = dataclasses.replace(encoder(seed=1), vocabulary=str(tmp_path / "words.txt")).build()
    np.testing.assert_array_equal(features(model, "a film"), features(encoder(seed=1).build(), "a film"))


def test_cached_features_are_found_by_what_an_encoder_is(tmp_path):
    texts = tf.data.Dataset.from_tensor_slices((["a good film", "bad"], [0, 1])).batch(2)
    cache = tft.FeatureCache(tmp_path)
    for seed in (1, 1, 2):
        cache.features(encoder(architecture="mean", seed=seed).build(), texts, verbose=0)
    other = encoder(architecture="mean", seed=1, vocabulary=("film", "a", "the", "good", "poor")).build()
    cache.features(other, texts, verbose=0)
    assert len(cache.entries()) == 3, "of four encoders two are the same, one has other weights, one another vocabulary"
