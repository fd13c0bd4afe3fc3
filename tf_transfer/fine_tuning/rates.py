"""Learning rates of fine-tuning: how they move over the steps, and lower rates for earlier layers."""

import re

import keras

from tf_transfer.backbones.blocks import block_layers, find_backbone


def warmup_cosine(learning_rate, num_steps, warmup=0.1):
    """Returns a schedule that rises linearly from 0 to `learning_rate` and falls to 0 along a cosine.

    Args:
        learning_rate: Float, the highest rate.
        num_steps: Integer, number of steps of the whole training.
        warmup: Float in [0, 1), the fraction of the steps in which the rate rises. Defaults to 0.1.

    Returns:
        A `keras.optimizers.schedules.CosineDecay`.

    Reference:
        Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983

    Example:

    >>> schedule = tft.fine_tuning.warmup_cosine(0.5, num_steps=20, warmup=0.2)
    >>> [round(float(schedule(step)), 3) for step in (0, 2, 4, 12, 20)]
    [0.0, 0.25, 0.5, 0.25, 0.0]
    """
    num_warmup = int(warmup * num_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if num_warmup else learning_rate,
        max(1, num_steps - num_warmup),
        warmup_target=learning_rate if num_warmup else None,
        warmup_steps=num_warmup,
    )


def step_decay(learning_rate, num_steps, factor=0.1, at=(0.3, 0.6, 0.9)):
    """Returns a schedule that stays at `learning_rate` and falls by a factor at some parts of the training.

    Args:
        learning_rate: Float, the first rate.
        num_steps: Integer, number of steps of the whole training.
        factor: Float in (0, 1], by which the rate is multiplied each time. Defaults to 0.1.
        at: Sequence of floats in (0, 1), the parts of the steps after which it falls. Defaults to (0.3, 0.6, 0.9).

    Returns:
        A `keras.optimizers.schedules.PiecewiseConstantDecay`.

    Reference:
        Kolesnikov et al., 2020, https://arxiv.org/abs/1912.11370

    Example:

    >>> schedule = tft.fine_tuning.step_decay(0.5, num_steps=10)
    >>> [round(float(schedule(step)), 4) for step in (0, 2, 3, 5, 6, 9)]
    [0.5, 0.5, 0.05, 0.05, 0.005, 0.0005]
    """
    # Keras changes the value after the step that it is told.
    ends = [int(part * num_steps) - 1 for part in at]
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        ends, [learning_rate * factor**i for i in range(len(at) + 1)]
    )


SCHEDULES = {"cosine": warmup_cosine, "steps": step_decay}


def layer_decay_optimizer(model, make_optimizer, learning_rate, decay):
    """Returns an optimizer whose rate falls by a factor with each block of the backbone, from the top down.

    The head has `learning_rate`, the topmost block that trains `learning_rate * decay`, the one below
    `learning_rate * decay**2`, and so on.

    Args:
        model: A `keras.Model` with a backbone, its `trainable` flags set.
        make_optimizer: Function from a rate to a new optimizer.
        learning_rate: Float, rate of the head.
        decay: Float in (0, 1].

    Returns:
        A `keras.optimizers.MultiOptimizer`.

    Example:

    >>> model = tft.ImageClassifier(num_classes=2, weights=None, input_shape=(32, 32, 3), trainable="block_16",
    ...                             backbone_options={"alpha": 0.35}).build()
    >>> optimizer = tft.fine_tuning.layer_decay_optimizer(model, keras.optimizers.SGD, 0.1, decay=0.5)
    >>> sorted(round(float(each.learning_rate), 3) for each in optimizer.optimizers)
    [0.025, 0.05, 0.1]

    Reference:
        Howard and Ruder, 2018 (discriminative fine-tuning), https://arxiv.org/abs/1801.06146
    """
    grouped = block_layers(find_backbone(model))
    optimizers = {}
    for layers in reversed(grouped.values()):
        paths = [variable.path for layer in layers for variable in layer.trainable_variables]
        if paths:
            pattern = "|".join(re.escape(path) for path in paths)
            optimizers[pattern] = make_optimizer(learning_rate * decay ** (len(optimizers) + 1))
    choice = keras.optimizers.OptimizerMap(make_optimizer(learning_rate), optimizers)
    return keras.optimizers.MultiOptimizer(choice)


def head_rate_optimizer(model, make_optimizer, learning_rate, factor):
    """Returns an optimizer that has a larger rate for what is not the backbone: the head, which is new.

    Args:
        model: A `keras.Model` with a backbone, its `trainable` flags set.
        make_optimizer: Function from a rate to a new optimizer.
        learning_rate: Float, rate of the backbone.
        factor: Float of at least 1; the head has `learning_rate * factor`.

    Returns:
        A `keras.optimizers.MultiOptimizer`, or a plain one when nothing of the backbone trains.

    Example:

    >>> model = tft.ImageClassifier(num_classes=2, weights=None, input_shape=(32, 32, 3), trainable=True,
    ...                             backbone_options={"alpha": 0.35}).build()
    >>> optimizer = tft.fine_tuning.head_rate_optimizer(model, keras.optimizers.SGD, 0.01, factor=10)
    >>> sorted(round(float(each.learning_rate), 3) for each in optimizer.optimizers)
    [0.01, 0.1]

    Reference:
        Ganin et al., 2016, https://arxiv.org/abs/1505.07818; Long et al., 2015, https://arxiv.org/abs/1502.02791
    """
    paths = [variable.path for variable in find_backbone(model).trainable_variables]
    head = make_optimizer(learning_rate * factor)
    if not paths:
        return head
    pattern = "|".join(re.escape(path) for path in paths)
    choice = keras.optimizers.OptimizerMap(head, {pattern: make_optimizer(learning_rate)})
    return keras.optimizers.MultiOptimizer(choice)
