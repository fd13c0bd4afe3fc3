"""Two-phase fine-tuning: the head on frozen features, then the backbone with care."""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.backbones import find_backbone
from tf_transfer.builders.taken import taken
from tf_transfer.data import ClassFolder, LabelledText, as_dataset, hold_out, match_labels
from tf_transfer.fine_tuning.gradual_unfreezing import GradualUnfreezing
from tf_transfer.fine_tuning.phases import Phases, Plan
from tf_transfer.fine_tuning.rates import SCHEDULES
from tf_transfer.fine_tuning.recompiling import base_optimizer, compile_with, optimizer_like
from tf_transfer.fine_tuning.resuming import state_of
from tf_transfer.fine_tuning.unfreezing import default_rate, unfreeze_backbone, what_to_unfreeze
from tf_transfer.regularizers import StochNorm, as_regularizers
from tf_transfer.regularizers.stoch_norm import check_norms_train


def fine_tune(
    model,
    train,
    validation_data=None,
    freeze_epochs=20,
    epochs=10,
    learning_rate=3e-3,
    *,
    unfreeze=None,
    fine_tuning_rate=None,
    layer_decay=None,
    head_factor=None,
    schedule="cosine",
    batch_norm="frozen",
    regularizer=None,
    features_cache=True,
    validation_split=0.2,
    monitor="val_loss",
    class_weight=None,
    batch_size=None,
    steps_per_epoch=None,
    callbacks=(),
    seed=None,
    verbose=1,
    resume=None,
):
    """Carries a pretrained model over to new data: first its head, then the backbone below.

    In the first phase the backbone is frozen and the head trains on its features, which are computed once and kept on
    disk when nothing random stands before them. In the second the chosen blocks train too, at a lower rate that warms
    up and decays, on augmented data when the builder says so.

    Few labels are quickly overfitted, so the second phase has to prove itself. With validation data each phase ends
    with its best weights, and the first stays when no epoch of the second is better. Without, a part of the training
    data is held out, both phases run on the rest to find how many epochs of the second lower its loss by more than two
    standard errors, perhaps none, and then both run on all of it for so many epochs.

    Args:
        model: A compiled `keras.Model` with a backbone nested in it, as the builders return. Its loss, metrics and kind
            of optimizer are used; it is trained in place.
        train: `(x, y)` or `(x, y, sample_weight)` arrays, a `tf.data.Dataset` (batched or not), a
            `tft.data.ImageFolder` or `AudioFolder`, or a `tft.data.LabelledText`. Images, texts, waveforms or a dict
            of columns, whatever the model takes. Labels are integers or one-hot, whatever the loss wants.
        validation_data: Likewise, or None, which holds out a part of `train`.
        freeze_epochs: Integer, epochs of the first phase. 0 leaves it out. Defaults to 20.
        epochs: Integer, epochs of the second phase. 0 leaves it out (feature extraction). Defaults to 10.
        learning_rate: Float, highest rate of the first phase. Defaults to 3e-3.
        unfreeze: What trains in the second phase, as in `tft.set_trainable`, or a parameter-efficient method that was
            applied to the model. Defaults to the builder's `trainable`, or, where that is False, to the upper half of
            the blocks.
        fine_tuning_rate: Float, highest rate of the second phase. Defaults to `learning_rate / 100`, and to
            `learning_rate / 3` for a parameter-efficient method.
        layer_decay: Float in (0, 1], factor on the rate from each block to the one below, or None for one rate.
        head_factor: Float of at least 1, factor on the rate of the head in the second phase, for a head that is new
            there, or None for the rate of the backbone. Not together with `layer_decay`. Defaults to None.
        schedule: "cosine" (the rate of a phase warms up and falls along a cosine) or "steps" (it falls to a tenth after
            30, 60 and 90 % of the phase, as in `tft.fine_tuning.BiTHyperRule`). Defaults to "cosine".
        batch_norm: "frozen" or "trainable", as in `tft.set_trainable`. Defaults to "frozen".
        regularizer: What holds the backbone near its source in the second phase: a regularizer such as `tft.L2SP()`,
            its name or dict, or a sequence of those. The source is the backbone as it was, unless it has another.
            Defaults to the builder's; `()` is none.
        features_cache: True (the user's cache folder), False, a folder, or a `tft.FeatureCache`. The cached phase sees
            the images without augmentation. Defaults to True.
        validation_split: Float in [0, 1), the part of `train` (arrays or a folder) that is held out, class by class,
            when there is no `validation_data`. 0 holds out nothing, runs all epochs, and keeps the last weights, as
            does a stream, which can't be split. Defaults to 0.2.
        monitor: String, the entry of the logs by which the best weights are chosen. Defaults to "val_loss".
        class_weight: Dict of class index to weight, "balanced", or None. Defaults to None.
        batch_size: Integer, or None for 32, and for the batches of a `tf.data.Dataset` as they are. Defaults to None.
        steps_per_epoch: Integer, batches of an epoch of an endless dataset. Defaults to None.
        callbacks: Sequence of Keras callbacks; they see the whole model in both phases.
        seed: Integer, of the shuffling. Defaults to None.
        verbose: 0 or 1 (one bar an epoch) or 2 (one line an epoch), as in `fit`. Defaults to 1.
        resume: Path of a folder that keeps the state after each epoch: the same call, on a model that was built alike,
            goes on from there when it was stopped, even killed, and removes the folder at the end. The `seed` must be
            given, and a `tf.data.Dataset` must have the same orders each time. Or a `tft.training.RunState`, of a run
            that this is a part of. Defaults to None, which keeps nothing.

    Returns:
        A `FineTuningHistory`: Keras' history over all epochs, each `Phase` marked.

    Raises:
        ValueError: Before any training, when the model has no nested backbone, is not compiled, or an argument or the
            data do not fit.
        tft.training.NaNLoss: When the loss becomes NaN or infinite. The model has its last good weights then.

    Example:

    >>> backbone = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3), keras.layers.Conv2D(4, 3)])
    >>> model = tft.ImageClassifier(num_classes=2, backbone=backbone, augmentation=None).build()
    >>> x, y = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype("float32"), np.arange(8) % 2
    >>> history = tft.fine_tune(model, (x, y), (x, y), freeze_epochs=2, epochs=1, features_cache=False, verbose=0)
    >>> [(phase.name, phase.num_epochs) for phase in history.phases], len(history.history["loss"])
    ([('head', 2), ('fine-tuning', 1)], 3)

    Reference:
        Kornblith et al., 2019, https://arxiv.org/abs/1805.08974; Kumar et al., 2022 (head first, then the rest),
        https://arxiv.org/abs/2202.10054
    """
    _check_model(model)
    _check_arguments(freeze_epochs, epochs, learning_rate, layer_decay, validation_split, callbacks)
    _check_head_factor(head_factor, layer_decay, epochs)
    _checks.one_of(schedule, "schedule", list(SCHEDULES))
    unfreeze = what_to_unfreeze(model, unfreeze, batch_norm)
    if epochs:
        # A wrong name has to be said before the first phase has run.
        unfreeze_backbone(model, unfreeze, batch_norm)
    regularizers = _check_regularizers(model, regularizer, epochs)
    if fine_tuning_rate is None:
        fine_tuning_rate = default_rate(unfreeze, learning_rate)
    _checks.number(fine_tuning_rate, "fine_tuning_rate", 0.0)
    plan = Plan(
        freeze_epochs,
        epochs,
        learning_rate,
        fine_tuning_rate,
        unfreeze,
        layer_decay,
        batch_norm,
        features_cache,
        head_factor=head_factor,
        schedule=schedule,
    )
    kind = base_optimizer(model)

    def phases(examples, held_out, state, prefix="", indices=None):
        return Phases(
            model=model,
            kind=kind,
            stream=lambda shuffle: _prepare(model, examples, batch_size, shuffle=shuffle, seed=seed),
            validation=None if held_out is None else _prepare(model, held_out, batch_size),
            class_weight=class_weight,
            monitor=monitor,
            batch_size=batch_size,
            steps=steps_per_epoch,
            callbacks=tuple(callbacks),
            seed=seed,
            verbose=verbose,
            regularizers=regularizers,
            state=state,
            prefix=prefix,
            indices=indices,
        )

    # With a seed the orders are known, and an error can name the examples of a batch.
    indices = None if seed is None or (targets := _targets(train)) is None else np.arange(len(targets))
    with _state_of(resume, model, plan, seed, batch_size, steps_per_epoch, verbose) as state:
        state.begin_with(model)
        if validation_data is not None or not validation_split or not epochs or isinstance(train, tf.data.Dataset):
            history = phases(train, validation_data, state, indices=indices).run(plan)
        else:
            split = functools.partial(hold_out, fraction=validation_split, seed=seed or 0)
            part = None if indices is None else split((indices, targets))[0][0]
            search = phases(*split(train), state, "search ", part)
            history = _choose_then_train(search, phases(train, None, state, indices=indices), plan)
    # What a user trains on with goes on at the last phase's rate, not at the end of a schedule that has run out.
    compile_with(model, optimizer_like(model, history.phases[-1].learning_rate, kind))
    with model.distribute_strategy.scope():
        model.optimizer.build(model.trainable_variables)
    return history


