"""How much a model of a table needs each of its columns."""

import dataclasses

import numpy as np

from tf_transfer import _checks
from tf_transfer.builders.taken import taken
from tf_transfer.data import as_dataset


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ColumnImportance:
    """What `tft.analysis.permutation_importance` found.

    Attributes:
        columns: List of strings, the most important first.
        losses: Float array of shape `(num_columns, num_repeats)`, how far the loss rose in each repeat.
        loss: Float, the loss with all columns as they are.
    """

    columns: list
    losses: np.ndarray
    loss: float

    def __repr__(self):
        shown = ", ".join(f"{name} {mean:+.3g}" for name, mean in zip(self.columns[:5], self.means, strict=False))
        return f"<ColumnImportance: {shown}{', ...' if len(self.columns) > 5 else ''}>"

    @property
    def means(self):
        """Float array of shape `(num_columns,)`, the mean rise of the loss."""
        return self.losses.mean(axis=1)

    def table(self):
        """Returns a `rich.table.Table`, for `rich.print`."""
        from rich.table import Table
        from rich.text import Text

        caption = f"How far the loss, {self.loss:.4g}, rises when a column is shuffled."
        table = Table("column", caption=caption, caption_justify="left", box=None, pad_edge=False)
        for name in ("rise of the loss", "standard deviation"):
            table.add_column(name, justify="right")
        for name, values in zip(self.columns, self.losses, strict=True):
            table.add_row(Text(name), f"{values.mean():+.4g}", f"{values.std():.2g}")
        return table

    def plot(self):
        """Draws the columns with the rise of the loss in each repeat; returns a `matplotlib.figure.Figure`."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 1.2 + 0.3 * len(self.columns)), layout="constrained")
        axes = figure.subplots()
        axes.barh(self.columns, self.means, color="#6b8fb8", height=0.7)
        for row, values in enumerate(self.losses):
            axes.scatter(values, np.full(len(values), row), color="0.25", s=8, zorder=2)
        axes.axvline(0, color="0.4", linewidth=1)
        axes.invert_yaxis()
        axes.set(xlabel="rise of the loss when the column is shuffled")
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def permutation_importance(model, data, *, num_repeats=5, batch_size=256, seed=0):
    """Shuffles one column after the other and says how far the model's loss rises.

    A column that the model needs costs much; one that says what another says costs little, for the other still does.
    Take examples that the model was not trained on: on those it was, what it learned by heart counts as needed.

    Args:
        model: Compiled `keras.Model` that takes a dict of columns, such as `tft.TabularClassifier` builds.
        data: Arrays `(x, y)` with x a dict of columns, such as `(builder.inputs(table), y)`.
        num_repeats: Integer, how often each column is shuffled. Defaults to 5.
        batch_size: Integer, rows at once. Defaults to 256.
        seed: Integer, of the orders. Defaults to 0.

    Returns:
        A `ColumnImportance`.

    Raises:
        ValueError: When x is no dict of columns, or the model is not compiled with a loss.

    Example:

    >>> inputs = {name: keras.Input((1,), name=name) for name in ("used", "idle")}
    >>> model = keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs["used"]))
    >>> model.compile(loss="mse")
    >>> x = {name: np.arange(8.0)[:, None] for name in inputs}
    >>> found = tft.analysis.permutation_importance(model, (x, 2 * x["used"]))
    >>> found.columns[0], found.loss, float(found.means[1])
    ('used', 0.0, 0.0)

    Reference:
        Breiman, 2001; Fisher et al., 2019, https://arxiv.org/abs/1801.01489
    """
    _checks.integer(num_repeats, "num_repeats", 1)
    if not isinstance(data, tuple) or len(data) != 2 or not isinstance(data[0], dict) or not data[0]:
        raise ValueError(
            "`data` must be (x, y) with x a dict of columns, such as `(builder.inputs(table), y)`. "
            f"Received: {type(data).__name__}."
        )
    if getattr(model, "loss", None) is None:
        raise ValueError(f"{model.name!r} must be compiled with a loss, whose rise is the importance.")
    x, y = {name: np.asarray(column) for name, column in data[0].items()}, data[1]
    rng = np.random.default_rng(_checks.integer(seed, "seed", 0))

    def loss(columns):
        dataset = as_dataset((columns, y), batch_size=batch_size, **taken(model))
        return float(model.evaluate(dataset, verbose=0, return_dict=True)["loss"])

    before, losses = loss(x), []
    for name, column in x.items():
        orders = (rng.permutation(len(column)) for _ in range(num_repeats))
        losses.append([loss({**x, name: column[order]}) - before for order in orders])
    losses = np.array(losses)
    order = np.argsort(-losses.mean(axis=1), kind="stable")
    return ColumnImportance([list(x)[at] for at in order], losses[order], before)
