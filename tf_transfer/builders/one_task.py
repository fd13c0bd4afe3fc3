"""One task of a model of several, for what works on one output."""

import keras

from tf_transfer import _checks
from tf_transfer.training import as_multi_worker


def one_task(model, task):
    """Returns the part of a model of several tasks that answers one of them, which shares its layers.

    What is made for one output works on it: a `Distiller`, and, on its two halves from
    `tft.backbones.split_at_backbone`, the methods of domain adaptation. Training it trains the model, so that tasks can
    take turns. It is compiled with the loss and the metrics of the task, and an optimizer of its own that is configured
    as the model's.

    Args:
        model: `keras.Model` of several outputs, as `tft.MultiTask(...).build()` makes it.
        task: String, the name of the output.

    Returns:
        A `keras.Model` with one output.

    Raises:
        ValueError: For a name that is none of its outputs.

    Example:

    >>> trunk = tft.builders.ImageBuilder(weights=None, input_shape=(32, 32, 3), backbone_options={"alpha": 0.35})
    >>> tasks = {"digit": tft.ClassificationTask(num_classes=10), "slant": tft.RegressionTask()}
    >>> digits = tft.builders.one_task(tft.MultiTask(trunk=trunk, tasks=tasks).build(), "digit")
    >>> digits.output_shape, len(tft.backbones.split_at_backbone(digits))
    ((None, 10), 2)
    """
    names = list(getattr(model, "output_names", None) or [])
    if len(names) < 2:
        raise ValueError(
            f"`model` must have several outputs, one a task. Received: {model!r} with the outputs {names}."
        )
    at = names.index(_checks.one_of(task, "task", names))
    inputs = model.input
    with model.distribute_strategy.scope():
        single = as_multi_worker(keras.Model(inputs, model.outputs[at], name=f"{model.name}_{task}"))
        if model.compiled:
            # What was made of these is not shared, for a metric or an optimizer keeps a state.
            config = keras.saving.deserialize_keras_object(model.get_compile_config())
            own = {name: _of_task(config.get(name), task, at) for name in ("loss", "metrics", "weighted_metrics")}
            single.compile(config["optimizer"], **own)
    return single


def _of_task(values, task, at):
    if isinstance(values, dict):
        return values.get(task)
    return values[at] if isinstance(values, list | tuple) else values
