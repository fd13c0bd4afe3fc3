"""What fine-tuning changed: how far weights moved, block by block, and how far features did."""

import csv
import dataclasses
import typing

import keras
import numpy as np

from tf_transfer import _checks, _files
from tf_transfer.analysis.evaluation import evaluate_classifier
from tf_transfer.backbones import block_layers, find_backbone
from tf_transfer.backbones.blocks import block_ends
from tf_transfer.builders.taken import taken
from tf_transfer.data import as_dataset
from tf_transfer.training import LayerTaps, layer_paths


def cka(features, others):
    """Returns the linear centred kernel alignment of two sets of features of the same examples.

    Value: |Y^T X|^2 / (|X^T X| |Y^T Y|), Frobenius norms, of centred features: 1 where they are the same up to a
    rotation and a scale, near 0 where they have nothing to do with one another. With few examples for wide features it
    is too high; take several times as many examples as features, or compare values of the same sizes.

    Args:
        features: Float array of shape `(num_examples, ...)`.
        others: Float array of shape `(num_examples, ...)`, of the same examples in the same order.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: When the numbers of examples differ, or features do not vary.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(tft.analysis.cka(x, 2 * x[:, ::-1]), 6)
    1.0

    Reference:
        Kornblith et al., 2019, https://arxiv.org/abs/1905.00414
    """
    both = [np.asarray(each, "float64").reshape(len(each), -1) for each in (features, others)]
    if len(both[0]) != len(both[1]) or len(both[0]) < 2:
        raise ValueError(
            f"Both must be features of the same examples, two or more. Received: {len(both[0])} and {len(both[1])}."
        )
    x, y = (each - each.mean(axis=0) for each in both)
    # The kernels of examples are smaller where features are many; their products are the same.
    if max(x.shape[1], y.shape[1]) > len(x):
        x, y = x @ x.T, y @ y.T
        shared, own = np.sum(x * y), np.sqrt(np.sum(x * x) * np.sum(y * y))
    else:
        shared, own = np.sum((y.T @ x) ** 2), np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    if own == 0:
        raise ValueError("The features of one side are the same for all examples, so that nothing can be compared.")
    return float(min(shared / own, 1.0))


