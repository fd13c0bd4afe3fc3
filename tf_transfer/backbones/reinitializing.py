"""Fresh random weights from a seed of one's own: the fair opponent of a pretrained network."""

import keras
import numpy as np

from tf_transfer.layers import HubLayer


def reinitialize(model, seed):
    """Draws every weight of a model anew, as its layers' own initializers say, from one seed.

    Keras draws the weights of `weights=None` from its global generator. This makes them a function of the seed.

    Args:
        model: A built `keras.Model`; its weights are replaced.
        seed: Integer. Each weight has a stream of its own, so that the draws do not depend on the order of calls.

    Returns:
        The model itself.

    Example:

    >>> a, b = [tft.load_backbone("mobilenet_v2", None, (32, 32, 3), alpha=0.35) for _ in range(2)]
    >>> for backbone in (a, b):
    ...     _ = tft.backbones.reinitialize(backbone, seed=7)
    >>> all(np.array_equal(v, w) for v, w in zip(a.get_weights(), b.get_weights()))
    True
    """
    seeds = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, HubLayer):
            layer.reinitialize(int(seeds.integers(2**31)))
        else:
            _reinitialize_layer(layer, seeds)
    return model


def _reinitialize_layer(layer, seeds):
    for name in sorted(vars(layer)):
        initializer = getattr(layer, name) if name.endswith("_initializer") else None
        variable = _initialized_by(layer, name.removesuffix("_initializer"))
        if variable is not None and isinstance(initializer, keras.initializers.Initializer):
            config = initializer.get_config()
            if "seed" in config:
                config["seed"] = int(seeds.integers(2**31))
            variable.assign(type(initializer).from_config(config)(variable.shape, variable.dtype))


def _initialized_by(layer, name):
    """Returns the variable that an initializer is for; the kernel of a depthwise convolution is called just that."""
    for attribute in (name, f"{name}_kernel", "kernel" if name == "depthwise" else name):
        variable = getattr(layer, attribute, None)
        if isinstance(variable, keras.Variable):
            return variable
    return None
