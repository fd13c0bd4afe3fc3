"""How the features of several backbones become those of one head, in Keras' own layers."""

import keras

from tf_transfer import _checks

FUSIONS = ("concatenate", "gated", "attention", "residual")


def fuse(features, sizes, fusion="concatenate", units=128, seed=None):
    """Fuses the features of several branches, which come side by side in one tensor.

    Args:
        features: Tensor of shape `(batch, sum(sizes))`.
        sizes: Sequence of at least two integers, the width of each branch's features.
        fusion: "concatenate", "gated", "attention" or "residual", see `FusionBuilder`. Defaults to "concatenate".
        units: Integer, width of what branches are projected to. Defaults to 128.
        seed: Integer or None, of the random kernels.

    Returns:
        Tensor of shape `(batch, sum(sizes))` for "concatenate", `(batch, sizes[0])` for "residual", else
        `(batch, units)`.

    Example:

    >>> fused = tft.builders.fuse(keras.Input((7,)), sizes=(3, 4), fusion="gated", units=16)
    >>> fused.shape
    (None, 16)

    Reference:
        Gated: Arevalo et al., 2017, https://arxiv.org/abs/1702.01992. Attention: Bahdanau et al., 2015,
        https://arxiv.org/abs/1409.0473. Residual: Long et al., 2016, https://arxiv.org/abs/1602.04433
    """
    _checks.one_of(fusion, "fusion", FUSIONS)
    if fusion == "concatenate":
        return features
    edges = [sum(sizes[:i]) for i in range(1, len(sizes))]
    parts = keras.ops.split(features, edges, axis=-1)
    if fusion == "residual":
        return _residual(parts, units, seed)
    # Each branch in the range of the others, whatever its backbone was trained to give.
    hidden = [
        keras.layers.Dense(units, "tanh", kernel_initializer=_glorot(seed, i), name=f"project_{i + 1}")(
            keras.layers.LayerNormalization(name=f"normalize_{i + 1}")(part)
        )
        for i, part in enumerate(parts)
    ]
    stacked = keras.ops.stack(hidden, axis=1)
    if fusion == "gated":
        # From zero all branches count alike, in every unit.
        gates = keras.layers.Dense(len(sizes) * units, kernel_initializer="zeros", name="gates")(
            keras.layers.Concatenate(name="projected")(hidden)
        )
        gates = keras.layers.Reshape((len(sizes), units), name="gates_by_branch")(gates)
    else:
        gates = keras.layers.Dense(1, kernel_initializer="zeros", name="attention")(stacked)
    weights = keras.layers.Softmax(axis=1, name="weights")(gates)
    return keras.ops.sum(weights * stacked, axis=1)


def _residual(parts, units, seed):
    first, *others = parts
    rest = others[0] if len(others) == 1 else keras.layers.Concatenate(name="others")(others)
    hidden = keras.layers.Dense(units, "relu", kernel_initializer=_glorot(seed, 0), name="residual_hidden")(rest)
    # From zero the fused features are those of the first branch.
    change = keras.layers.Dense(first.shape[-1], kernel_initializer="zeros", name="residual")(hidden)
    return keras.layers.Add(name="with_residual")([first, change])


def _glorot(seed, number):
    return keras.initializers.GlorotUniform(seed=None if seed is None else seed + number)
