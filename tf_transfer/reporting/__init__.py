"""Showing what a training gave: a page that needs no network, and what TensorBoard reads."""

from tf_transfer.reporting.html_report import HTMLReport
from tf_transfer.reporting.report import report

__all__ = [
    "HTMLReport",
    "report",
]
