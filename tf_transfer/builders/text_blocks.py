"""The parts of a text encoder, of Keras' own layers and operations: tokens, embeddings, blocks, pooling."""

import keras

from tf_transfer.backbones.text import mean_of_tokens
from tf_transfer.builders.text_tokens import NUM_SPECIAL


def embed(ids, num_words, dim, word_dim):
    """Returns the embeddings of words, shape `(batch, sequence_length, dim)`.

    The last row of the table is for a token that no text has: pretraining puts it where a word is to be guessed.
    """
    embedded = keras.layers.Embedding(num_words + NUM_SPECIAL + 1, word_dim, name="stem_words")(ids)
    return embedded if word_dim == dim else keras.layers.Dense(dim, name="stem_project")(embedded)


def add_places(x, ids):
    """Adds an embedding of where each word stands, which attention alone does not see."""
    places = keras.ops.cumsum(keras.ops.ones_like(ids), axis=1) - 1
    return keras.layers.Add(name="stem_add")([x, keras.layers.Embedding(*x.shape[1:], name="stem_places")(places)])


def normalize(x, dropout, seed):
    """Returns the embeddings normalized, with dropout."""
    x = keras.layers.LayerNormalization(epsilon=1e-6, name="stem_norm")(x)
    return keras.layers.Dropout(dropout, seed=seed, name="stem_dropout")(x)


def transformer_block(x, mask, name, num_heads, *, dropout, causal, seed):
    """Attention and two dense layers, each behind a normalization and added to what came in."""
    dim = x.shape[-1]
    normed = keras.layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm_1")(x)
    attention = keras.layers.MultiHeadAttention(
        num_heads, dim // num_heads, dropout=dropout, seed=seed, name=f"{name}_attention"
    )
    # Given, not left to Keras' implicit masks, which end at the first operation that does not hand them on.
    seen = keras.ops.expand_dims(mask, 1)
    attended = attention(normed, normed, attention_mask=seen, use_causal_mask=causal)
    x = keras.layers.Add(name=f"{name}_add_1")([x, attended])
    hidden = keras.layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm_2")(x)
    hidden = keras.layers.Dense(4 * dim, activation="gelu", name=f"{name}_dense_1")(hidden)
    hidden = keras.layers.Dropout(dropout, seed=seed, name=f"{name}_dropout")(hidden)
    hidden = keras.layers.Dense(dim, name=f"{name}_dense_2")(hidden)
    return keras.layers.Add(name=f"{name}_add_2")([x, hidden])


def convolution_block(x, mask, name, width, *, dropout, causal, seed):
    """A convolution over neighbouring words, behind a normalization and added to what came in."""
    normed = keras.layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(x)
    # What stands at the places of the padding must not leak into the last words.
    normed = normed * _weights(mask, normed)
    padding = "causal" if causal else "same"
    found = keras.layers.Conv1D(x.shape[-1], width, padding=padding, activation="gelu", name=f"{name}_conv")(normed)
    found = keras.layers.Dropout(dropout, seed=seed, name=f"{name}_dropout")(found)
    return keras.layers.Add(name=f"{name}_add")([x, found])


def pool(x, mask, pooling):
    """Returns one vector a text, of its words alone; zeros for a text without words."""
    if pooling == "avg":
        return mean_of_tokens(x, mask)
    weights = _weights(mask, x)
    # Far below what a normalization gives, and within what float16 holds.
    highest = keras.ops.max(x * weights - 1e4 * (1 - weights), axis=1)
    return highest * keras.ops.cast(keras.ops.any(mask, axis=1, keepdims=True), x.dtype)


def _weights(mask, like):
    return keras.ops.expand_dims(keras.ops.cast(mask, like.dtype), -1)
