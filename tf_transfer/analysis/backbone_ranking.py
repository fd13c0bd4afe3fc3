"""Backbones side by side: how well their features fit a task, and what they cost."""

import csv
import dataclasses
import typing

import numpy as np

from tf_transfer import _files


class RankedBackbone(typing.NamedTuple):
    """One line of a ranking.

    Attributes:
        name: String.
        rank: Float, the mean over the scores of its place by each, 1 for the best.
        scores: Dict of the names of scores to floats, higher for better.
        num_features: Integer, the width of the features.
        num_parameters: Integer, all weights.
        flops: Integer, floating point operations of one example, or None where they can't be counted.
        examples_per_second: Float, on this machine.
    """

    name: str
    rank: float
    scores: dict
    num_features: int
    num_parameters: int
    flops: int | None
    examples_per_second: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BackboneRanking:
    """What `tft.rank_backbones` found.

    Attributes:
        rows: Tuple of `RankedBackbone`, the best first.
        num_examples: Integer, how many examples the scores are of.
        machine: String, what the times were measured on.
    """

    rows: tuple[RankedBackbone, ...]
    num_examples: int
    machine: str

    def __repr__(self):
        return f"<BackboneRanking: {', '.join(row.name for row in self.rows)}>"

    @property
    def best(self):
        """String, the name of the first."""
        return self.rows[0].name

    @property
    def caption(self):
        """String, what the figures are."""
        return (
            f"Scores of {self.num_examples} examples, higher is better; sorted by the mean place. Speed measured on "
            f"{self.machine}."
        )

    def table(self):
        """Returns a `rich.table.Table`, for `rich.print`."""
        from rich.table import Column, Table
        from rich.text import Text

        name = Column("backbone", overflow="fold")
        table = Table(name, caption=self.caption, caption_justify="left", box=None, pad_edge=False)
        for name in (*self._score_names, "features", "parameters", "GFLOP", "examples/s"):
            table.add_column(name, justify="right")
        for row in self.rows:
            # As text, so that brackets in a name are not taken for markup.
            table.add_row(*(Text(cell, overflow="fold") for cell in self._cells(row)))
        return table

    def to_dict(self):
        """Returns plain data: "machine", "num_examples" and "backbones", a list of one dict a row, the best first."""
        backbones = [row._asdict() for row in self.rows]
        return {"machine": self.machine, "num_examples": self.num_examples, "backbones": backbones}

    def to_csv(self, path):
        """Writes one line a backbone."""
        fields = [name for name in RankedBackbone._fields if name != "scores"]
        with _files.whole_file(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*fields, *self._score_names])
            for row in self.rows:
                writer.writerow([*(getattr(row, name) for name in fields), *row.scores.values()])

    def plot(self, score=None, cost="examples_per_second"):
        """Draws a score against a cost; the backbones that no other beats in both are joined.

        Args:
            score: Name of a score. Defaults to the first.
            cost: "examples_per_second", "num_parameters" or "flops". Defaults to "examples_per_second".

        Returns:
            A `matplotlib.figure.Figure`.
        """
        from tf_transfer.analysis.ranking_plot import plot_ranking

        return plot_ranking(self, score, cost)

    @property
    def _score_names(self):
        return list(self.rows[0].scores)

    def _cells(self, row):
        flops = "" if row.flops is None else f"{row.flops / 1e9:.3g}"
        scores = [f"{value:.4g}" for value in row.scores.values()]
        speed = f"{row.examples_per_second:,.0f}" if row.examples_per_second >= 10 else f"{row.examples_per_second:.2g}"
        return [row.name, *scores, f"{row.num_features:,}", f"{row.num_parameters:,}", flops, speed]


def ranked(rows, num_examples, machine):
    """Returns a `BackboneRanking` of `RankedBackbone`s whose `rank` is yet to be known."""
    from scipy.stats import rankdata

    places = [rankdata([-row.scores[name] for row in rows]) for name in rows[0].scores]
    rows = [row._replace(rank=float(place)) for row, place in zip(rows, np.mean(places, axis=0), strict=True)]
    # The cheaper of two that are equal comes first.
    rows.sort(key=lambda row: (row.rank, row.num_parameters))
    return BackboneRanking(tuple(rows), num_examples, machine)
