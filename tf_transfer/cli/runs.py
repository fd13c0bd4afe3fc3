"""`tf-transfer runs`: what runs left in their folders, listed, compared, and run again."""

from tf_transfer.cli import runs_compare, runs_list, runs_reproduce

NAME = "runs"
SUMMARY = "list, compare and reproduce the runs that --output kept"
DESCRIPTION = """\
Reads the folders that train, auto, adapt, distill and tune leave with --output: lists them, compares their settings
and figures, and runs a recorded configuration again."""
EXAMPLES = """\
examples:
  tf-transfer runs list experiments
  tf-transfer runs compare experiments/first experiments/second --plot curves.png
  tf-transfer runs reproduce experiments/first --output experiments/again"""
COMMANDS = (runs_list, runs_compare, runs_reproduce)
