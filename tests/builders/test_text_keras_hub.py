"""Text builders on a KerasHub preset, a tiny one that the test makes itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed: pip install tf-transfer[keras-hub]")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "##s"]
TEXTS = tf.constant(["a good film", "bad films", ""])


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """Returns the folder of a BERT of two layers with its tokenizer, at random."""
    folder = str(tmp_path_factory.mktemp("preset"))
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=WORDS, lowercase=True)
    shape = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 6}
    keras_hub.models.BertBackbone(vocabulary_size=len(WORDS), **shape).save_to_preset(folder)
    keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=6).save_to_preset(folder)
    return f"keras_hub:{folder}"


@pytest.fixture
def builder(preset):
    return tft.TextClassifier(num_classes=2, backbone=preset, backbone_options={"sequence_length": 6}, seed=0)


def test_features_are_the_mean_of_the_tokens_without_padding(preset):
    model = tft.backbones.load_text_backbone(preset, sequence_length=6)
    inner = next(layer for layer in model.layers if isinstance(layer, keras_hub.models.Backbone))
    # [CLS] a good film [SEP] [PAD], and [CLS] bad film ##s [SEP] [PAD].
    tokens = np.array([[2, 5, 6, 8, 3, 0], [2, 7, 8, 9, 3, 0]])
    mask = (tokens != 0).astype("int32")
    states = inner({"token_ids": tokens, "segment_ids": np.zeros_like(tokens), "padding_mask": mask})
    expected = np.asarray(states["sequence_output"])[:, :5].mean(axis=1)
    np.testing.assert_allclose(model(TEXTS[:2]), expected, atol=1e-5)
    first = tft.backbones.load_text_backbone(preset, sequence_length=6, pooling="first")
    np.testing.assert_allclose(first(TEXTS[:2]), np.asarray(states["sequence_output"])[:, 0], atol=1e-5)


def test_it_is_trained_saved_and_opened_again(builder, tmp_path):
    model = builder.build()
    names = tft.blocks(model)
    assert len(names) >= 3, names
    tft.set_trainable(model, names[-1], verbose=False)
    model.fit(TEXTS, np.array([1, 0, 0]), verbose=0)
    tft.save_model(model, tmp_path / "model.keras")
    again = tft.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(TEXTS, verbose=0), model.predict(TEXTS, verbose=0), atol=1e-6)


def test_lora_by_our_own_means(builder):
    lora = tft.LoRA(2, targets="re:query|value")
    model = lora.apply(builder.build(), verbose=False)
    before = model.predict(TEXTS, verbose=0)
    assert 0 < tft.backbones.count_trainable(model).trainable < model.count_params() / 2
    model.fit(TEXTS, np.array([1, 0, 0]), epochs=3, verbose=0)
    after = model.predict(TEXTS, verbose=0)
    assert np.abs(after - before).max() > 0
    merged = lora.merge(model)
    np.testing.assert_allclose(merged.predict(TEXTS, verbose=0), after, atol=1e-5)
    assert merged.count_params() < model.count_params()


def test_features_are_cached_and_the_model_is_exported_with_strings(builder, tmp_path):
    model = builder.build()
    data = (np.array(["a good film", "bad films"] * 4, object), np.array([1, 0] * 4))
    history = tft.fine_tune(model, data, data, 2, 0, features_cache=str(tmp_path / "cache"), seed=0, verbose=0)
    assert [phase.cached for phase in history.phases] == [True]
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(TEXTS), model.predict(TEXTS, verbose=0), atol=1e-6)


def test_files_are_keras_own_to_open(builder, tmp_path):
    builder.build().save(tmp_path / "model.keras")
    assert isinstance(keras.models.load_model(tmp_path / "model.keras"), keras.Model)


def test_an_encoder_of_pieces_knows_new_words_by_their_parts(tmp_path):
    texts = ["the walker walked", "a talker talked", "the talks and walks"] * 4
    builder = tft.TextEncoder(split="pieces", architecture="cnn", dim=4, num_blocks=1, max_words=60, seed=1)
    encoder = tft.pretrain_text(texts, builder, epochs=1, batch_size=4, seed=1, verbose=0)
    tokens = encoder.get_layer("stem_tokens")
    ids = np.asarray(tokens(tf.constant(["walktalk", "§"])))
    assert (ids[0] > 1).sum() > 1, f"the parts of a new word are {ids[0]}"
    assert ids[1][0] == 1 and not ids[1][1:].any()
    encoder.save(tmp_path / "encoder.keras")
    again = tft.backbones.load_text_backbone(f"file:{tmp_path}/encoder.keras")
    np.testing.assert_allclose(again.predict(TEXTS, verbose=0), encoder.predict(TEXTS, verbose=0), atol=1e-6)
