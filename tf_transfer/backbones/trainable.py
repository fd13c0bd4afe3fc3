"""Which layers of a model train: one call for whole backbones, blocks and patterns."""

import math
import re
from typing import NamedTuple

import keras

from tf_transfer import _checks
from tf_transfer.backbones.blocks import block_layers, find_backbone, side_by_side
from tf_transfer.training import refresh_training


class TrainableCount(NamedTuple):
    """How much of a model trains.

    Args:
        trainable: Integer, number of parameters that training changes by gradients.
        total: Integer, number of parameters of the model.
    """

    trainable: int
    total: int

    def __str__(self):
        share = self.trainable / self.total if self.total else 0.0
        return f"{self.trainable:,} of {self.total:,} parameters train ({share:.1%})"


def set_trainable(model, trainable, *, batch_norm="frozen", verbose=True):
    """Chooses which part of a model's backbone trains; the head on top of it always does.

    The model may be a backbone, or a model with a backbone nested in it (what the builders return). After a call
    on a compiled model the next `fit` trains what was chosen, and the optimizer keeps its state.

    Args:
        model: A built `keras.Model`.
        trainable: What trains in the backbone:

            - `False` nothing, `True` everything;
            - an integer, that many blocks from the top;
            - a float in (0, 1], that fraction of the blocks, from the top, rounded up;
            - a block's name, from this block up;
            - a list of block names, exactly these;
            - `"re:..."`, the layers whose name, or whose block's name, the regular expression finds;
            - for backbones side by side, as `tft.FeatureFusion` has them, a dict from a branch to any of these. A
              boolean, a number or a fraction is meant for each branch.
        batch_norm: "frozen" keeps every batch normalisation of the backbone as it was trained, statistics and
            scale; "trainable" lets those in the chosen blocks train and update. A Hub module has its own inside its
            graph, out of reach: they follow the module. Defaults to "frozen".
        verbose: Boolean, whether to print the count. Defaults to True.

    Returns:
        A `TrainableCount`, `(trainable, total)` numbers of parameters.

    Raises:
        ValueError: When nothing matches, or what matches has nothing to train; the message lists the blocks.

    Example:

    >>> model = tft.ImageClassifier(num_classes=3, weights=None, input_shape=(32, 32, 3),
    ...                             backbone_options={"alpha": 0.35}).build()
    >>> tft.set_trainable(model, False, verbose=False).trainable == 1280 * 3 + 3
    True
    >>> count = tft.set_trainable(model, "block_16", verbose=False)
    >>> 0 < count.trainable < count.total
    True
    """
    _checks.one_of(batch_norm, "batch_norm", ["frozen", "trainable"])
    backbone = find_backbone(model)
    chosen = _choose(backbone, trainable)
    if chosen and not any(_can_train(layer, batch_norm) for layer in chosen):
        raise ValueError(
            f"`trainable`={trainable!r} selects layers that have nothing to train with batch_norm={batch_norm!r}. "
            f"The blocks are {list(block_layers(backbone))}."
        )
    # Below a container that is frozen nothing trains, whatever the layers inside say.
    if model is not backbone and not model.trainable:
        model.trainable = True
    _set_layers(backbone, chosen, batch_norm)
    refresh_training(model)
    count = count_trainable(model)
    if verbose:
        print(f"{model.name}: {count}; backbone {_describe(backbone, chosen)}")
    return count


def count_trainable(model):
    """Counts what trains in a model as its flags stand.

    Args:
        model: A built `keras.Model`.

    Returns:
        A `TrainableCount`, `(trainable, total)` numbers of parameters.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    >>> print(tft.backbones.count_trainable(model))
    21 of 27 parameters train (77.8%)
    """
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    return TrainableCount(trainable, model.count_params())


