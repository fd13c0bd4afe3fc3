"""`pretrain_text`: an encoder of texts learns from texts without labels."""

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.builders import TextEncoder
from tf_transfer.builders.text_encoder import text_batches
from tf_transfer.distribution import is_chief
from tf_transfer.pretraining.language_model import check_encoder, language_model, looks_ahead, words_of
from tf_transfer.pretraining.word_guesses import questions, windows
from tf_transfer.training import RunState


def pretrain_text(
    texts,
    encoder=None,
    objective="masked",
    epochs=10,
    *,
    batch_size=64,
    learning_rate=1e-3,
    share=None,
    validation_split=0.05,
    callbacks=(),
    seed=None,
    verbose=1,
    resume=None,
):
    """Trains an encoder on texts without labels: it learns to guess words from the words around them.

    Give it all the text there is of the kind that the model is for, also what has no label. Long texts are cut into
    windows, of which nothing is left out; they are held in memory as numbers, four bytes a word. What comes back is a
    backbone: `tft.TextClassifier(num_classes=2, backbone=encoder)`, or `encoder.save("encoder.keras")` and
    `backbone="file:encoder.keras"`.

    Args:
        texts: Array or list of strings, or a `tf.data.Dataset` of strings, batched or not.
        encoder: A `tft.TextEncoder`, which is adapted to the texts where it has no vocabulary; or a model that it
            built, which is trained on, in place. Defaults to a `tft.TextEncoder(seed=seed)`.
        objective: "masked", to guess words that were hidden from those on both sides; or "next", to guess each next
            word, for an encoder with `causal=True`. Defaults to "masked".
        epochs: Integer, passes over the texts. Defaults to 10.
        batch_size: Integer, windows a step. Defaults to 64.
        learning_rate: Float, highest rate of AdamW, reached after a tenth of the steps and falling to zero as a cosine.
            Defaults to 1e-3.
        share: Float in (0, 1], part of the words of a window that is asked for. Defaults to 0.15 of masked words, and
            to all next words.
        validation_split: Float in [0, 1), part of the windows that is held out to say how well words of unseen texts
            are guessed, `val_loss`. Defaults to 0.05.
        callbacks: Sequence of Keras callbacks.
        seed: Integer or None, of the weights, the order and what is hidden. Defaults to None.
        verbose: 0, 1 (one bar an epoch) or 2 (one line an epoch), as in `fit`. Defaults to 1.
        resume: Path of a folder that keeps the state after each epoch: the same call goes on from there when it was
            stopped, even killed, and removes the folder at the end. `seed` must be given. Defaults to None.

    Returns:
        The encoder, a `keras.Model` from strings to features. Its `history` is Keras' record of the training: "loss"
        is the mean cross-entropy of a guess in nats, "accuracy" the part of the words that was guessed right.

    Raises:
        ValueError: Before any training, when an argument or the texts do not fit.
        tft.training.NaNLoss: When the loss becomes NaN or infinite.

    Example:

    >>> texts = ["the cat sat on the mat", "the dog sat on the mat"] * 8
    >>> builder = tft.TextEncoder(architecture="cnn", dim=8, num_blocks=1)
    >>> encoder = tft.pretrain_text(texts, builder, epochs=2, batch_size=8, seed=0, verbose=0)
    >>> sorted(encoder.history.history)
    ['accuracy', 'loss', 'val_accuracy', 'val_loss']
    >>> encoder.output_shape
    (None, 8)

    Reference:
        Devlin et al., 2018, https://arxiv.org/abs/1810.04805; Gururangan et al., 2020 (on the texts of one's own
        domain), https://arxiv.org/abs/2004.10964
    """
    _check_arguments(epochs, batch_size, learning_rate, validation_split, resume, seed)
    batches = text_batches(texts)
    encoder = _built(encoder, batches, seed, verbose)
    tokens, length, mask_id = words_of(encoder)
    asked = questions(objective, share, mask_id)
    if objective == "next" and looks_ahead(encoder):
        raise ValueError(
            "objective='next' needs an encoder that does not look ahead: `tft.TextEncoder(causal=True)`. Received: one "
            "in which a word depends on those behind it."
        )
    train, held_out = _split(windows(batches, tokens, length), validation_split, seed)
    with encoder.distribute_strategy.scope():
        model = language_model(encoder, np.bincount(train.ravel(), minlength=mask_id + 1), seed)
        _compile(model, learning_rate, -(-len(train) // batch_size) * epochs)
    if verbose:
        words = (train > 0).sum()
        print(f"{words:,} words in {len(train):,} windows of up to {length}; {model.count_params():,} parameters")
    settings = {"objective": objective, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    settings |= {"share": asked.share, "seed": seed, "windows": len(train), "parameters": model.count_params()}
    chief = is_chief(encoder.distribute_strategy)
    with RunState(resume, settings, verbose=int(bool(verbose)), chief=chief) as state:
        state.begin_with(model)
        history = state.fit(
            "pretraining",
            model,
            asked.dataset(train, batch_size, seed),
            validation_data=None if held_out is None else asked.dataset(held_out, batch_size, seed or 0, shuffle=False),
            epochs=epochs,
            callbacks=list(callbacks),
            verbose=verbose,
        )
    encoder.history = history
    return encoder


def _check_arguments(epochs, batch_size, learning_rate, validation_split, resume, seed):
    _checks.integer(epochs, "epochs", 1)
    _checks.integer(batch_size, "batch_size", 1)
    _checks.positive(learning_rate, "learning_rate")
    _checks.number(validation_split, "validation_split", 0.0, 0.9)
    if resume is not None and seed is None:
        raise ValueError("`resume` needs a `seed`: without one other words are hidden when the run goes on.")


def _built(encoder, batches, seed, verbose):
    encoder = TextEncoder(seed=seed) if encoder is None else encoder
    if isinstance(encoder, TextEncoder):
        encoder = encoder.adapt(batches, verbose=int(bool(verbose))).build()
    check_encoder(encoder)
    return encoder


def _split(rows, validation_split, seed):
    """Returns the windows to train on and those held out, None where that would be none."""
    number = round(validation_split * len(rows))
    if not number:
        return rows, None
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows[order[number:]], rows[order[:number]]


def _compile(model, learning_rate, num_steps):
    warmup = max(num_steps // 10, 1)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(num_steps - warmup, 1), warmup_target=learning_rate, warmup_steps=warmup
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
