"""Showing what a training gave: a page that needs no network, and what TensorBoard reads."""

from tf_transfer.reporting.html_report import HTMLReport

__all__ = [
    "HTMLReport",
]
