"""The two phases of `fine_tune`: on cached features where that is possible, else through the whole model."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_transfer.backbones import count_trainable, set_trainable, split_at_backbone
from tf_transfer.caching import FeatureCache, RandomStreamError
from tf_transfer.data import as_dataset, balanced_class_weight
from tf_transfer.fine_tuning.history import FineTuningHistory, Phase
from tf_transfer.fine_tuning.on_whole_model import OnWholeModel
from tf_transfer.fine_tuning.rates import SCHEDULES, head_rate_optimizer, layer_decay_optimizer
from tf_transfer.fine_tuning.recompiling import compile_like, compile_with, optimizer_like
from tf_transfer.fine_tuning.unfreezing import unfreeze_backbone
from tf_transfer.parameter_efficient.method import ParameterEfficient
from tf_transfer.regularizers import RegularizationCallback
from tf_transfer.training import BestWeights, RunState, StopOnNaN
from tf_transfer.training.replicas import predict_on_batch


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the phases of `fine_tune` are to run; the fields are its arguments.

    `stop_after` ends the second phase after so many of its `epochs`, on the rates of all of them; None runs all.
    """

    freeze_epochs: int
    epochs: int
    learning_rate: float
    fine_tuning_rate: float
    unfreeze: bool | int | float | str | tuple | ParameterEfficient
    layer_decay: float | None
    batch_norm: str
    features_cache: object
    head_factor: float | None = None
    stop_after: int | None = None
    schedule: str = "cosine"