class MovedBlock(typing.NamedTuple):
    """One line of `WhatMoved`.

    Attributes:
        block: String, the name of a block, as `tft.blocks` has it.
        num_parameters: Integer.
        weight_change: Float, |w' - w| / |w| over all weights of the block, moving statistics left out; NaN for a block
            without weights.
        cka: Float in [0, 1], how alike the block's outputs are before and after; 1 where nothing changed.
    """

    block: str
    num_parameters: int
    weight_change: float
    cka: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class WhatMoved:
    """What `tft.analysis.what_moved` found.

    Attributes:
        rows: Tuple of `MovedBlock`, from the input to the output.
        source_accuracy: Pair of floats, the accuracy on the source task before and after, or None. What was lost of it
            was forgotten.
    """

    rows: tuple[MovedBlock, ...]
    source_accuracy: tuple[float, float] | None = None

    def __repr__(self):
        most = max(self.rows, key=lambda row: np.nan_to_num(row.weight_change))
        return f"<WhatMoved: {len(self.rows)} blocks, most in {most.block}: weights by {most.weight_change:.2%}>"

    def table(self):
        """Returns a `rich.table.Table`, for `rich.print`."""
        from rich.table import Table
        from rich.text import Text

        caption = None
        if self.source_accuracy is not None:
            before, after = self.source_accuracy
            caption = f"Accuracy on the source task: {before:.3f} before, {after:.3f} after."
        table = Table("block", caption=caption, caption_justify="left", box=None, pad_edge=False)
        for name in ("parameters", "weights moved", "features alike (CKA)"):
            table.add_column(name, justify="right")
        for row in self.rows:
            moved = "" if np.isnan(row.weight_change) else f"{row.weight_change:.2%}"
            table.add_row(Text(row.block), f"{row.num_parameters:,}", moved, f"{row.cka:.3f}")
        return table

    def to_csv(self, path):
        """Writes one line a block."""
        with _files.whole_file(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(MovedBlock._fields)
            writer.writerows(["" if value != value else value for value in row] for row in self.rows)

    def plot(self):
        """Draws both figures of each block, input at the top; returns a `matplotlib.figure.Figure`."""
        from matplotlib.figure import Figure

        names = [row.block for row in self.rows]
        figure = Figure(figsize=(8.4, 1.4 + 0.26 * len(names)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        left.barh(names, [np.nan_to_num(row.weight_change) * 100 for row in self.rows], color="#e0752d", height=0.7)
        left.set(xlabel="weights moved by, % of their length")
        right.barh(names, [row.cka for row in self.rows], color="#6b8fb8", height=0.7)
        right.set(xlabel="features alike before and after (CKA)", xlim=(0, 1))
        left.invert_yaxis()
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        return figure


def what_moved(pretrained, tuned, data, *, source=None, max_examples=256, batch_size=32):
    """Compares a fine-tuned backbone with the one that it came from, block by block.

    Large blocks that hardly moved can stay frozen next time; where features near the input moved far on few labels, a
    lower rate or a regularizer (`tft.L2SP`) may hold more of what was known.

    Args:
        pretrained: `keras.Model` with the weights that fine-tuning began with: the backbone as it was loaded, or a
            model with it.
        tuned: `keras.Model` with the same backbone after fine-tuning.
        data: Examples to compare features on: arrays `(x, y)`, a batched `tf.data.Dataset` or an `ImageFolder`.
        source: Labelled examples of the source task, where both are classifiers of it: how much of it was forgotten.
            Defaults to None.
        max_examples: Integer, how many examples to compare on. Defaults to 256.
        batch_size: Integer, examples at once. Defaults to 32.

    Returns:
        A `WhatMoved` with one `MovedBlock` a block.

    Raises:
        ValueError: When the backbones are not the same network, or the same object.

    Example:

    >>> layers = [keras.layers.Dense(3, name=name) for name in ("one", "two")]
    >>> before = keras.Sequential([keras.Input((4,)), *layers])
    >>> after = keras.models.clone_model(before)
    >>> after.set_weights([*before.get_weights()[:2], 2 * before.get_weights()[2], *before.get_weights()[3:]])
    >>> moved = tft.analysis.what_moved(before, after, (np.random.default_rng(0).normal(size=(40, 4)), np.zeros(40)))
    >>> [(row.block, round(row.weight_change, 3), round(row.cka, 3)) for row in moved.rows]
    [('one', 0.0, 1.0), ('two', 1.0, 1.0)]
    """
    _checks.integer(max_examples, "max_examples", 2)
    backbones = [find_backbone(model) for model in (pretrained, tuned)]
    parts = [block_layers(backbone) for backbone in backbones]
    _check_same(backbones, parts)
    outputs = [_outputs(model, backbone, data, max_examples, batch_size)
               for model, backbone in zip((pretrained, tuned), backbones, strict=True)]  # fmt: skip
    rows = []
    for name in parts[0]:
        before, after = (_weights(part[name]) for part in parts)
        num = sum(layer.count_params() for layer in parts[0][name])
        length = np.linalg.norm(before)
        change = float(np.linalg.norm(after - before) / length) if length else float("nan")
        rows.append(MovedBlock(name, num, change, cka(outputs[0][name], outputs[1][name])))
    accuracy = None
    if source is not None:
        accuracy = tuple(evaluate_classifier(model, source).accuracy for model in (pretrained, tuned))
    return WhatMoved(tuple(rows), accuracy)


def _weights(layers):
    """Returns all weights of layers that training moves, as one vector."""
    moving = [variable for layer in layers for variable in layer.weights if not _is_statistic(variable)]
    return np.concatenate([np.ravel(variable.numpy()) for variable in moving] or [np.zeros(0)]).astype("float64")


def _is_statistic(variable):
    return "float" not in variable.dtype or variable.name in ("moving_mean", "moving_variance", "mean", "variance")


def _outputs(model, backbone, data, max_examples, batch_size):
    """Returns what each block puts out for the first examples, maps averaged over their positions."""
    ends = block_ends(backbone)
    paths = {id(layer): path for path, layer in layer_paths(model).items()}
    taps = LayerTaps(model, [paths[id(layer)] for layer in ends.values()])
    found, count = {name: [] for name in ends}, 0
    for batch in as_dataset(data, batch_size=batch_size, **taken(model)):
        x = batch[0] if isinstance(batch, tuple) else batch
        with taps.attached(), taps.recording() as outputs:
            model(x, training=False)
        for name, layer in ends.items():
            found[name].append(_averaged(outputs[paths[id(layer)]]))
        count += len(found[name][-1])
        if count >= max_examples:
            break
    return {name: np.concatenate(each)[:max_examples] for name, each in found.items()}


def _averaged(output):
    output = keras.ops.convert_to_numpy(output).astype("float32")
    return output.mean(axis=tuple(range(1, output.ndim - 1))) if output.ndim > 2 else output


def _check_same(backbones, parts):
    if backbones[0] is backbones[1]:
        raise ValueError(
            f"Both models hold the very same backbone, {backbones[0].name!r}, so that nothing can have moved. A "
            "builder trains the network that it is given: compare with a copy that was made before, by "
            "`keras.models.clone_model` and `set_weights`."
        )
    shapes = [[tuple(variable.shape) for variable in backbone.weights] for backbone in backbones]
    if list(parts[0]) != list(parts[1]) or shapes[0] != shapes[1]:
        raise ValueError(
            "`pretrained` and `tuned` must have the same backbone, before and after. Received: "
            f"{backbones[0].name!r} with {len(parts[0])} blocks, {backbones[1].name!r} with {len(parts[1])}."
        )
