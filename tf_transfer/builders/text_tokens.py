"""Strings as numbers of a vocabulary: words and characters by Keras, pieces of words by KerasHub."""

import keras
import tensorflow as tf

from tf_transfer.backbones.text import import_keras_hub
from tf_transfer.layers import TextPreprocessor

# Below these ids are the padding and what the vocabulary does not know.
NUM_SPECIAL = 2
_SPECIAL = ["[PAD]", "[UNK]"]
_SPLITS = {"words": "whitespace", "characters": "character"}
_PIECES = {"lowercase": True, "strip_accents": False}


def layer(split, words, length):
    """Returns the layer from strings to ids, of shape `(batch, length)`."""
    if split in _SPLITS:
        options = {"vocabulary": words, "output_sequence_length": length}
        return keras.layers.TextVectorization(split=_SPLITS[split], name="stem_tokens", **options)
    tokenizer = import_keras_hub("split='pieces'").tokenizers.WordPieceTokenizer
    pieces = tokenizer([*_SPECIAL, *words], sequence_length=length, oov_token=_SPECIAL[1], **_PIECES)
    return TextPreprocessor(pieces, name="stem_tokens")


def whole(tokens):
    """Returns a function from strings to the ids of whole texts, for a layer that may cut them."""
    if isinstance(tokens, keras.layers.TextVectorization):
        return type(tokens).from_config({**tokens.get_config(), "output_sequence_length": None})
    pieces = tokens.preprocessor
    config = {**pieces.get_config(), "vocabulary": pieces.get_vocabulary(), "sequence_length": None}
    uncut = type(pieces).from_config(config)
    # Outside of a graph it gives lists.
    return lambda texts: tf.ragged.constant(uncut(texts), dtype=tf.int32).to_tensor()


def find_vocabulary(batches, split, number):
    """Returns the most frequent words, characters or pieces of texts, a tuple of at most so many strings."""
    if split in _SPLITS:
        tokens = keras.layers.TextVectorization(number + NUM_SPECIAL, split=_SPLITS[split])
        tokens.adapt(batches)
        found = tokens.get_vocabulary()[NUM_SPECIAL:]
    else:
        compute = import_keras_hub("split='pieces'").tokenizers.compute_word_piece_vocabulary
        found = compute(batches.unbatch(), number + NUM_SPECIAL, reserved_tokens=_SPECIAL, **_PIECES)[NUM_SPECIAL:]
    return tuple(str(each) for each in found)
