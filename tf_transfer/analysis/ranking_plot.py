"""The picture of a ranking of backbones."""

from tf_transfer import _checks

_COSTS = {
    "examples_per_second": "examples a second",
    "num_parameters": "parameters",
    "flops": "floating point operations an example",
}


def plot_ranking(ranking, score, cost):
    """Returns a `matplotlib.figure.Figure` of a `BackboneRanking`; see its `plot`."""
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    names = list(ranking.rows[0].scores)
    score = names[0] if score is None else _checks.one_of(score, "score", names)
    _checks.one_of(cost, "cost", list(_COSTS))
    rows = [row for row in ranking.rows if getattr(row, cost) is not None]
    if not rows:
        raise ValueError(f"No backbone has {cost!r}. Take one of {[each for each in _COSTS if each != cost]}.")
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    x, y = [getattr(row, cost) for row in rows], [row.scores[score] for row in rows]
    front = _front(x, y, cheap_is_large=cost == "examples_per_second")
    axes.plot([x[at] for at in front], [y[at] for at in front], color="#b9c8dc", linewidth=2, zorder=1)
    colors = ["#e0752d" if row is ranking.rows[0] else "#2f6db3" for row in rows]
    axes.scatter(x, y, c=colors, s=36, zorder=2)
    axes.set_xscale("log")
    axes.margins(0.16, 0.12)
    middle = (min(x) * max(x)) ** 0.5
    for at, row in enumerate(rows):
        left = x[at] > middle
        axes.annotate(row.name, (x[at], y[at]), (-7 if left else 7, 5), textcoords="offset points", fontsize=9,
                      ha="right" if left else "left",
                      path_effects=[withStroke(linewidth=3, foreground="white")])  # fmt: skip
    axes.set(xlabel=f"{_COSTS[cost]}" + (f", {ranking.machine}" if cost == "examples_per_second" else ""), ylabel=score)
    axes.set_title(f"{ranking.best} is first over all scores", fontsize=11)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _front(costs, scores, cheap_is_large):
    """Returns the places of those that none beats in cost and score, by cost."""
    costs = [-cost for cost in costs] if cheap_is_large else list(costs)
    order = sorted(range(len(costs)), key=lambda at: (costs[at], -scores[at]))
    front, best = [], float("-inf")
    for at in order:
        if scores[at] > best:
            front.append(at)
            best = scores[at]
    return front
