"""Compiling a model again as it was, with another optimizer of the same kind."""

import keras


def base_optimizer(model):
    """Returns the optimizer that the user compiled with, without the loss scaling that Keras puts around it."""
    optimizer = model.optimizer
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        raise ValueError("`fine_tune` sets the rates itself: compile with one optimizer, and say `layer_decay=`.")
    return optimizer


def optimizer_like(model, learning_rate, kind):
    """Returns a new optimizer of the user's kind with another learning rate."""
    config = {**kind.get_config(), "learning_rate": learning_rate}
    with model.distribute_strategy.scope():
        return type(kind).from_config(config)


def compile_with(model, optimizer):
    """Compiles a model again as it was, with another optimizer."""
    with model.distribute_strategy.scope():
        model.compile(**{**model._compile_config.config, "optimizer": optimizer})


def compile_like(head, model):
    """Compiles the head of a model with the loss and metrics of the whole."""
    with model.distribute_strategy.scope():
        head.compile(**{**model._compile_config.config, "optimizer": None})