def _choose(backbone, trainable):
    """Returns the layers of the backbone that are to train, as a list without doubles."""
    branches = side_by_side(backbone)
    if branches:
        trainable = _by_branch(branches, trainable)
    if isinstance(trainable, dict):
        _known_branches(backbone, branches, trainable)
        return [layer for name, part in trainable.items() for layer in _choose(branches[name], part)]
    grouped = block_layers(backbone)
    names = list(grouped)
    if isinstance(trainable, bool):
        picked = names if trainable else []
    elif isinstance(trainable, str) and trainable.startswith("re:"):
        return _choose_pattern(grouped, trainable)
    elif isinstance(trainable, str):
        _known_block(trainable, names)
        picked = names[names.index(trainable) :]
    elif isinstance(trainable, list | tuple):
        picked = [_known_block(name, names) for name in trainable]
        if not picked:
            raise ValueError(
                f"`trainable` is an empty list. Say False to freeze everything, or name blocks of {names}."
            )
    else:
        picked = names[len(names) - _count_from_top(trainable, names) :]
    return [layer for name in names if name in picked for layer in grouped[name]]


def _by_branch(branches, trainable):
    """Returns what trains in each branch where one says it for all of them, or names a block of one; else as it was."""
    if isinstance(trainable, bool | int | float):
        return dict.fromkeys(branches, trainable)
    name, _, block = trainable.partition("/") if isinstance(trainable, str) else ("", "", "")
    return {name: block} if name in branches and block else trainable


def _known_branches(backbone, branches, trainable):
    if not branches or not trainable:
        raise ValueError(
            f"`trainable` as a dict says what trains in each branch. {backbone.name!r} has the branches "
            f"{list(branches)}; its blocks are {list(block_layers(backbone))}. Received: trainable={trainable!r}."
        )
    for name in trainable:
        _checks.one_of(name, "branch", branches)


def _choose_pattern(grouped, trainable):
    try:
        pattern = re.compile(trainable.removeprefix("re:"))
    except re.error as error:
        raise ValueError(f"`trainable` is not a regular expression: {trainable!r} ({error}).") from error
    found = [
        layer
        for name, members in grouped.items()
        for layer in members
        if pattern.search(name) or pattern.search(layer.name)
    ]
    if not found:
        raise ValueError(f"`trainable`={trainable!r} matches no layer. The blocks are {list(grouped)}.")
    return found


def _count_from_top(trainable, names):
    if isinstance(trainable, float):
        fraction = _checks.number(trainable, "trainable", minimum=0.0, maximum=1.0)
        if fraction == 0.0:
            raise ValueError(f"`trainable`=0.0 trains none of the blocks {names}. To freeze them all say False.")
        return math.ceil(fraction * len(names))
    if not isinstance(trainable, int):
        raise ValueError(
            "`trainable` must be a boolean, a number of blocks, a fraction, a block's name, a list of names or "
            f"'re:...'. Received: trainable={trainable!r}."
        )
    try:
        return _checks.integer(trainable, "trainable", minimum=1, maximum=len(names))
    except ValueError as error:
        raise ValueError(f"{error} The blocks are {names}; to freeze them all say False.") from None


def _known_block(name, names):
    if name not in names:
        hint = _checks.did_you_mean(name, names)
        raise ValueError(f"The backbone has no block {name!r}. The blocks are {names}.{hint}")
    return name


def _set_layers(backbone, chosen, batch_norm):
    chosen_ids = {id(part) for layer in chosen for part in layer._flatten_layers()}
    # Keras passes a flag on to the layers inside only when it changes, and a container that is frozen freezes all.
    backbone.trainable = False
    if not chosen:
        return
    backbone.trainable = True
    for part in backbone._flatten_layers():
        if part._trainable_variables or part._non_trainable_variables:
            frozen = batch_norm == "frozen" and isinstance(part, keras.layers.BatchNormalization)
            part.trainable = id(part) in chosen_ids and not frozen


def _can_train(layer, batch_norm):
    """Returns whether a layer has variables that gradients could move, its own or those of layers in it."""
    return any(
        part._trainable_variables
        for part in layer._flatten_layers()
        if batch_norm == "trainable" or not isinstance(part, keras.layers.BatchNormalization)
    )


def _describe(backbone, chosen):
    grouped = block_layers(backbone)
    chosen_ids = {id(layer) for layer in chosen}
    names = [name for name, members in grouped.items() if any(id(layer) in chosen_ids for layer in members)]
    if not names:
        return "frozen"
    if len(names) == len(grouped):
        return f"trains whole ({len(names)} blocks)"
    return f"trains {names[0]} to {names[-1]}" if len(names) > 1 else f"trains {names[0]}"
