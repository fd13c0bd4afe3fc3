"""What to do with some data, why, and how: a method, its reasons, a builder, a configuration, and the lines of code."""

import dataclasses
import textwrap

from tf_transfer.builders import Builder
from tf_transfer.workflow.run_config import RunConfig


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Recommendation:
    """What `tft.recommend` found; `print` shows it.

    Attributes:
        method: String: "prototypes", "feature_extraction", "l2_sp", "fine_tuning" or "from_scratch" for labelled data
            alone; "source_only", "two_stage" or the method of an adaptation, such as "mcc", for a source and a target.
        title: String, what people call it.
        reasons: Tuple of sentences.
        builder: The builder of the model.
        config: The configuration of the same as a run, a `TrainConfig` or `AdaptConfig`, whose `to_yaml` writes what
            `tf-transfer train --config` or `adapt --config` takes; None for what is done in Python only. For data that
            are in no folder or file it names "PATH", to be replaced.
        code: String, lines of Python that do it; `data`, `source` and `builder` are what was given and found.
        seconds: Float, about how long training takes here, or None where that is not known.
        ranking: `tft.analysis.BackboneRanking` of the backbones, or None where there was nothing to rank.
        gap: `tft.analysis.DomainGap` of source and target, or None.
    """

    method: str
    title: str
    reasons: tuple
    builder: Builder
    config: RunConfig | None
    code: str
    seconds: float | None = None
    ranking: object = None
    gap: object = None

    def __repr__(self):
        return f"<Recommendation: {self.method}>"

    def __str__(self):
        backbone = getattr(self.builder, "backbone", None)
        backbone = getattr(backbone, "name", backbone)
        start = "" if backbone is None else f", from {backbone}"
        lasting = "" if self.seconds is None else f", about {_lasting(self.seconds)} of training here"
        lines = [f"{self.title[0].upper()}{self.title[1:]}{start}{lasting}", ""]
        for reason in self.reasons:
            lines += textwrap.wrap(reason, 100, initial_indent="  - ", subsequent_indent="    ")
        lines += ["", "In Python, with `builder = recommendation.builder`:", "", textwrap.indent(self.code, "    ")]
        if self.config is not None:
            command = "adapt" if hasattr(self.config, "target_labels") else "train"
            lines += [
                "",
                'On the command line, after `recommendation.config.to_yaml("run.yaml")`:',
                "",
                f"    tf-transfer {command} --config run.yaml",
            ]
        return "\n".join(lines)

    def to_dict(self):
        """Returns plain data: method, title, reasons, seconds, builder, code and config, None where there is none."""
        return {
            "method": self.method,
            "title": self.title,
            "reasons": list(self.reasons),
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "builder": self.builder.described(),
            "config": None if self.config is None else self.config.to_dict(),
            "code": self.code,
        }


def _lasting(seconds):
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
