"""What each public object of `tft.reporting` holds beyond its docstring."""

import numpy as np

from contract_parts import check_refuses
from contract_registry import row
from contract_toys import classifier, images


@row("reporting.HTMLReport")
def _(html_report):
    check_refuses(lambda: html_report("x").table(["a", "b"], [[1]]), "2 cells")


@row("reporting.report")
def _(report):
    check_refuses(lambda: report(classifier(), (images(), np.arange(8) % 3), gap=3), "`gap`")
    check_refuses(lambda: report(classifier(), (images(), np.arange(8) % 3), num_shown=0), "`num_shown`")
