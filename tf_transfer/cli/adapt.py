"""`tf-transfer adapt`: labelled images and others without labels in, a classifier for the others out."""

from tf_transfer.cli.adapt_flags import GROUPS
from tf_transfer.cli.config_flags import add_flags, read
from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import accuracy_on, note, other_worker, print_places, verbosity
from tf_transfer.cli.shared_flags import add_resume
from tf_transfer.workflow import AdaptConfig
from tf_transfer.workflow.export_record import metrics

NAME = "adapt"
SUMMARY = "adapt a classifier to images without labels that look different"
DESCRIPTION = """\
Trains an image classifier on labelled images (the source, a folder per class) so that it works on images that look
different and have no labels (the target), and shows what that changed."""
EXAMPLES = """\
examples:
  tf-transfer adapt --source catalogue --target street --output adapted
  tf-transfer adapt --source catalogue --target street --method cdan_e --trainable block_13 --epochs 30 \\
      --adaptation-weight schedule=dann,final=0.5 --export saved_models/street
  tf-transfer adapt --config adapt.yaml --method mcc

A file for --config has the flags' names with underscores; flags come before the file. Adaptation can also hurt: look at
the two accuracies, and where no target image has a label, get a hundred and name them with --validation."""
WHEN_STOPPED = "Stopped: nothing was saved or exported."


def add_arguments(parser):
    add_flags(parser, AdaptConfig, GROUPS)
    add_resume(parser)


def run(arguments):
    from tf_transfer.workflow import adapt

    config = read(arguments, AdaptConfig, "say where the images are: --source DIR --target DIR")
    if config.output is config.export is None:
        note(arguments, "Note: nothing is kept. To keep the model, give --output DIR or --export DIR.")
    result = adapt(config, resume=arguments.resume, verbose=verbosity(arguments))
    if not result.is_chief:
        return other_worker(result)
    content = {"is_chief": True, "class_names": result.class_names, "method": result.builder.method}
    content |= {"figures": metrics(result.evaluation), "source_only": metrics(result.source_only)}
    content |= {"output": result.output, "exported": result.export_path}
    return Outcome(content, lambda: _show(config, result))


def _show(config, result):
    for line in _measured(result):
        print(line)
    print_places(config, column=13, wrote=result.output, exported=result.export_path)


def _measured(result):
    lines = []
    for name, evaluation in (("source only", result.source_only), ("adapted", result.evaluation)):
        if evaluation is not None:
            lines.append(f"{name:<12} accuracy {accuracy_on(evaluation, '{} labelled target images')}")
    return lines or ["accuracy     unknown: no target image has a label"]
