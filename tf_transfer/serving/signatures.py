"""What a served model takes and gives: the names, shapes and meaning of its inputs and outputs."""

import re

import keras
import tensorflow as tf

from tf_transfer.serving import tasks
from tf_transfer.serving.class_outputs import ClassOutputs
from tf_transfer.serving.feature_output import feature_model
from tf_transfer.training.graphs import graph_of

_AUTOMATIC_NAME = re.compile(r"(keras_tensor|input_layer|input)(_\d+)?")
_NUM_CHANNELS = (1, 3, 4)


class Contract:
    """What a Keras model takes and gives when it is served.

    Args:
        model: A functional or sequential `keras.Model`, or a method, whose `deployable()` is served.
        class_names: List of strings, one for each class; for a model of several outputs a dict of such lists by the
            names of those outputs that are to have labels; or None.
        multi_label: Boolean, or None to tell it from a sigmoid at the end of the model.
        task: String that says what cannot be told from the model, such as "embeddings". Defaults to None.
        top_k: Integer, how many of the best classes to serve beside the label. Defaults to None, for none.
        features: True for the features of the backbone, a string for the output of the layer of that name, or False.

    Attributes:
        inputs: List of `tf.TensorSpec`, named as in the signature, with a free batch size.
        task: "single_label", "binary", "multi_label" (labels are served beside the scores), "regression" (one output,
            `predictions`), "embeddings" (one output, `embeddings`) or "multi_task" (outputs by their Keras names).
        class_names: List of strings, a dict of these by output name, or None where there are no labels.
        classes: Dict of `ClassOutputs` by the name of the output that they name.
        feature_model: `keras.Model` from the inputs to the features, or None.
        image_size: `(height, width)` when the model takes images of one fixed size, else None.
    """

    def __init__(self, model, class_names=None, multi_label=None, *, task=None, top_k=None, features=False):
        if isinstance(model, keras.Model) and hasattr(model, "deployable"):
            model = model.deployable()
        _check_model(model)
        self.model = model
        self.inputs = _input_specs(model)
        self.task = tasks.task_of(model, class_names, multi_label, task)
        self.classes, self.class_names = _classes(model, class_names, self.task, top_k)
        self.feature_model = feature_model(model, features) if features else None
        shape = self.inputs[0].shape
        images = len(self.inputs) == 1 and shape.rank == 4 and None not in shape[1:] and shape[3] in _NUM_CHANNELS
        self.image_size = (shape[1], shape[2]) if images and self.inputs[0].dtype.is_numeric else None

    @property
    def num_channels(self):
        return self.inputs[0].shape[-1]

    @property
    def input_names(self):
        return [spec.name for spec in self.inputs]

    def pack(self, values):
        """Arranges a flat list of inputs in the structure that the model is called on."""
        return keras.tree.pack_sequence_as(graph_of(self.model).input, list(values))

    def outputs(self, result):
        """Names what the model returned, without the labels."""
        if self.task == "multi_task":
            return dict(result) if isinstance(result, dict) else _by_name(self.model, result)
        name = {"regression": "predictions", "embeddings": "embeddings"}.get(self.task, "scores")
        return {name: keras.tree.flatten(result)[0]}

    def serve(self, *inputs):
        """The body of `serving_default`."""
        outputs = _in_float32(self.outputs(self.model(self._cast(inputs), training=False)))
        for name, classes in self.classes.items():
            outputs |= classes.outputs(outputs[name])
        return outputs

    def serve_features(self, *inputs):
        """The body of `serving_features`."""
        return _in_float32({"features": self.feature_model(self._cast(inputs), training=False)})

    def serve_bytes(self, image_bytes):
        """The body of `serving_bytes`: encoded images in place of pixels."""
        return self.serve(self.decode(image_bytes))

    def decode(self, image_bytes):
        """Turns the contents of image files into what the model takes."""
        from tf_transfer.data.decoding import decode_image

        images = tf.map_fn(
            lambda contents: decode_image(contents, self.image_size, self.num_channels),
            image_bytes,
            fn_output_signature=tf.TensorSpec((*self.image_size, self.num_channels), "float32"),
        )
        dtype = self.inputs[0].dtype
        return tf.saturate_cast(tf.round(images), dtype) if dtype.is_integer else images

    def _cast(self, inputs):
        takes = [tensor.dtype for tensor in keras.tree.flatten(graph_of(self.model).input)]
        return self.pack(tf.cast(x, dtype) if x.dtype != dtype else x for x, dtype in zip(inputs, takes, strict=True))


def _check_model(model):
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a keras.Model. Received: model={model!r}.")
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"`model` must be a functional or sequential model with known inputs. Received: {type(model).__name__}. "
            "Wrap it: `x = keras.Input(shape); keras.Model(x, model(x))`."
        )


def _input_specs(model):
    struct, flat = graph_of(model).input, keras.tree.flatten(graph_of(model).input)
    # The keys are what users of a dict model type; the tensors behind them may be named otherwise.
    names = [tensor.name for tensor in flat]
    if isinstance(struct, dict) and len(struct) == len(flat):
        names = sorted(struct)
    if len(flat) == 1 and _AUTOMATIC_NAME.fullmatch(names[0]):
        shape = flat[0].shape
        names = ["image" if len(shape) == 4 and shape[-1] in _NUM_CHANNELS else "inputs"]
    names = tasks.unique(re.sub(r"\W", "_", name) for name in names)
    half = ("float16", "bfloat16")
    return [
        tf.TensorSpec((None, *tensor.shape[1:]), "float32" if tensor.dtype in half else tensor.dtype, name=name)
        for tensor, name in zip(flat, names, strict=True)
    ]


def _classes(model, class_names, task, top_k):
    """Returns the `ClassOutputs` by output name, and the class names as the user sees them."""
    if task == "multi_task":
        named = tasks.named_tasks(model, class_names)
        classes = {name: ClassOutputs(kind, names, top_k, f"{name}_") for name, (kind, names) in named.items()}
        _check_names(tasks.output_tensors(model), classes)
        names = {name: names for name, (_, names) in named.items()} or None
    else:
        names = tasks.class_names_of(model.outputs[0], class_names, task)
        classes = {} if names is None else {"scores": ClassOutputs(task, names, top_k)}
    if top_k is not None and not classes:
        raise ValueError(f"`top_k={top_k}` needs a classifier, but the task is {task!r} and no output has class names.")
    return classes, names


def _check_names(outputs, classes):
    for name in classes:
        taken = [added for added in (f"{name}_labels", f"{name}_top_labels", f"{name}_top_scores") if added in outputs]
        if taken:
            raise ValueError(
                f"The model has an output {taken[0]!r} itself; rename it, or give {name!r} no class names."
            )


def _by_name(model, result):
    return dict(zip(tasks.unique(model.output_names), keras.tree.flatten(result), strict=True))


def _in_float32(outputs):
    return {name: tf.cast(x, "float32") if x.dtype.is_floating else x for name, x in outputs.items()}
