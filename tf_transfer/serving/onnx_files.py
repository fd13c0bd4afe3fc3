"""From a trained model to an ONNX file, for ONNX Runtime and what else reads that format."""

import dataclasses
import json
import logging
import warnings

import tensorflow as tf

from tf_transfer import _checks
from tf_transfer._logging import quiet
from tf_transfer.serving import converting
from tf_transfer.serving.onnx_running import run_onnx
from tf_transfer.serving.plain_functions import PlainFunction

_OPSETS = (13, 18)
_TOLERANCE, _HALF_TOLERANCE = 1e-4, 1e-2


@dataclasses.dataclass(frozen=True)
class ONNXModel:
    """What `to_onnx` wrote, and how far its predictions are from those of the model it was made of.

    Attributes:
        path: String, the `.onnx` file.
        num_bytes: Integer, the size of the file.
        num_examples: Integer, how many examples were compared.
        max_difference: Float, the largest `|e - r| / max(1, |e|)` over all outputs.
        agreement: Float, the share of examples with the same best class; None where there are no classes.
        accuracy: Float, the share of examples with the right class, from the file; None without labels.
        original_accuracy: Float, the same from the model that it was made of.
    """

    path: str
    num_bytes: int
    num_examples: int
    max_difference: float
    agreement: float | None = None
    accuracy: float | None = None
    original_accuracy: float | None = None


def to_onnx(model, path, *, class_names=None, examples=None, labels=None, opset=17, tolerance=None):
    """Writes a model as an ONNX file, runs the file with ONNX Runtime, and compares its predictions with the model's.

    The file takes what `serving_default` takes, raw images (batch, height, width, channels) for image models, in
    batches of any size, and gives its numbers, both under the same names. The names of classes are in the metadata of
    the file: `class_names`, as JSON, beside `task`. Nothing is written under `path` before the comparison was made.

    It needs the extra `onnx`: `pip install "tf-transfer[onnx]"`.

    Args:
        model: A trained Keras model; or a method such as `tft.DANN`, whose `deployable()` model is taken; or a string
            or path: a `.keras` file, or the folder of an exported model (NAME, its latest version, or NAME/VERSION).
        path: String or path, the file to write, such as "flowers.onnx".
        class_names: List of strings, or for a model of several outputs a dict of such lists, where the model does not
            know them. Defaults to those of the builder or of the export, else "0", "1", ....
        examples: Inputs to compare on: array, dict or list of arrays, or a batched `tf.data.Dataset`, all of which is
            taken. Defaults to 8 generated ones, which is a weaker check.
        labels: Integers or one-hot rows (num_examples,), the classes of `examples`, to measure the accuracy beside the
            size. Defaults to those that a dataset in `examples` has, if any.
        opset: Integer from 13 to 18, the version of ONNX's operators; an older runtime wants a smaller one. Defaults
            to 17.
        tolerance: Float, the largest accepted `|e - r| / max(1, |e|)`. Defaults to None: 1e-4, or 1e-2 for a model that
            computes in 16-bit floats (mixed precision), which two runtimes round in different places.

    Returns:
        An `ONNXModel`.

    Raises:
        ImportError: A package of the extra is missing.
        ValueError: The arguments do not fit the model, or ONNX has no such operation.
        RuntimeError: The file predicts something else than the model.

    Example:

    >>> image = keras.Input((8, 8, 1), name="image")
    >>> hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    >>> model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(hidden))
    >>> images = np.random.default_rng(0).integers(0, 255, (100, 8, 8, 1))
    >>> converted = to_onnx(model, "digits.onnx", class_names=["zero", "one"], examples=images)
    >>> isinstance(converted, ONNXModel), converted.num_examples, converted.agreement
    (True, 100, 1.0)
    """
    path = converting.file_path(path, ".onnx")
    _checks.integer(opset, "opset", *_OPSETS)
    if tolerance is not None:
        _checks.number(tolerance, "tolerance", minimum=0)
    _require_packages()
    function = PlainFunction.of(model, class_names)
    converting.require_numbers(function, "ONNX")
    inputs, labels = converting.compared_on(examples, labels, None, function)
    proto = _convert(function, opset)
    _name(proto, function)
    content = proto.SerializeToString()
    received = run_onnx(content, function.inputs, inputs)
    if tolerance is None:
        tolerance = _HALF_TOLERANCE if _computes_in_half(proto.graph) else _TOLERANCE
    figures = converting.figures(function, inputs, labels, received, tolerance, "ONNX model")
    converting.write(content, path)
    return ONNXModel(path, num_bytes=len(content), **figures)


def _require_packages():
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'ONNX needs {error.name}, which is not installed: pip install "tf-transfer[onnx]"', name=error.name
        ) from error


def _convert(function, opset):
    import tf2onnx

    traced = tf.function(function.numbers)
    gives = traced.get_concrete_function(*function.inputs).structured_outputs
    both = sorted({spec.name for spec in function.inputs} & set(gives))
    if both:
        raise ValueError(
            f"In ONNX an input and an output cannot have the same name: {both}. Rename one of them in the model."
        )
    # It tells users what is raised as an error anyway.
    with warnings.catch_warnings(), quiet("tf2onnx", logging.CRITICAL + 1):
        warnings.simplefilter("ignore")
        try:
            proto, _ = tf2onnx.convert.from_function(traced, input_signature=function.inputs, opset=opset)
        except (ValueError, RuntimeError, NotImplementedError, KeyError, tf.errors.OpError) as error:
            raise ValueError(f"ONNX cannot express this model: {str(error)[:800]}") from error
    missing = sorted(set(_unknown(proto.graph)))
    if missing:
        raise ValueError(
            f"ONNX cannot express this model: opset {opset} has nothing for TensorFlow's {missing}. Replace the layers "
            "that use them, or leave them to the application."
        )
    return proto


def _unknown(graph):
    """Yields the operators of a graph that no opset of ONNX has, those of inner graphs as well."""
    import onnx

    for node in graph.node:
        if not onnx.defs.has(node.op_type, node.domain):
            yield node.op_type
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                yield from _unknown(inner)


def _computes_in_half(graph):
    """Whether a graph goes over to 16-bit floats somewhere."""
    import onnx

    half = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    casts = [attribute.i for node in graph.node if node.op_type == "Cast" for attribute in node.attribute]
    return any(target in half for target in casts) or any(one.data_type in half for one in graph.initializer)


def _name(proto, function):
    """Names the free size of a batch, and writes down what the numbers mean."""
    for value in [*proto.graph.input, *proto.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    known = {"task": function.task, "class_names": function.class_names and json.dumps(function.class_names)}
    for key, value in known.items():
        if value:
            proto.metadata_props.add(key=key, value=value)
