"""The picture of a search: what was tried, rung by rung, and how it scored."""

RUNGS = ("frozen", "short", "long", "again")
_COLORS = ("#2f6db3", "#3f9b6a", "#8a5fb0", "#c2496b", "#7a7a7a", "#2a9fb0", "#b08d2a", "#555599")


def plot_trials(result):
    """Returns a `matplotlib.figure.Figure` of an `AutoResult`; see its `plot`."""
    from matplotlib.figure import Figure

    rungs = [rung for rung in RUNGS if any(each.rung == rung for each in result.trials)]
    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(each.name for each in result.trials))
    for number, name in enumerate(names):
        own = [each for each in result.trials if each.name == name]
        best = name == result.best.name
        color = "#e0752d" if best else _COLORS[number % len(_COLORS)]
        places = [rungs.index(each.rung) + 0.04 * (number - len(names) / 2) for each in own]
        axes.plot(places, [each.score for each in own], color=color, linewidth=2.5 if best else 1.2, zorder=2 + best)
        for place, each in zip(places, own, strict=True):
            axes.plot([place, place], [min(each.scores), max(each.scores)], color=color, alpha=0.35, linewidth=3)
            filled = color if each.finished else "white"
            axes.scatter(place, each.score, s=48 if best else 30, color=filled, edgecolor=color, zorder=3 + best)
        axes.plot([], [], color=color, marker="o", label=f"{name}{' (best)' if best else ''}")
    for number, each in enumerate(result.baselines):
        style = (0, (6 - 3 * (number % 2), 3))
        axes.axhline(each.score, color="#7a7a7a", linewidth=1.2, linestyle=style, label=f"{each.name}, no network")
    axes.set_xticks(range(len(rungs)), [_meaning(rung) for rung in rungs])
    axes.set(ylabel=f"{result.metric}, mean of the parts", xlim=(-0.5, len(rungs) - 0.5))
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _meaning(rung):
    meanings = {
        "frozen": "backbone frozen",
        "short": "trained short",
        "long": "trained long",
        "again": "other parts too",
    }
    return meanings[rung]