@dataclasses.dataclass
class Phases:
    """The data and choices of one `fine_tune`, its phases, and the history that grows."""

    model: keras.Model
    # Phases replace the optimizer; its kind and settings are those that the user compiled with.
    kind: keras.optimizers.Optimizer
    # Function of whether to shuffle that makes the training stream anew: each phase begins at its first order, so that
    # the orders do not depend on who looked at the stream before.
    stream: Callable
    validation: tf.data.Dataset | None
    class_weight: dict | str | None
    monitor: str
    batch_size: int | None
    steps: int | None
    callbacks: tuple
    seed: int | None
    verbose: int
    # They hold the backbone, which is at the source until the second phase.
    regularizers: tuple = ()
    state: RunState = dataclasses.field(default_factory=lambda: RunState(None))
    # What comes in front of the names of the phases where they run twice.
    prefix: str = ""
    # The indices of the examples among those that the user gave, in the order of an unshuffled `stream`, or None where
    # they or the orders are not known.
    indices: np.ndarray | None = None

    def __post_init__(self):
        self.history = FineTuningHistory()
        self.train = self.stream(False)
        self._check()

    def _check(self):
        if self.train.cardinality() == tf.data.INFINITE_CARDINALITY and self.steps is None:
            raise ValueError("`train` is endless. Say with `steps_per_epoch` how many batches make an epoch.")
        if self.class_weight is not None and len(self.model.outputs) > 1:
            raise ValueError(
                "`class_weight` is for one output, and the model has several. Give each task weights of its own."
            )
        if self.class_weight == "balanced":
            self.class_weight = self._balanced()
        elif self.class_weight is not None and not isinstance(self.class_weight, dict):
            raise ValueError(
                "`class_weight` must be a dict of class index to weight, 'balanced' or None. "
                f"Received: class_weight={self.class_weight!r}."
            )

    def run(self, plan):
        """Trains the model by the plan and returns the history."""
        self.train_head(plan)
        self.train_unfrozen(plan)
        return self.history

    def train_head(self, plan):
        if plan.freeze_epochs:
            set_trainable(self.model, False, verbose=False)
            self._train_head(plan)

    def train_unfrozen(self, plan):
        if plan.epochs and plan.stop_after != 0:
            unfreeze_backbone(self.model, plan.unfreeze, plan.batch_norm)
            self._train_unfrozen(plan)

    def held_out_losses(self):
        """Returns the loss of each held-out example, a float array."""
        losses = [_losses(self.model, batch[1], predict_on_batch(self.model, batch[0])) for batch in self.validation]
        return np.concatenate([np.ravel(keras.ops.convert_to_numpy(values)) for values in losses])

    def _train_head(self, plan):
        num_epochs, rate = plan.freeze_epochs, plan.learning_rate
        cached = self._cached(plan.features_cache)
        if cached is None:
            options = {"schedule": plan.schedule}
            self._fit("head", self.model, self._augmented(), self.validation, num_epochs, rate, **options)
            return
        head, train, validation = cached
        compile_like(head, self.model)
        self._fit("head", head, train, validation, num_epochs, rate, cached=True, schedule=plan.schedule)

    def _train_unfrozen(self, plan):
        self._fit(
            "fine-tuning",
            self.model,
            self._augmented(),
            self.validation,
            plan.epochs,
            plan.fine_tuning_rate,
            decay=plan.layer_decay,
            head_factor=plan.head_factor,
            stop_after=plan.stop_after,
            further=self._regularization(),
            schedule=plan.schedule,
        )

    def _regularization(self):
        if not self.regularizers:
            return []
        seen = self.train if self.steps is None else self.train.take(self.steps)
        return [RegularizationCallback(self.regularizers, self.model, seen, verbose=int(self.verbose == 1))]

    def _augmented(self):
        builder = getattr(self.model, "builder", None)
        train = self.stream(True)
        return train if builder is None else builder.augment(train)

    def _cached(self, features_cache):
        """Returns the head and its cached streams, or None where there is nothing to cache."""
        cache = FeatureCache.of(features_cache)
        if cache is None:
            return None
        show = int(self.verbose == 1)
        try:
            encoder, head = split_at_backbone(self.model)
        except ValueError as error:
            # A model that can't be cut in two can still be trained whole.
            self.say(f"Features are not cached: {error}")
            return None
        try:
            train = cache.features(encoder, self.train, steps=self.steps, verbose=show)
            validation = self.validation and cache.features(encoder, self.validation, verbose=show)
        except RandomStreamError as error:
            self.say(f"Features are not cached: {error}")
            return None
        batch_size = self.batch_size or _batch_size(self.train)
        batches = train.dataset(batch_size, shuffle=True, seed=self.seed)
        return head, batches, validation and validation.dataset(batch_size)

    def _fit(
        self,
        name,
        model,
        train,
        validation,
        num_epochs,
        learning_rate,
        *,
        cached=False,
        decay=None,
        head_factor=None,
        stop_after=None,
        further=(),
        schedule="cosine",
    ):
        steps = None if cached else self.steps
        num_steps = (steps or _num_batches(train)) * num_epochs
        optimizer = self._optimizer(
            lambda rate: SCHEDULES[schedule](rate, num_steps), learning_rate, decay, head_factor
        )
        compile_with(model, optimizer)
        self._announce(name, stop_after or num_epochs, learning_rate, cached)
        best = self._best_weights(model, validation)
        whole = self.callbacks if model is self.model else [OnWholeModel(each, self.model) for each in self.callbacks]
        first = len(self.history.epoch)
        fitted = self.state.fit(
            self.prefix + name,
            model,
            train,
            validation_data=validation,
            initial_epoch=first,
            epochs=first + (stop_after or num_epochs),
            steps_per_epoch=steps,
            class_weight=self.class_weight,
            callbacks=[StopOnNaN(self._order(), first), *([best] if best else []), *further, *whole],
            verbose=self.verbose,
        )
        phase = Phase(
            name=name,
            first_epoch=first,
            num_epochs=len(fitted.epoch),
            learning_rate=learning_rate,
            trainable=count_trainable(self.model).trainable,
            cached=cached,
            best_epoch=best.best_epoch if best else None,
        )
        self.history.add(phase, fitted.history)

    def _optimizer(self, schedule, learning_rate, decay, head_factor):
        def make(rate):
            return optimizer_like(self.model, schedule(rate), self.kind)

        if decay is not None:
            return layer_decay_optimizer(self.model, make, learning_rate, decay)
        if head_factor is not None:
            return head_rate_optimizer(self.model, make, learning_rate, head_factor)
        return make(learning_rate)

    def _order(self):
        """Returns a function that makes the stream of indices that a shuffled stream of the examples follows."""
        if self.indices is None:
            return None
        size = self.batch_size or _batch_size(self.train)
        return lambda: as_dataset((self.indices, self.indices), batch_size=size, shuffle=True, seed=self.seed)

    def _best_weights(self, model, validation):
        if validation is None:
            return None
        # The end of the phase before is the bar: what does not improve on it is not kept.
        scores = model.evaluate(validation, return_dict=True, verbose=0) if self.history.phases else {}
        return BestWeights(self.monitor, baseline=scores.get(self.monitor.removeprefix("val_")))

    def _balanced(self):
        labels = [keras.ops.convert_to_numpy(batch[1]) for batch in self.train.take(self.steps or -1)]
        num_classes = self.model.output_shape[-1]
        flat = [
            batch.argmax(-1) if batch.ndim > 1 and batch.shape[-1] == num_classes else batch.ravel() for batch in labels
        ]
        return balanced_class_weight([label for batch in flat for label in batch.tolist()], num_classes)

    def _announce(self, name, num_epochs, learning_rate, cached):
        how = "on cached features" if cached else "through the whole model"
        self.say(
            f"{name}: {num_epochs} epochs {how}, {count_trainable(self.model)}, learning rate up to {learning_rate:g}"
        )

    def say(self, text):
        if self.verbose:
            print(text)


def _losses(model, y, outputs):
    """Returns the loss of each example, summed over the outputs by the weights that the model was compiled with."""
    losses = model.loss
    if not isinstance(losses, dict | list | tuple):
        return _each(losses, y, outputs)
    weights = model._compile_config.config.get("loss_weights")
    names = model.output_names
    losses, y, outputs, weights = (_by_name(part, names) for part in (losses, y, outputs, weights))
    values = [weights.get(name, 1.0) * _each(losses[name], y[name], outputs[name]) for name in names if name in losses]
    return sum(values[1:], values[0])


def _by_name(part, names):
    if part is None:
        return {}
    return part if isinstance(part, dict) else dict(zip(names, part, strict=True))


def _each(loss, y, outputs):
    loss = keras.losses.get(loss)
    values = (loss.call if isinstance(loss, keras.losses.Loss) else loss)(y, outputs)
    return keras.ops.mean(keras.ops.reshape(values, (keras.ops.shape(values)[0], -1)), axis=-1)


def _batch_size(dataset):
    return next(len(keras.tree.flatten(batch[1])[0]) for batch in dataset.take(1))


def _num_batches(dataset):
    known = int(dataset.cardinality())
    return known if known >= 0 else int(dataset.reduce(0, lambda count, *_: count + 1))
