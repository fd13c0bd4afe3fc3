"""Showing what a training gave: a page that needs no network, and what TensorBoard reads."""

from tf_transfer.reporting.hparams import write_hparams
from tf_transfer.reporting.html_report import HTMLReport
from tf_transfer.reporting.projector import write_projector

__all__ = [
    "HTMLReport",
    "write_hparams",
    "write_projector",
]