def _state_of(resume, model, plan, seed, batch_size, steps_per_epoch, verbose):
    """Returns a context with the `RunState` of this run, or of the one that it is a part of."""
    names = ["freeze_epochs", "epochs", "learning_rate", "fine_tuning_rate", "layer_decay", "head_factor", "batch_norm"]
    names += ["schedule"]
    settings = {name: getattr(plan, name) for name in names}
    settings |= {"seed": seed, "batch_size": batch_size, "steps_per_epoch": steps_per_epoch}
    settings["unfreeze"] = str(plan.unfreeze)
    return state_of(resume, settings, seed=seed, model=model, verbose=verbose)


def _choose_then_train(search, final, plan):
    """Returns the history of `final` for as many epochs of the second phase as helped on the held-out part."""
    start = search.model.get_weights()
    search.say("Part of the training data is held out to choose how long to fine-tune.")
    search.callbacks = ()
    helped = _epochs_that_help(search, plan)
    search.model.set_weights(start)
    search.say(f"{helped} of {plan.epochs} epochs of fine-tuning helped there. Now on all of the training data.")
    # Without a first phase there is nothing to fall back on.
    history = final.run(dataclasses.replace(plan, stop_after=max(helped, 0 if plan.freeze_epochs else 1)))
    history.search = search.history
    return history


