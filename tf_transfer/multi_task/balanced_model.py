"""A model of several outputs whose losses are put together in another way than with fixed weights."""

import keras
from keras import ops

from tf_transfer.training.whole_model import WholeModel


class BalancedModel(WholeModel):
    """What methods that balance tasks share: the network, its losses one by one, and the way to the plain model.

    `compile` without a loss takes losses and metrics of the network as it was compiled, so that of a model from
    `tft.MultiTask` only an optimizer has to be said. A subclass states the objective in `balance`.

    History: `loss`, the objective that is gone down; `NAME_loss` of each task, without its weight; `NAME_weight` where
    the method has weights; and the compiled metrics. `evaluate` and `val_loss` are the sum of the losses, unweighted,
    and regularization: the question that does not depend on the method.

    Args:
        model: Built functional `keras.Model` with two outputs or more, trained in place.
        **kwargs: `name` of a `keras.Model`.

    Raises:
        ValueError: For a model of one output, and in `compile` without losses or with weights of losses.
    """

    # Whether `compile(loss_weights=...)` means something.
    takes_loss_weights = False

    def __init__(self, model, **kwargs):
        _check_outputs(model, type(self).__name__)
        super().__init__(model, **kwargs)
        self.tasks = tuple(model.output_names)
        for task in self.tasks:
            self.add_part(f"{task}_loss")
        self._losses_of_tasks = None

    def add_weights_of_tasks(self, name, initializer, trainable=False):
        """Adds, in the constructor, a variable with a number a task and the entries `NAME_weight` of the logs."""
        for task in self.tasks:
            self.add_part(f"{task}_weight")
        shape = (len(self.tasks),)
        return self.add_weight(
            shape=shape, dtype="float32", initializer=initializer, trainable=trainable, autocast=False, name=name
        )

    def compile(self, optimizer="rmsprop", loss=None, *, loss_weights=None, metrics=None, **kwargs):
        """Configures the model for training, as `keras.Model.compile`.

        Args:
            optimizer: Name or `keras.optimizers.Optimizer`. Defaults to "rmsprop".
            loss: Dict or list of a loss a task. Defaults to None: losses and metrics of the network as it was compiled.
            loss_weights: Only where the method takes any, as `PCGrad`. Defaults to None.
            metrics: As in `keras.Model.compile`. Defaults to None.
            **kwargs: Further arguments of `keras.Model.compile`.
        """
        if loss is None:
            loss, loss_weights, metrics = self._compiled_before(loss_weights, metrics)
        losses = self.by_task(loss, "loss")
        weights = self.by_task(loss_weights, "loss_weights") if loss_weights is not None else {}
        if not self.takes_loss_weights and any(weight not in (None, 1, 1.0) for weight in weights.values()):
            raise ValueError(
                f"{type(self).__name__} sets the weights of the tasks itself. Received: weights {weights}. Leave them "
                "at 1, or train the model itself, with its fixed weights."
            )
        # In an object of its own, for Keras would track losses that are in a dict.
        self._losses_of_tasks = _Losses(losses, weights)
        super().compile(optimizer, loss, loss_weights=loss_weights, metrics=metrics, **kwargs)

    def _compiled_before(self, loss_weights, metrics):
        config = self.model.get_compile_config() if self.model.compiled else None
        if not config or config.get("loss") is None:
            raise ValueError(
                f"`loss` must be a dict with a loss for each of {list(self.tasks)}, as the network was not compiled "
                "with any. Received: loss=None."
            )
        # Made anew, so that the network keeps metrics of its own.
        config = keras.saving.deserialize_keras_object(config)
        weights = config.get("loss_weights") if loss_weights is None else loss_weights
        return config["loss"], weights, config.get("metrics") if metrics is None else metrics

    def balance(self, losses):
        """Returns the objective.

        Args:
            losses: Dict from task to its loss; under a strategy, a replica's share.

        Returns:
            A scalar, under a strategy a replica's share, and a dict from task to its weight for the logs.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `balance`.")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not training:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        losses = self.task_losses(y, y_pred, sample_weight)
        total, weights = self.balance(losses)
        self.log_weights(weights)
        return total + self.regularization(self.model)

    def task_losses(self, y, y_pred, sample_weight=None):
        """Returns a dict from task to its loss, under a strategy a replica's share of it, and logs these."""
        y_true, y_pred = self.by_task(y, "y"), self.by_task(y_pred, "y_pred")
        nested = isinstance(sample_weight, dict | list | tuple)
        weights = self.by_task(sample_weight, "sample_weight") if nested else dict.fromkeys(self.tasks, sample_weight)
        size = ops.shape(y_pred[self.tasks[0]])[0]
        losses = {}
        for task in self.tasks:
            losses[task] = self._losses_of_tasks.value(task, y_true[task], y_pred[task], weights.get(task))
            self.log_part(f"{task}_loss", self.unshare(losses[task]), num_examples=size)
        return losses

    def log_weights(self, weights):
        """Reports the weights of the tasks, a dict."""
        for task, weight in weights.items():
            self.log_part(f"{task}_weight", weight)

    def by_task(self, values, name):
        """Returns values of all tasks as a dict by task, of a dict or of a list in the order of the outputs."""
        if isinstance(values, list | tuple) and len(values) == len(self.tasks):
            return dict(zip(self.tasks, values, strict=True))
        if not isinstance(values, dict) or set(values) != set(self.tasks):
            found = sorted(values) if isinstance(values, dict) else type(values).__name__
            raise ValueError(
                f"`{name}` must be a dict with an entry for each of the tasks {list(self.tasks)}. Received: {found}. A "
                "task of which no example has a label gets labels that are all missing: -1, or NaN."
            )
        return values


class _Losses:
    def __init__(self, losses, weights):
        self.losses = {task: _as_loss(keras.losses.get(loss)) for task, loss in losses.items()}
        self.weights = {task: 1.0 if weight is None else float(weight) for task, weight in weights.items()}

    def value(self, task, y_true, y_pred, sample_weight):
        return self.losses[task](y_true, y_pred, sample_weight=sample_weight)


class _FunctionLoss(keras.losses.Loss):
    """A loss of a function that gives a value an example, as names of losses stand for."""

    def __init__(self, function):
        super().__init__(name=getattr(function, "__name__", "loss"))
        self.call = function


def _as_loss(loss):
    return loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)


def _check_outputs(model, method):
    outputs = getattr(model, "outputs", None) if isinstance(model, keras.Model) else None
    if not outputs or len(outputs) < 2:
        raise ValueError(
            f"{method} balances tasks: `model` must be a functional keras.Model with two outputs or more, as "
            f"`tft.MultiTask(...).build()` makes it. Received: {model!r} with {len(outputs or [])} output(s)."
        )
