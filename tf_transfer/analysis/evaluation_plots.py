"""Figures of a `ClassifierEvaluation`."""

import numpy as np

from tf_transfer import _checks

# Beyond this many classes the numbers would be too small to read.
_MOST_CLASSES_WITH_NUMBERS = 20


def confusion(evaluation):
    """Returns a figure of the confusion matrix: counts as numbers, the share of the true class as color."""
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    counts, names = evaluation.confusion, evaluation.class_names
    size = min(12.0, 2.5 + 0.42 * len(names))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    # Colored by counts, a frequent class would hide what happens in a rare one.
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    display = ConfusionMatrixDisplay(shares, display_labels=names)
    display.plot(ax=axes, cmap="Blues", include_values=False, colorbar=False, im_kw={"vmin": 0, "vmax": 1})
    if len(names) <= _MOST_CLASSES_WITH_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else ("black" if count else "0.75")
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=9)
    axes.set(xlabel="predicted", ylabel="true")
    if max(map(len, names)) > 3:
        axes.tick_params(axis="x", rotation=45)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    return figure


def mistakes(evaluation, images, num):
    """Returns a figure of the most confident mistakes, each with its label, its prediction and the score."""
    from matplotlib.figure import Figure

    images = np.asarray(images)
    _checks.integer(num, "num", minimum=1)
    if images.ndim != 4 or len(images) != len(evaluation.labels) or images.shape[-1] not in (1, 3):
        raise ValueError(
            "`images` must have shape (num_examples, height, width, 1 or 3), one image for each of the "
            f"{len(evaluation.labels)} evaluated examples. Received: shape {images.shape}."
        )
    worst = evaluation.most_confident_mistakes(num)
    columns = min(4, max(1, len(worst)))
    rows = max(1, -(-len(worst) // columns))
    figure = Figure(figsize=(2.1 * columns, 2.3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, mistake in zip(grid, worst):
        picture = np.clip(images[mistake.index], 0, 255).astype("uint8")
        axes.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=255)
        axes.set_title(evaluation.describe(mistake).replace(" taken for ", "\ntaken for "), fontsize=8)
    if not worst:
        grid[0].text(0.5, 0.5, "no mistakes", ha="center", va="center")
    return figure


def together(evaluation):
    """Returns a figure of which labels come together, in truth and as a model gives them."""
    from matplotlib.figure import Figure

    names = evaluation.class_names
    side = min(9.0, 2.2 + 0.42 * len(names))
    figure = Figure(figsize=(2 * side, side), layout="constrained")
    for axes, shares, title in zip(figure.subplots(1, 2, sharey=True), evaluation.together(), ("true", "given")):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        if len(names) <= _MOST_CLASSES_WITH_NUMBERS:
            for (row, column), share in np.ndenumerate(shares):
                color = "white" if share > 0.5 else "black"
                axes.text(column, row, "" if np.isnan(share) else f"{100 * share:.0f}", ha="center", va="center",
                          color=color, fontsize=9)  # fmt: skip
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.set(title=f"{title} labels", xlabel="have also, %")
    figure.axes[0].set_ylabel("of those that have")
    return figure
