"""`tf-transfer completion`: a script with which a shell completes commands, flags, names and files."""

from tf_transfer.cli.outcome import Outcome

NAME = "completion"
SUMMARY = "print a script with which your shell completes commands and flags"
DESCRIPTION = """\
Prints a script with which a shell completes commands, flags, the names that they take, files and folders. The script is
complete in itself: pressing the key starts no Python. Print it again after an update."""
EXAMPLES = """\
examples:
  tf-transfer completion bash > ~/.local/share/bash-completion/completions/tf-transfer
  tf-transfer completion zsh > ~/.zfunc/_tf-transfer       (a folder of $fpath)
  tf-transfer completion fish > ~/.config/fish/completions/tf-transfer.fish

It needs: pip install "tf-transfer[completion]"."""
WHEN_STOPPED = "Stopped."

_SHELLS = ("bash", "zsh", "fish")
_FOLDERS, _FILES = ("DIR", "RUN"), ("FILE", "PATH", "INPUT", "MODEL", "MODEL.keras", "RUN_OR_MODEL")


def add_arguments(parser):
    parser.add_argument("shell", choices=_SHELLS, help="the shell")


def run(arguments):
    script = completion_script(arguments.shell)
    return Outcome({"shell": arguments.shell, "script": script}, lambda: print(script))


def completion_script(shell):
    """Returns the script for a shell, "bash", "zsh" or "fish"."""
    from tf_transfer.cli.parser import build_parser, leaves

    try:
        import shtab
    except ImportError as error:
        raise RuntimeError('Completion needs shtab. Install it: pip install "tf-transfer[completion]".') from error
    parser, names = build_parser(), completed_names()
    for _, part in leaves(parser):
        for action in part._actions:
            if action.metavar in _FOLDERS:
                action.complete = shtab.DIRECTORY
            elif action.metavar in _FILES:
                action.complete = shtab.FILE
            elif action.dest in names and action.choices is None and action.nargs != 0:
                action.choices = sorted(names[action.dest]())
    return shtab.complete(parser, shell)


def completed_names():
    """Returns functions that give what flags take by name, by the name of the flag; other values are taken too."""
    from tf_transfer.adaptation.classifier_builder import METHODS
    from tf_transfer.analysis.ranking import SCORES
    from tf_transfer.backbones import names
    from tf_transfer.data import recipe_names
    from tf_transfer.distribution.strategies import NAMES
    from tf_transfer.workflow.distill_losses import LOSSES
    from tf_transfer.workflow.tune_config import TUNERS

    given = {
        "backbone": names,
        "student": names,
        "method": lambda: METHODS,
        "losses": lambda: LOSSES,
        "score": lambda: SCORES,
        "augmentation": lambda: [*recipe_names(), "none"],
        "strategy": lambda: NAMES,
        "tuner": lambda: TUNERS,
        "weights": lambda: ["imagenet", "none"],
        "batch_norm": lambda: ["frozen", "trainable"],
        "pooling": lambda: ["avg", "max", "none"],
        "projection": lambda: ["tsne", "pca"],
        "task": lambda: ["classification", "regression"],
    }
    return given
