"""The `tf-transfer` command: arguments in, a workflow out."""

from tf_transfer.cli.running import main

__all__ = ["main"]
