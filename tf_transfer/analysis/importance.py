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


def nearest_examples(encoder, queries, examples, *, num_neighbors=5, batch_size=64):
    """Finds the examples that a model sees as most like others, such as training images like a mistaken one.

    Args:
        encoder: `keras.Model` from inputs to features, such as `tft.backbones.split_at_backbone(model)[0]`; maps are
            flattened.
        queries: Array of inputs, or dict of arrays.
        examples: The same of the examples to look among, such as those that the model was trained on.
        num_neighbors: Integer. Defaults to 5.
        batch_size: Integer, examples at once. Defaults to 64.

    Returns:
        A pair of arrays of shape `(num_queries, num_neighbors)`: the places in `examples`, nearest first, and the
        cosines of the features.

    Raises:
        ValueError: When there are fewer examples than neighbors.

    Example:

    >>> encoder = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(2.0)])
    >>> places, cosines = tft.analysis.nearest_examples(encoder, [[1.0, 1.0]], np.eye(2) + 0.1, num_neighbors=1)
    >>> places.shape, round(float(cosines[0, 0]), 3)
    ((1, 1), 0.768)
    """
    from sklearn.neighbors import NearestNeighbors

    _checks.integer(num_neighbors, "num_neighbors", 1)
    sides = (encoder.predict(_arrays(each), batch_size=batch_size, verbose=0) for each in (queries, examples))
    asked, known = (each.reshape(len(each), -1) for each in sides)
    if len(known) < num_neighbors:
        raise ValueError(f"`num_neighbors` must be at most the number of examples, {len(known)}: {num_neighbors}.")
    found = NearestNeighbors(n_neighbors=num_neighbors, metric="cosine").fit(known)
    distances, places = found.kneighbors(asked)
    return places, 1.0 - distances


def _arrays(inputs):
    return inputs if isinstance(inputs, dict) else np.asarray(inputs)
