"""`tf-transfer rollback`: an older version of a served model, served again."""

from tf_transfer.cli.outcome import Outcome

NAME = "rollback"
SUMMARY = "serve an older version of a model again"
DESCRIPTION = """\
Publishes a copy of an older version as the next number, from which TensorFlow Serving answers as soon as it has loaded
it. Nothing is removed, and no number changes what it holds."""
EXAMPLES = """\
examples:
  tf-transfer rollback saved_models/flowers
  tf-transfer rollback saved_models/flowers --to 3

Without --to it goes back to the version before the latest; said again, to the one before that."""
WHEN_STOPPED = "Stopped: nothing was published."


def add_arguments(parser):
    parser.add_argument("path", metavar="DIR", help="folder of the served model, such as saved_models/flowers")
    parser.add_argument(
        "--to", type=int, metavar="N", help="version to go back to (default: the one before the latest)"
    )


def run(arguments):
    from tf_transfer.serving import rollback, versions

    path = rollback(arguments.path, arguments.to)
    copied = versions(arguments.path)[-1].copied_from
    said = f"published  {path}, a copy of version {copied}"
    return Outcome({"exported": path, "copied_from": copied}, lambda: print(said))
