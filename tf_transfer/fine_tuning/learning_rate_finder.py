"""A learning rate to start from, found by training with growing rates and looking at the loss."""

import contextlib
import dataclasses
import itertools

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.builders.taken import taken
from tf_transfer.data import as_dataset

# Training has diverged when the loss is this many times its initial size above its best.
_DIVERGED = 3.0


@dataclasses.dataclass(frozen=True)
class LearningRateSearch:
    """What a learning rate range test saw. `float(search)` is the suggested rate.

    Args:
        rates: Array of shape `(num_steps,)`, the learning rate of each step.
        losses: Array of shape `(num_steps,)`, the loss of each step's batch before its update.
        diverged: Boolean, whether the test ended early because the loss grew or was no number any more.

    Example:

    >>> losses = np.array([8.0, 8.0, 8.0, 8.0, 6.0, 2.0, 0.0, 0.0, 9.0])
    >>> search = tft.fine_tuning.LearningRateSearch(np.geomspace(1e-4, 1, 9), losses, diverged=True)
    >>> round(search.suggestion, 3)
    0.032
    """

    rates: np.ndarray
    losses: np.ndarray
    diverged: bool

    @property
    def smoothed(self):
        """The losses without the noise of batches: a moving average that lags neither behind nor ahead."""
        width = max(0.03 * len(self.losses), 0.5)
        reach = int(np.ceil(4 * width))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
        # What the loss grows to when training diverges says nothing, and would hide the minimum before it.
        capped = np.minimum(self.losses, self._plateau + _DIVERGED * _size(self._plateau))
        padded = np.pad(capped, reach, mode="edge")
        return np.convolve(padded, kernel / kernel.sum(), mode="valid")

    @property
    def suggestion(self):
        """The rate at which the loss has fallen half of its way from the plateau to its minimum.

        Raises:
            ValueError: When the loss did not fall at any rate.
        """
        smoothed, plateau = self.smoothed, self._plateau
        lowest = int(np.argmin(smoothed))
        noise = np.std((self.losses - smoothed)[: lowest + 1])
        if plateau - smoothed[lowest] <= max(2 * noise, 1e-6 * _size(plateau)):
            raise ValueError(
                f"The loss fell at no rate from {self.rates[0]:.1e} to {self.rates[-1]:.1e}, so there is nothing to "
                "suggest. Look at `plot()`; try a larger `max_rate`, a smaller `min_rate`, or check model and labels."
            )
        halfway = smoothed[: lowest + 1] <= (plateau + smoothed[lowest]) / 2
        return float(self.rates[int(np.argmax(halfway))])

    def __float__(self):
        return self.suggestion

    @property
    def _num_plateau(self):
        return max(len(self.losses) // 10, 1)

    @property
    def _plateau(self):
        return float(np.median(self.losses[: self._num_plateau]))

    def plot(self):
        """Returns a matplotlib `Figure` of loss against learning rate, with the suggestion marked."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        smoothed = self.smoothed
        axes.plot(self.rates, self.losses, color="0.75", linewidth=1, label="loss of each batch")
        axes.plot(self.rates, smoothed, color="C0", linewidth=2, label="smoothed")
        with contextlib.suppress(ValueError):
            axes.axvline(self.suggestion, color="C3", linestyle="--", label=f"suggestion {self.suggestion:.1e}")
        low, high = self.losses.min(), max(smoothed[: smoothed.argmin() + 1].max(), self._plateau)
        margin = 0.15 * (high - low) or 0.1
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title="Learning rate range test")
        axes.set_ylim(low - margin, high + 3 * margin)
        axes.legend()
        return figure


def find_learning_rate(
    model,
    data,
    *,
    min_rate=1e-7,
    max_rate=1.0,
    num_steps=100,
    batch_size=None,
    class_weight=None,
    seed=None,
    verbose=1,
):
    """Suggests a learning rate by a range test: train with a rate that grows at each step, and watch the loss.

    The suggestion is the rate at which the loss has made half of its way down. On small networks it varied by less
    than 0.1 decades between seeds, where the steepest slope jumped by up to two. Afterwards the model is as it was
    before: weights, statistics, optimizer, metrics.

    Args:
        model: A compiled `keras.Model`. The test uses a new optimizer of the same kind and settings.
        data: `(x, y)` or `(x, y, sample_weight)` arrays, a `tf.data.Dataset`, or a `tft.data.ImageFolder`; repeated as
            needed.
        min_rate: Float, the first rate, at which nothing happens yet. Defaults to 1e-7.
        max_rate: Float, the last rate. Defaults to 1.
        num_steps: Integer, number of steps, at least 10. Defaults to 100.
        batch_size: Integer, for arrays, folders and unbatched datasets. Defaults to None, 32 for those.
        class_weight: Dict of class index to weight, as in `fit`. Defaults to None.
        seed: Integer, of the shuffling of arrays and folders. Defaults to None.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 1.

    Returns:
        A `LearningRateSearch`.

    Raises:
        ValueError: When the model is not compiled or has nothing to train, or its first loss is not a number.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> search = tft.find_learning_rate(model, (x, x.sum(axis=1, keepdims=True)), seed=0, verbose=0)
    >>> 1e-3 < float(search) < 1.0
    True

    Reference:
        Smith, 2017, https://arxiv.org/abs/1506.01186
    """
    _checks.number(min_rate, "min_rate", minimum=1e-30)
    if not _checks.number(max_rate, "max_rate") > min_rate:
        raise ValueError(f"`max_rate` must be above `min_rate`. Received: min_rate={min_rate}, max_rate={max_rate}.")
    _checks.integer(num_steps, "num_steps", minimum=10)
    _check_model(model)
    dataset = as_dataset(data, batch_size=batch_size, shuffle=True, seed=seed, **taken(model))
    rates = np.geomspace(min_rate, max_rate, num_steps)
    batches = itertools.islice(dataset.repeat(), num_steps)
    progress = keras.utils.Progbar(num_steps, verbose=int(bool(verbose)))
    with _as_it_was(model):
        losses, diverged = _range_test(model, batches, rates, class_weight, progress)
    return LearningRateSearch(rates[: len(losses)], np.array(losses), diverged)


def _check_model(model):
    if not getattr(model, "compiled", False) or model.optimizer is None:
        raise ValueError(
            f"`model` must be a compiled `keras.Model`. Received: {model!r}. Call `model.compile(...)` first."
        )
    if isinstance(model.optimizer, keras.optimizers.MultiOptimizer):
        raise ValueError("A `MultiOptimizer` has several learning rates. Compile with one optimizer for the search.")
    if not model.built:
        raise ValueError(
            "`model` must be built, so that its weights can be restored: give it an `Input`, or call it once."
        )
    if not model.trainable_variables:
        raise ValueError(f"{model.name!r} has no trainable weights. Unfreeze something with `tft.set_trainable`.")


def _range_test(model, batches, rates, class_weight, progress):
    losses = []
    with model.distribute_strategy.scope():
        model.optimizer = _optimizer_with_rate(model.optimizer, rates[0])
    model.train_function = None
    for rate, batch in zip(rates, batches):
        model.optimizer.learning_rate = float(rate)
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        loss = float(model.train_on_batch(x, y, weight, class_weight=class_weight, return_dict=True)["loss"])
        if not losses and not np.isfinite(loss):
            raise ValueError(f"The loss is {loss} before any training. Check the data and the loss.")
        if not np.isfinite(loss) or _has_diverged(losses, loss):
            return losses, True
        losses.append(loss)
        progress.add(1)
    return losses, False


def _has_diverged(losses, loss):
    # One bad batch among the first ones is noise, not divergence: rates have not grown by then.
    return len(losses) >= 5 and loss - min(losses) > _DIVERGED * _size(float(np.median(losses[:5])))


def _size(loss):
    return abs(loss) or 1.0


def _optimizer_with_rate(optimizer, rate):
    """Returns a new optimizer of the same kind and settings whose rate is a variable, also in place of a schedule."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        inner = _optimizer_with_rate(optimizer.inner_optimizer, rate)
        return type(optimizer)(**{**optimizer.get_config(), "inner_optimizer": inner})
    return type(optimizer).from_config({**optimizer.get_config(), "learning_rate": float(rate)})


@contextlib.contextmanager
def _as_it_was(model):
    """Puts a model's variables, optimizer and training step back, whatever happens in between."""
    variables = [*model.variables, *model.metrics_variables]
    values = [keras.ops.convert_to_numpy(variable) for variable in variables]
    optimizer, train_function = model.optimizer, model.train_function
    try:
        yield
    finally:
        model.optimizer, model.train_function = optimizer, train_function
        # Metrics that the test has made start at zero; older ones get their values back.
        model.reset_metrics()
        for variable, value in zip(variables, values):
            variable.assign(value)
