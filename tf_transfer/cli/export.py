"""`tf-transfer export`: a `.keras` file in, a version folder for TensorFlow Serving out."""

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import working
from tf_transfer.cli.shared_flags import add_class_names, add_shared, class_names

NAME = "export"
SUMMARY = "turn a .keras file into a model that TensorFlow Serving loads"
DESCRIPTION = """\
Writes a saved Keras model as the next version of a served model: DIR/1, DIR/2, ... It appears only when its
predictions are those of the Keras model."""
EXAMPLES = """\
examples:
  tf-transfer export model.keras saved_models/flowers --class-names daisy,rose,tulip --examples photos
  tf-transfer export model.keras saved_models/flowers --top-k 5 --features --keep 3
  tf-transfer export encoder.keras saved_models/encoder --task embeddings

Without --examples the predictions are compared on generated images, which shows less."""
WHEN_STOPPED = "Stopped: nothing was exported."

_NUM_EXAMPLES = 16
_TASKS = ("single_label", "binary", "multi_label", "regression", "embeddings")


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL.keras", help="saved Keras model")
    parser.add_argument("path", metavar="DIR", help="folder of the served model, such as saved_models/flowers")
    add_class_names(parser, " (default: those of the file, else 0,1,...)")
    add_shared(parser, "examples")
    add_shared(parser, "skip_bad")
    parser.add_argument("--task", choices=_TASKS, help="what the model is for (default: told from its last layer)")
    add_shared(parser, "top_k", type=int, more=" (default: none)")
    parser.add_argument(
        "--features",
        action="store_true",
        help="also serve the features of the backbone, or of what goes into the last layer",
    )
    parser.add_argument("--features-layer", metavar="LAYER", help="also serve the output of this layer as features")
    parser.add_argument("--keep", type=int, metavar="N", help="keep the N newest versions, at least 2 (default: all)")
    parser.add_argument(
        "--metric",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="figure for the metadata and the model card, such as accuracy=0.93; may be repeated",
    )


def run(arguments):
    from tf_transfer.layers import load_model
    from tf_transfer.serving import export
    from tf_transfer.serving.version_folders import check_target

    check_target(arguments.path)
    metrics = dict(_metric(text) for text in arguments.metric)
    model = load_model(arguments.model, compile=False)
    examples = None if arguments.examples is None else _read(arguments.examples, arguments.skip_bad, model)
    options = {"task": arguments.task, "top_k": arguments.top_k, "keep": arguments.keep, "metrics": metrics}
    options["features"] = arguments.features_layer or arguments.features
    with working(arguments, f"Exporting {arguments.model} and comparing predictions"):
        path = export(model, arguments.path, class_names=class_names(arguments), examples=examples, **options)
    return Outcome({"exported": path}, lambda: print(f"exported  {path}"))


def _metric(text):
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise ValueError(f"--metric must be written NAME=VALUE with a number. Received: {text!r}.") from None


def _read(folder, skip_bad, model):
    from tf_transfer.data import image_files
    from tf_transfer.data.image_arrays import image_array

    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise ValueError(f"--examples are images, but the model takes inputs of shape {shape}.")
    files = image_files(folder, skip_bad=skip_bad)
    return image_array(files, shape[:2], shape[2], num_images=_NUM_EXAMPLES)