def _epochs_that_help(search, plan):
    """Returns after how many epochs of the second phase the held-out loss is best, 0 when none is clearly better.

    Clearly is by more than two standard errors of the mean gain: on a few dozen examples a smaller gain is luck, and
    what stands on the other side is a backbone that was trained on many more.
    """
    search.train_head(plan)
    before = search.held_out_losses()
    search.train_unfrozen(plan)
    gain = before - search.held_out_losses()
    phase = search.history.phases[-1]
    if phase.best_epoch is None or gain.mean() <= 2 * gain.std(ddof=1) / np.sqrt(len(gain)):
        return 0
    return phase.best_epoch - phase.first_epoch + 1


def _check_model(model):
    if not isinstance(model, keras.Model) or not model.compiled:
        raise ValueError(
            f"`model` must be a compiled `keras.Model`. Received: {model!r}. Call `model.compile(...)` first."
        )
    if find_backbone(model) is model:
        raise ValueError(
            f"The model {model.name!r} has no backbone nested in it, so that there is no head to train first. "
            "Make it of a backbone and a head, as `tft.ImageClassifier` does, or use plain `fit`."
        )


def _check_arguments(freeze_epochs, epochs, learning_rate, layer_decay, validation_split, callbacks):
    _checks.integer(freeze_epochs, "freeze_epochs", 0)
    _checks.integer(epochs, "epochs", 0)
    if not freeze_epochs and not epochs:
        raise ValueError("One of `freeze_epochs` and `epochs` must be above 0. Received: 0 and 0.")
    _checks.number(learning_rate, "learning_rate", 0.0)
    _checks.number(validation_split, "validation_split", 0.0, 0.9)
    if layer_decay is not None:
        _checks.number(layer_decay, "layer_decay", 1e-6, 1.0)
    if any(isinstance(callback, GradualUnfreezing) for callback in callbacks):
        raise ValueError(
            "`GradualUnfreezing` chooses itself what trains, and so does `fine_tune`. Give it to `model.fit` instead."
        )


def _check_head_factor(head_factor, layer_decay, epochs):
    if head_factor is None:
        return
    _checks.number(head_factor, "head_factor", 1.0)
    if layer_decay is not None or not epochs:
        raise ValueError(
            "`head_factor` is for a second phase without `layer_decay`, which sets the rates of all layers itself. "
            f"Received: head_factor={head_factor}, layer_decay={layer_decay}, epochs={epochs}."
        )


def _check_regularizers(model, regularizer, epochs):
    if regularizer is None and epochs:
        regularizer = getattr(getattr(model, "builder", None), "regularizer", None)
    regularizers = as_regularizers(regularizer)
    if regularizers and not epochs:
        raise ValueError(
            "A regularizer holds the backbone while it trains, which with `epochs=0` it does not. Leave it out."
        )
    for each in regularizers:
        each.check(model)
        if isinstance(each, StochNorm):
            check_norms_train(find_backbone(model))
    return regularizers


def _prepare(model, data, batch_size, *, shuffle=False, seed=None):
    """Returns batches with labels as the model's loss wants them."""
    one_hot = _one_hot(model.loss)
    num_classes = None if one_hot is None else model.output_shape[-1]
    dataset = as_dataset(
        data, batch_size=batch_size, num_classes=num_classes, shuffle=shuffle, seed=seed, **taken(model)
    )
    return dataset if one_hot is None else match_labels(dataset, num_classes, one_hot)


def _targets(data):
    """Returns the targets of arrays or a folder, one an example, or None of a stream and of what is no data."""
    if isinstance(data, ClassFolder | LabelledText):
        return data.labels
    if not isinstance(data, tuple) or len(data) < 2:
        return None
    return np.atleast_1d(next(iter(data[1].values())) if isinstance(data[1], dict) else data[1])


def _one_hot(loss):
    """Returns whether a loss wants one-hot labels, or None when it is no matter of classes."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    if "sparse_categorical" in name:
        return False
    return True if "categorical" in name else None
