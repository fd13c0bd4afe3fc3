"""`tf-transfer train`: labelled images, texts, rows or recordings in, a measured and exported model out."""

from tf_transfer.cli.config_flags import add_flags, read
from tf_transfer.cli.printing import accuracy_on, error_on, gated, note, other_worker, verbosity
from tf_transfer.cli.shared_flags import add_resume
from tf_transfer.cli.train_other_flags import GROUPS
from tf_transfer.workflow import AudioTrainConfig, TableTrainConfig, TextTrainConfig, TrainConfig
from tf_transfer.workflow.export_record import metrics

NAME = "train"
SUMMARY = "train a model on images, texts, a table or recordings"
DESCRIPTION = """\
Trains a model on labelled examples, measures it on some that were set aside, and exports it for serving. Images and
recordings are a folder with one subfolder per class, texts and tables a file with a column to predict. Images start
from a pretrained network, and so do texts and recordings when --backbone names one."""
EXAMPLES = """\
examples:
  tf-transfer train --images photos --export saved_models/photos
  tf-transfer train --images photos --backbone mobilenet_v3_small --image-size 96 --trainable block_3 --epochs 5 \\
      --min-accuracy 0.9 --export saved_models/photos
  tf-transfer train --images photos --backbone resnet50 --epochs 0          (quick: only the head trains)
  tf-transfer train --text reviews.csv --target sentiment --export saved_models/reviews
  tf-transfer train --table heart.csv --target sick --hidden-units 32,32 --export saved_models/heart
  tf-transfer train --audio words --sample-rate 8000 --seconds 0.5 --export saved_models/words
  tf-transfer train --config run.yaml --learning-rate 1e-3

A file for --config has the flags' names with underscores, as in `backbone: mobilenet_v2`; flags come before the file.
When the accuracy is below --min-accuracy nothing is kept and the exit code is 3, a gate for automatic runs."""
WHEN_STOPPED = (
    "Stopped: nothing was saved or exported. Features of the frozen backbone that were complete stay in the cache, so "
    "that the next run starts faster."
)


_CONFIGS = (TrainConfig, TextTrainConfig, TableTrainConfig, AudioTrainConfig)
_REQUEST = "say what to learn from: --images DIR, --text FILE, --table FILE or --audio DIR"


def add_arguments(parser):
    add_flags(parser, _CONFIGS, GROUPS)
    add_resume(parser)


def run(arguments):
    from tf_transfer.workflow import train

    config = read(arguments, _CONFIGS, _REQUEST)
    if config.output is config.export is config.save_model is config.min_accuracy is None:
        kept = "--output DIR, --export DIR or --save-model FILE"
        note(arguments, f"Note: the model is only measured. To keep it, give {kept}.")
    result = train(config, resume=arguments.resume, verbose=verbosity(arguments))
    if not result.is_chief:
        return other_worker(result)
    content = {"class_names": result.class_names, "figures": metrics(result.evaluation)}
    return gated(config, result, content, lambda: _show(config, result))


def _show(config, result):
    if result.class_names is None:
        print(f"error     {error_on(result.evaluation, '{} validation examples')}")
    else:
        noun = "images" if isinstance(config, TrainConfig) else "examples"
        print(f"accuracy  {accuracy_on(result.evaluation, f'{{}} validation {noun}')}")
        print(f"macro-F1  {result.evaluation.macro_f1:.3f}")
