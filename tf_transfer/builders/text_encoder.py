"""A text encoder of one's own: a vocabulary, embeddings, and a small transformer or convolutional network."""

import dataclasses
import os
import warnings

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.backbones import reinitialize
from tf_transfer.builders import text_blocks, text_tokens
from tf_transfer.builders.base import Builder
from tf_transfer.data import read_word_vectors

ARCHITECTURES = ("transformer", "cnn", "mean")
_LONGEST = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextEncoder(Builder):
    """Builds an encoder from raw strings to features, to be pretrained by `tft.pretrain_text` or trained as it is.

    `adapt(texts)` returns the builder that knows the vocabulary of the texts; `build()` then makes a `keras.Model` of
    Keras' own layers with the vocabulary inside: input "text", strings of shape `(batch,)`, output `(batch, dim)`. It
    is a backbone: `tft.TextClassifier(backbone=encoder)`, `tft.blocks(encoder)`, `tft.LoRA`. Its strings become numbers
    within the model, on the CPU, and only numbers flow from there: gradients and accelerators see nothing of strings,
    and Keras does not try to compile such a model by XLA.

    Args:
        vocabulary: Sequence of words, most frequent first; the path of a text file, a word a line; or None, until
            `adapt` finds it. Defaults to None.
        architecture: "transformer", "cnn" (convolutions over neighbouring words) or "mean" (the mean of the words'
            embeddings, fastest). Defaults to "transformer".
        dim: Integer, number of features, and width of the network. Defaults to 128.
        num_blocks: Integer, blocks of attention or convolution; none with "mean". Defaults to 2.
        num_heads: Integer, heads of attention; divides `dim`. Defaults to 4.
        kernel_size: Integer, how many words a convolution sees. Defaults to 5.
        sequence_length: Integer, the words of a text that are looked at, or None, for what 95 of 100 texts have, at
            most 256, when `adapt` finds it. Defaults to None.
        max_words: Integer, largest vocabulary that `adapt` makes. Defaults to 20000.
        split: "words"; "characters" for languages without spaces and for very short texts; or "pieces", the WordPiece
            tokenizer of KerasHub (`pip install tf-transfer[keras-hub]`), which knows a new word by its parts. Letters
            become small and, but for "pieces", punctuation is left out. Defaults to "words".
        causal: Boolean, whether a word sees only those before it, as pretraining by the next word needs. Defaults to
            False.
        pooling: "avg" or "max" over the words. Defaults to "avg".
        dropout: Float in [0, 1), inside the network. Defaults to 0.1.
        word_vectors: Path of word vectors in the text format of GloVe or fastText, with which the first layer starts,
            or None. Defaults to None.
        seed: Integer or None, of the initial weights and the dropout. Defaults to None.

    Raises:
        ValueError: For a field that can't be, before anything is built.

    Example:

    >>> builder = tft.TextEncoder(dim=16, num_heads=2).adapt(["a good film", "a bad film"], verbose=0)
    >>> builder.vocabulary, builder.sequence_length
    (('film', 'a', 'good', 'bad'), 8)
    >>> encoder = builder.build()
    >>> encoder(tf.constant(["good", "a bad bad film"])).shape
    TensorShape([2, 16])
    >>> tft.blocks(encoder)
    ['stem', 'block_1', 'block_2', 'top']
    """

    vocabulary: tuple | str | None = None
    architecture: str = "transformer"
    dim: int = 128
    num_blocks: int = 2
    num_heads: int = 4
    kernel_size: int = 5
    sequence_length: int | None = None
    max_words: int = 20000
    split: str = "words"
    causal: bool = False
    pooling: str = "avg"
    dropout: float = 0.1
    word_vectors: str | None = None
    seed: int | None = None

    def __post_init__(self):
        super().__post_init__()
        _checks.one_of(self.architecture, "architecture", ARCHITECTURES)
        _checks.one_of(self.split, "split", ["words", "characters", "pieces"])
        _checks.one_of(self.pooling, "pooling", ["avg", "max"])
        for name in ("dim", "num_blocks", "num_heads", "kernel_size", "max_words"):
            _checks.integer(getattr(self, name), name, 1)
        if self.sequence_length is not None:
            _checks.integer(self.sequence_length, "sequence_length", 1)
        _checks.number(self.dropout, "dropout", 0.0, 1.0 - 1e-6)
        if self.architecture == "transformer" and self.dim % self.num_heads:
            raise ValueError(f"`num_heads` must divide `dim`. Received: num_heads={self.num_heads}, dim={self.dim}.")
        if self.causal and self.architecture == "mean":
            raise ValueError("architecture='mean' has no order of words. For `causal` take 'transformer' or 'cnn'.")
        if self.vocabulary is not None and not isinstance(self.vocabulary, str | os.PathLike):
            self._set(vocabulary=_checked_words(self.vocabulary))

    def adapt(self, texts, *, verbose=1):
        """Returns a builder that knows the vocabulary of texts, and how long they are, where it did not before.

        Args:
            texts: Array or list of strings, or a `tf.data.Dataset` of strings, batched or not.
            verbose: 0 or 1, whether to print how much of the texts the vocabulary covers. Defaults to 1.
        """
        batches = text_batches(texts)
        found = {}
        if self.vocabulary is None:
            found["vocabulary"] = text_tokens.find_vocabulary(batches, self.split, self.max_words)
        words = _words(found.get("vocabulary", self.vocabulary))
        lengths, known = _lengths(batches, text_tokens.whole(text_tokens.layer(self.split, words, 1)))
        if self.sequence_length is None:
            longest = int(np.percentile(lengths, 95))
            found["sequence_length"] = min(-(-max(longest, 1) // 8) * 8, _LONGEST)
        if verbose:
            print(_about(words, lengths, known, found.get("sequence_length", self.sequence_length), self.word_vectors))
        return dataclasses.replace(self, **found)

    def build(self):
        if self.vocabulary is None or self.sequence_length is None:
            raise ValueError(
                "It isn't known which words there are, or how long texts are. Take `builder.adapt(texts).build()`, or "
                "give `vocabulary` and `sequence_length`."
            )
        words = _words(self.vocabulary)
        vectors = None if self.word_vectors is None else read_word_vectors(self.word_vectors, words)
        text = keras.Input((), dtype="string", name="text")
        ids = text_tokens.layer(self.split, words, self.sequence_length)(text)
        model = keras.Model(text, self._network(ids, len(words), vectors and vectors.dim), name="text_encoder")
        if self.seed is not None:
            reinitialize(model, self.seed)
        if vectors is not None:
            _start_from(model.get_layer("stem_words"), vectors, words)
        return model

    def _network(self, ids, num_words, word_dim):
        mask = keras.ops.not_equal(ids, 0)
        x = text_blocks.embed(ids, num_words, self.dim, word_dim or self.dim)
        if self.architecture == "transformer":
            x = text_blocks.add_places(x, ids)
        x = text_blocks.normalize(x, self.dropout, self.seed)
        for number in range(1, self.num_blocks + 1 if self.architecture != "mean" else 1):
            # Its own seed, so that no two blocks drop the same.
            seed = None if self.seed is None else self.seed + number
            options = {"dropout": self.dropout, "causal": self.causal, "seed": seed}
            if self.architecture == "transformer":
                x = text_blocks.transformer_block(x, mask, f"block_{number}", self.num_heads, **options)
            else:
                x = text_blocks.convolution_block(x, mask, f"block_{number}", self.kernel_size, **options)
        if self.architecture != "mean":
            x = keras.layers.LayerNormalization(epsilon=1e-6, name="top_norm")(x)
        return text_blocks.pool(x, mask, self.pooling)


def text_batches(texts, batch_size=256):
    """Returns a `tf.data.Dataset` of batches of strings, of an array, a list or a dataset of strings, else raises."""
    if not isinstance(texts, tf.data.Dataset):
        wrong = [texts] if isinstance(texts, str | bytes) else [x for x in texts if not isinstance(x, str | bytes)]
        if wrong:
            received = f"{wrong[0]!r:.80}"
            raise ValueError(f"`texts` must be a sequence of strings, or a dataset of them. Received: {received}.")
        if not len(texts):
            raise ValueError("`texts` must hold one text or more. Received: none.")
        texts = tf.data.Dataset.from_tensor_slices(tf.constant(list(texts)))
    spec = texts.element_spec
    if not isinstance(spec, tf.TensorSpec) or spec.dtype != tf.string or spec.shape.rank not in (0, 1):
        raise ValueError(f"`texts` must be a dataset of strings alone, without labels. Received: {spec}.")
    return texts.batch(batch_size) if spec.shape.rank == 0 else texts


def _checked_words(words):
    words = tuple(words)
    # What is no small letter would never be found, since texts are made so.
    wrong = [word for word in words if not isinstance(word, str) or not word or word != word.lower()]
    if wrong or not words or len(set(words)) < len(words):
        raise ValueError(
            "`vocabulary` must be different words in small letters, in a sequence or in a text file, a word a line. "
            f"Received: {(wrong or words)[:5]!r} among {len(words)}, {len(words) - len(set(words))} of them twice."
        )
    return words


def _words(vocabulary):
    if not isinstance(vocabulary, str | os.PathLike):
        return list(vocabulary)
    if not os.path.isfile(vocabulary):
        raise FileNotFoundError(f"There is no vocabulary at {os.fspath(vocabulary)!r}.")
    with open(vocabulary, encoding="utf-8") as file:
        return list(_checked_words(file.read().splitlines()))


def _lengths(batches, tokens):
    """Returns how many words each text has, and how many of all words are in the vocabulary."""
    lengths, known = [], 0
    for batch in batches:
        ids = np.asarray(tokens(batch))
        lengths.append((ids != 0).sum(axis=1))
        known += int((ids >= text_tokens.NUM_SPECIAL).sum())
    lengths = np.concatenate(lengths)
    if not lengths.any():
        raise ValueError(f"The {len(lengths)} texts have no words at all.")
    return lengths, known


def _about(words, lengths, known, sequence_length, word_vectors):
    whole = float((lengths <= sequence_length).mean())
    text = (
        f"Vocabulary of {len(words):,} words, {known / lengths.sum():.1%} of those in {len(lengths):,} texts; "
        f"{whole:.1%} of the texts have at most {sequence_length} words"
    )
    return text if word_vectors is None else f"{text}; {read_word_vectors(word_vectors, words).coverage(words)}"


def _start_from(embedding, vectors, words):
    table, known = vectors.table(words)
    values = keras.ops.convert_to_numpy(embedding.embeddings).copy()
    rows = text_tokens.NUM_SPECIAL + np.flatnonzero(known)
    # Words without a vector start as large as those that have one.
    values *= table[known].std() / values.std()
    values[rows] = table[known]
    embedding.embeddings.assign(values)
    if known.mean() < 0.5:
        warnings.warn(f"Only {vectors.coverage(words)}. Are its words spelt in lower case?", stacklevel=4)
