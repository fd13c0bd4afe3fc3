"""The space that is searched when nobody brings one."""

import keras

from tf_transfer.backbones import blocks
from tf_transfer.builders import BackboneBuilder, ImageBuilder, TabularBuilder
from tf_transfer.parameter_efficient.method import ParameterEfficient
from tf_transfer.tuning.choices import Choice, Float

_FEW_BLOCKS = 4


def default_space(builder, epochs=10):
    """Returns a space that suits a builder: its head, the rates, and how much of the backbone trains.

    A network that starts random, as that of a table, has in its second phase the rates of a first one. Give
    `tft.tuning.search` `freeze_epochs=0` for it, unless its features come from a source.

    Args:
        builder: A builder such as `tft.ImageClassifier`.
        epochs: Integer, epochs of the second phase of `tft.fine_tune`. With 0 the backbone stays frozen, and nothing
            of the second phase is searched. Defaults to 10.

    Returns:
        Dict of names to hyperparameters, to be changed at will.

    Example:

    >>> list(tft.tuning.default_space(tft.ImageClassifier(num_classes=3), epochs=0))
    ['learning_rate', 'dropout', 'hidden_units', 'l2']
    """
    if isinstance(builder, TabularBuilder):
        return _tabular_space(epochs)
    if not isinstance(builder, BackboneBuilder):
        raise ValueError(f"There is no default space for {type(builder).__name__}; bring a `space` of your own.")
    space = {
        "learning_rate": Float(3e-4, 3e-2, log=True, default=3e-3),
        "dropout": Float(0.0, 0.5, step=0.1, default=0.2),
        "hidden_units": Choice([(), (256,)]),
        "l2": Choice([0.0, 1e-4, 1e-3]),
    }
    if hasattr(builder, "adaptation_weight"):
        space["adaptation_weight"] = Float(0.01, 2.0, log=True, default=0.1)
        # What such a method aligns stands on top of a frozen backbone.
        space["hidden_units"] = Choice([(256,), (64,)])
    elif epochs and builder.trainable is True and not isinstance(builder, ImageBuilder):
        space["fine_tuning_rate"] = Float(3e-4, 3e-2, log=True, default=3e-3)
    elif epochs:
        space["fine_tuning_rate"] = Float(1e-6, 1e-3, log=True, default=3e-5)
        # A parameter-efficient method says itself what trains.
        if not isinstance(builder.trainable, ParameterEfficient) and not _has_few_blocks(builder.backbone):
            space["unfreeze"] = Choice([0.25, 0.5, True])
    return space


def _tabular_space(epochs):
    """Returns the space of a network whose feature map is random at first, and trains whole."""
    space = {
        "learning_rate": Float(3e-4, 3e-2, log=True, default=3e-3),
        "dropout": Float(0.0, 0.5, step=0.1, default=0.0),
        "l2": Choice([0.0, 1e-4, 1e-3, 1e-2]),
    }
    if epochs:
        # With a frozen feature map another size of it would be another random map, no better one.
        space["hidden_units"] = Choice([(64, 64), (16,), (64,), (128, 64)])
        space["fine_tuning_rate"] = Float(3e-4, 3e-2, log=True, default=3e-3)
    return space


def _has_few_blocks(backbone):
    if isinstance(backbone, keras.Model):
        return len(blocks(backbone)) < _FEW_BLOCKS
    return backbone.startswith("hub:")
