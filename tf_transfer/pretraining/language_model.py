"""The model that guesses words: an encoder of texts, cut behind its tokens, and scores of all words."""

import keras
import numpy as np

from tf_transfer.builders.text_tokens import whole

_TOKENS, _WORDS, _TOP = "stem_tokens", "stem_words", "top_norm"


def check_encoder(encoder):
    """Raises a `ValueError` unless a model is one that a `TextEncoder` built."""
    names = [layer.name for layer in encoder.layers] if isinstance(encoder, keras.Model) else []
    if not {_TOKENS, _WORDS} <= set(names):
        raise ValueError(
            f"`encoder` must be a `tft.TextEncoder` or a model that it built, with its layers {_TOKENS!r} and "
            f"{_WORDS!r}. Received: {encoder!r} with the layers {names}."
        )


def words_of(encoder):
    """Returns what makes ids of whole texts, how many of them the encoder sees, and the id of a hidden word."""
    tokens = encoder.get_layer(_TOKENS)
    return whole(tokens), tokens.output.shape[1], encoder.get_layer(_WORDS).input_dim - 1


def language_model(encoder, word_counts, seed=None):
    """Returns a model from {"ids", "places"} to scores of all words at these places; it shares the encoder's layers.

    Args:
        encoder: `keras.Model` that a `TextEncoder` built.
        word_counts: Array of shape `(num_ids,)`, how often each word is there: the scores start from it.
        seed: Integer or None, of what is put on top of the encoder.
    """
    words = encoder.get_layer(_WORDS)
    places = keras.Input((None,), dtype="int32", name="places")
    ids = keras.Input((encoder.get_layer(_TOKENS).output.shape[1],), dtype="int64", name="ids")
    states = keras.Model(encoder.get_layer(_TOKENS).output, _states(encoder), name="states")(ids)
    if len(states.shape) == 3:
        states = keras.ops.take_along_axis(states, keras.ops.expand_dims(places, -1), axis=1)
    else:
        # Without an order of words all places are guessed from the same: the mean of those that are seen.
        states = keras.ops.expand_dims(states, 1) * keras.ops.ones_like(keras.ops.expand_dims(places, -1), states.dtype)
    draw = keras.initializers.GlorotUniform(seed=seed)
    hidden = keras.layers.Dense(words.output_dim, activation="gelu", kernel_initializer=draw, name="guess_dense")(
        states
    )
    hidden = keras.layers.LayerNormalization(epsilon=1e-6, name="guess_norm")(hidden)
    # Looked up like any words, so that the table that reads words is the one that writes them.
    every = keras.ops.arange(words.input_dim, dtype="int64") + 0 * ids[0, 0]
    scores = keras.ops.matmul(hidden, keras.ops.transpose(words(every)))
    scores = keras.ops.cast(scores, "float32") + np.log((word_counts + 1.0) / (word_counts + 1.0).sum()).astype(
        "float32"
    )
    return keras.Model({"ids": ids, "places": places}, scores, name="language_model")


def looks_ahead(encoder):
    """Returns whether what an encoder makes of a word depends on those behind it."""
    states = keras.Model(encoder.get_layer(_TOKENS).output, _states(encoder))
    if len(states.output_shape) < 3:
        return True
    one = np.full((2, states.input_shape[1]), 2)
    one[1, -1] = 1
    found = keras.ops.convert_to_numpy(states(one))
    return bool(np.abs(found[0, :-1] - found[1, :-1]).max(initial=0.0) > 1e-5)


def _states(encoder):
    names = [layer.name for layer in encoder.layers]
    return encoder.get_layer(_TOP).output if _TOP in names else encoder.output
