"""`tf-transfer tune`: a folder of images and a space in, the best classifier of many trials out."""

import contextlib

from tf_transfer.cli.config_flags import add_flags, read
from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import accuracy_on, gated, print_table
from tf_transfer.cli.tune_flags import GROUPS
from tf_transfer.workflow import TuneConfig
from tf_transfer.workflow.export_record import metrics

NAME = "tune"
SUMMARY = "search for the best way to train on a folder per class"
DESCRIPTION = """\
Trains many image classifiers on a folder that has one subfolder of images per class, each with other choices, says
which scored best on images that were set aside, and exports that one for serving."""
EXAMPLES = """\
examples:
  tf-transfer tune --images photos --epochs 0 --max-trials 20 --export saved_models/photos
  tf-transfer tune --images photos --space space.yaml --tuner hyperband --output tuning/photos
  tf-transfer tune --config tune.yaml --max-trials 40
  tf-transfer tune --config tune.yaml --chief 10.0.0.5:8765       (on one machine)
  tf-transfer tune --config tune.yaml --worker 10.0.0.5:8765      (on others that see the same folders)

A space has a name and what it may be on each line. A name is a flag of `train` with underscores:
  learning_rate: {float: [1.0e-4, 1.0e-2], log: true}
  hidden_units: {choice: [[], [256]]}
  epochs: {choice: [0, 10]}
  unfreeze: {choice: [0.25, 0.5], when: {epochs: [10]}}
Trials that leave the backbone as it is share what it makes of the images and take seconds. A search that was stopped,
even killed, goes on when the command is given again.
When no trial ended well the exit code is 1, when the best accuracy is below --min-accuracy it is 3."""
WHEN_STOPPED = "Stopped: finished trials are kept; the same command goes on from there."
_SHOWN = 10


def add_arguments(parser):
    role = parser.add_mutually_exclusive_group()
    role.add_argument("--chief", metavar="HOST:PORT", help="give out the trials to workers that ask at this address")
    role.add_argument("--worker", metavar="HOST:PORT", help="run trials of the chief at this address")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the search in --output, or begin it; a search does so without this flag, too",
    )
    add_flags(parser, TuneConfig, GROUPS)


def run(arguments):
    from tf_transfer.workflow import tune

    config = read(arguments, TuneConfig, "say where the images are: --images DIR")
    if arguments.resume and config.overwrite:
        raise ValueError("--resume goes on with a search, and --overwrite begins it anew: leave out one of them.")
    with _role(arguments):
        result = tune(config, verbose=int(not arguments.quiet))
    if result is None:
        said = "There are no more trials; the chief has the result."
        return Outcome({"is_chief": False}, lambda: print(said))
    content = {"class_names": result.class_names, "figures": metrics(result.evaluation)}
    content["search"] = result.search.to_dict()
    return gated(config, result, content, lambda: _show(config, result))


def _show(config, result):
    print_table(result.search.table(_SHOWN))
    images = "the {} validation images that the search chose by"
    print(f"accuracy  {accuracy_on(result.evaluation, images)}")
    print(f"trials    {config.output}/trials.csv")


def _role(arguments):
    from tf_transfer import tuning

    if arguments.chief is not None:
        return tuning.chief(arguments.chief)
    return contextlib.nullcontext() if arguments.worker is None else tuning.worker(arguments.worker)
