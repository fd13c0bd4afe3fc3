"""`tf-transfer distill`: a large classifier and images in, a small classifier out."""

from tf_transfer.cli.config_flags import add_flags, read
from tf_transfer.cli.distill_flags import GROUPS
from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import note, other_worker, print_places, print_table, verbosity
from tf_transfer.cli.shared_flags import add_resume
from tf_transfer.workflow import DistillConfig
from tf_transfer.workflow.export_record import metrics

NAME = "distill"
SUMMARY = "teach a small classifier what a large one knows"
DESCRIPTION = """\
Trains a small image classifier (the student) on labelled images and on what a large one (the teacher) says about
them, and shows what that saves and costs: size, latency on this machine, accuracy, agreement."""
EXAMPLES = """\
examples:
  tf-transfer train --images photos --save-model teacher.keras
  tf-transfer distill --teacher teacher.keras --images photos --output distilled
  tf-transfer distill --teacher teacher.keras --images photos --unlabeled more_photos --compare-alone \\
      --student mobilenet --backbone-option alpha=0.25 --image-size 128 --losses kd,hint --export saved_models/small
  tf-transfer distill --config distill.yaml --temperature 8

A file for --config has the flags' names with underscores; flags come before the file. The teacher
labels more images for you: give them with --unlabeled."""
WHEN_STOPPED = (
    "Stopped: nothing was saved or exported. Answers of the teacher that were complete stay in the cache, so that the "
    "next run starts faster."
)


def add_arguments(parser):
    add_flags(parser, DistillConfig, GROUPS)
    add_resume(parser)


def run(arguments):
    from tf_transfer.workflow import distill

    config = read(arguments, DistillConfig, "say who teaches, and on what: --teacher FILE --images DIR")
    if config.output is config.export is None:
        note(arguments, "Note: nothing is kept. To keep the student, give --output DIR or --export DIR.")
    result = distill(config, resume=arguments.resume, verbose=verbosity(arguments))
    if not result.is_chief:
        return other_worker(result)
    content = {"is_chief": True, "class_names": result.class_names, "figures": metrics(result.evaluation)}
    content |= {"comparison": result.comparison.to_dict(), "conclusion": result.conclusion}
    content |= {"output": result.output, "exported": result.export_path}
    return Outcome(content, lambda: _show(config, result))


def _show(config, result):
    print_table(result.comparison.table())
    print(result.conclusion)
    print_places(config, wrote=result.output, exported=result.export_path)
