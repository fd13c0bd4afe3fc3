"""What each public object of `tft.reporting` holds beyond its docstring."""

import numpy as np

from contract_parts import check_refuses
from contract_registry import row


@row("reporting.HTMLReport")
def _(html_report):
    check_refuses(lambda: html_report("x").table(["a", "b"], [[1]]), "2 cells")


@row("reporting.write_projector")
def _(write_projector):
    check_refuses(lambda: write_projector(np.ones((2, 3)), "logs", columns={"a": [1]}), "`columns`", "2 examples")


@row("reporting.write_hparams")
def _(write_hparams):
    check_refuses(lambda: write_hparams([], "logs"), "`found`", "SearchResult")
