"""`tf-transfer convert`: a trained model in, a file for devices and other runtimes out."""

import dataclasses
import os

from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import working
from tf_transfer.cli.shared_flags import add_shared

NAME = "convert"
SUMMARY = "turn a model into a file for devices (LiteRT) or other runtimes (ONNX)"
DESCRIPTION = """\
Writes a saved Keras model, or an exported one, in another format, runs what was written, and says how large it is and
how far its predictions are from those of the model."""
EXAMPLES = """\
examples:
  tf-transfer convert saved_models/flowers --to litert
  tf-transfer convert saved_models/flowers --to litert --quantization dynamic --examples photos
  tf-transfer convert model.keras --to litert --quantization int8 --representative photos --labelled test_photos
  tf-transfer convert saved_models/flowers --to onnx --labelled test_photos

--to onnx needs: pip install "tf-transfer[onnx]". It has no quantization.
--representative and --examples take folders of images, subfolders included. --labelled takes a folder with one
subfolder a class, named as the classes of the model, and adds the accuracy."""
WHEN_STOPPED = "Stopped: nothing was written."

_NUM_REPRESENTATIVE = 200
_ENDINGS = {"litert": ".tflite", "onnx": ".onnx"}
_LITERT_ONLY = {"quantization": "none", "representative": None, "io_dtype": "float32"}


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help=".keras file, or folder of an exported model")
    parser.add_argument("--to", required=True, choices=sorted(_ENDINGS), help="the format")
    parser.add_argument("--output", metavar="FILE", help="file to write (default: beside the model, by its name)")
    parser.add_argument(
        "--quantization",
        choices=["none", "dynamic", "int8"],
        default="none",
        help="LiteRT: none: 32-bit floats; dynamic: weights in 8 bits; int8: all in 8 bits (default: none)",
    )
    parser.add_argument("--representative", metavar="DIR", help="folder with typical images, 100 or more, for int8")
    compared = parser.add_mutually_exclusive_group()
    add_shared(compared, "examples")
    compared.add_argument("--labelled", metavar="DIR", help="folder with a subfolder a class, to measure accuracy on")
    parser.add_argument(
        "--io-dtype",
        choices=["float32", "int8", "uint8"],
        default="float32",
        help="type of inputs and outputs of an int8 file (default: float32)",
    )
    add_shared(parser, "skip_bad")


def run(arguments):
    from tf_transfer.serving.plain_functions import PlainFunction

    if arguments.to == "onnx":
        _check_onnx(arguments)
    path = arguments.output or _beside(arguments.model, arguments.quantization, _ENDINGS[arguments.to])
    function = PlainFunction.of(arguments.model)
    examples, labels = _compared_on(arguments, function)
    convert = _to_onnx if arguments.to == "onnx" else _to_litert
    with working(arguments, f"Converting {arguments.model} and comparing predictions"):
        converted = convert(arguments, function, path, examples, labels)
    return Outcome({"quantization": None, **dataclasses.asdict(converted)}, lambda: _print(converted))


def _to_litert(arguments, function, path, examples, labels):
    from tf_transfer.serving import to_litert

    representative = None
    if arguments.representative:
        representative = _read(arguments.representative, arguments.skip_bad, function, _NUM_REPRESENTATIVE)
    return to_litert(
        function,
        path,
        None if arguments.quantization == "none" else arguments.quantization,
        representative=representative,
        examples=examples,
        labels=labels,
        io_dtype=arguments.io_dtype,
    )


def _check_onnx(arguments):
    given = [name for name, default in _LITERT_ONLY.items() if getattr(arguments, name) != default]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"{flags}: for --to litert only. An ONNX file keeps 32-bit floats.")


def _to_onnx(arguments, function, path, examples, labels):
    from tf_transfer.serving import to_onnx

    try:
        return to_onnx(function, path, examples=examples, labels=labels)
    except ImportError as error:
        # The command line shows a sentence for these, and for what is a fault in the package a traceback.
        raise RuntimeError(str(error)) from error


def _beside(model, quantization, ending):
    from tf_transfer.serving import latest_version

    if model.endswith(".keras"):
        stem = os.path.splitext(model)[0]
    else:
        stem = os.path.dirname(latest_version(model))
    return f"{stem}{'' if quantization == 'none' else f'_{quantization}'}{ending}"


def _compared_on(arguments, function):
    """Returns images and their labels, or None for either."""
    from tf_transfer.data import ImageFolder

    if arguments.examples:
        return _read(arguments.examples, arguments.skip_bad, function), None
    if not arguments.labelled:
        return None, None
    names = function.class_names
    # A .keras file of Keras knows no names; its classes are in the order of the folders, as in training.
    unnamed = names == [str(index) for index in range(len(names or ()))]
    shape = _image_shape(function)
    folder = ImageFolder(
        arguments.labelled,
        shape[:2],
        channels=shape[2],
        skip_bad=arguments.skip_bad,
        class_names=None if unnamed else names,
    )
    if unnamed and len(folder.class_names) != len(names):
        raise ValueError(f"The model has {len(names)} classes, --labelled has {folder.class_names}.")
    return folder.examples(len(folder)), folder.labels


def _read(folder, skip_bad, function, most=None):
    from tf_transfer.data import image_files
    from tf_transfer.data.image_arrays import image_array

    files, shape = image_files(folder, skip_bad=skip_bad), _image_shape(function)
    return image_array(files, shape[:2], shape[2], num_images=most)


def _image_shape(function):
    shape = tuple(function.inputs[0].shape[1:])
    if len(function.inputs) != 1 or len(shape) != 3 or None in shape:
        raise ValueError(
            "--representative, --examples and --labelled are folders of images, but the model takes inputs of shape "
            f"{shape}. Convert it in Python: tft.serving.to_litert or to_onnx."
        )
    return shape


def _print(converted):
    size = converted.num_bytes / 1024
    print(f"wrote           {converted.path}, {size:,.1f} KiB")
    print(f"compared        {converted.num_examples} examples, largest difference {converted.max_difference:.2g}")
    if converted.agreement is not None:
        print(f"same class      {100 * converted.agreement:.1f} %")
    if converted.accuracy is not None:
        print(f"accuracy        {100 * converted.accuracy:.1f} %, before {100 * converted.original_accuracy:.1f} %")
