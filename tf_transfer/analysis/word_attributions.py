"""Which words of a text spoke for a class."""

import html
import re
import typing

import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.analysis.evaluation import agreed_names
from tf_transfer.distillation.signals import LOGITS, Signals

_WORDS = re.compile(r"\S+")


class WordAttributions(typing.NamedTuple):
    """What each word of a text did for a class.

    Attributes:
        words: Tuple of strings, the text at its spaces.
        values: Float array of shape `(num_words,)`, what the probability of the class loses without the word.
        label: String or integer, the class.
        score: Float, its probability for the whole text.
    """

    words: tuple
    values: np.ndarray
    label: str | int
    score: float

    def to_html(self):
        """Returns the text as HTML, the words that spoke for the class on red and those against it on blue."""
        largest = float(np.abs(self.values).max(initial=0.0)) or 1.0
        parts = []
        for word, value in zip(self.words, self.values, strict=True):
            color = "224, 90, 70" if value > 0 else "70, 120, 200"
            style = f"background: rgba({color}, {abs(value) / largest * 0.8:.2f})"
            parts.append(f'<span style="{style}" title="{value:+.3f}">{html.escape(word)}</span>')
        return " ".join(parts)


def word_attributions(model, texts, classes=None, *, class_names=None, max_words=200, batch_size=64):
    """Leaves one word of a text out after the other and says how far the class's probability falls.

    Needs no gradient and no knowledge of the tokenizer, so it is the same for every text model; words that say the same
    twice share nothing: without one of them the other still speaks.

    Args:
        model: Classifier of strings, such as `tft.TextClassifier` builds.
        texts: Sequence of strings.
        classes: Integer, or one a text, the class to explain. Defaults to the one that the model predicts.
        class_names: Sequence of strings. Defaults to those of the model's builder, or integers.
        max_words: Integer, how many words of a text are left out, from its start. Defaults to 200.
        batch_size: Integer, texts at once. Defaults to 64.

    Returns:
        List of `WordAttributions`, one a text.

    Raises:
        ValueError: When a text has no words, or the model no such class.

    Example:

    >>> text = np.array(["good fun", "a good film", "dull", "so dull"], object)
    >>> builder = tft.TextClassifier(num_classes=2, class_names=["bad", "good"], seed=0).adapt(text, verbose=0)
    >>> model = builder.build()
    >>> [found] = tft.analysis.word_attributions(model, ["good fun"], 1)
    >>> found.words, found.values.shape, found.label
    (('good', 'fun'), (2,), 'good')

    Reference:
        Li et al., 2016, "Understanding neural networks through representation erasure", https://arxiv.org/abs/1612.08220
    """
    _checks.integer(max_words, "max_words", 1)
    texts = [texts] if isinstance(texts, str) else [str(text) for text in texts]
    empty = [number for number, text in enumerate(texts) if not _WORDS.search(text)]
    if empty or not texts:
        raise ValueError(f"`texts` must have words. Received: {len(texts)} texts, without any: {empty}.")
    signals = Signals(model, {LOGITS})

    def scores(asked):
        batches = (asked[at : at + batch_size] for at in range(0, len(asked), batch_size))
        found = [ops.softmax(signals.run(model, tf.constant(batch))[1][LOGITS]) for batch in batches]
        return np.concatenate([ops.convert_to_numpy(each) for each in found])

    before = scores(texts)
    classes = before.argmax(axis=1) if classes is None else np.broadcast_to(np.asarray(classes), (len(texts),))
    if classes.min() < 0 or classes.max() >= before.shape[1]:
        raise ValueError(f"`classes` must be of 0..{before.shape[1] - 1}. Received: {sorted(set(classes.tolist()))}.")
    names = agreed_names(class_names, model, None)
    return [
        _of_text(text, int(kind), row, scores, names, max_words)
        for text, kind, row in zip(texts, classes, before, strict=True)
    ]


def _of_text(text, kind, before, scores, names, max_words):
    places = [match.span() for match in _WORDS.finditer(text)][:max_words]
    without = [f"{text[:start]}{text[stop:]}" for start, stop in places]
    values = before[kind] - scores(without)[:, kind]
    words = tuple(text[start:stop] for start, stop in places)
    return WordAttributions(words, values, kind if names is None else names[kind], float(before[kind]))
