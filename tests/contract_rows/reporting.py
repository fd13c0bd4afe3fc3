"""What each public object of `tft.reporting` holds beyond its docstring."""

from contract_parts import check_refuses
from contract_registry import row


@row("reporting.HTMLReport")
def _(html_report):
    check_refuses(lambda: html_report("x").table(["a", "b"], [[1]]), "2 cells")
