"""What a model is for, told from how it ends, and the names of its classes."""

import keras

from tf_transfer import _checks
from tf_transfer.training.graphs import graph_of

TASKS = ("single_label", "binary", "multi_label", "regression", "embeddings", "multi_task")
LABELLED = ("single_label", "binary", "multi_label")


def returns_several(model):
    """Whether a model returns a dict, or more than one tensor."""
    return len(model.outputs) > 1 or _returns_dict(model)


def output_tensors(model):
    """Returns a dict of the output tensors of a model of several outputs, by the names that Keras users type."""
    if _returns_dict(model):
        return dict(model.output)
    return dict(zip(unique(model.output_names), model.outputs, strict=True))


def task_of(model, class_names=None, multi_label=None, task=None):
    """Returns one of `TASKS`: the one that is asked for when the model fits it, else what its end says.

    Args:
        model: A functional or sequential `keras.Model`.
        class_names: List of strings, or dict of those by output name for models of several outputs, or None.
        multi_label: Boolean, what the builder says, or None.
        task: String, what the user says, or None.
    """
    if task is not None:
        _checks.one_of(task, "task", [name for name in TASKS if name != "multi_task"])
    if returns_several(model):
        if task is not None:
            raise ValueError(f"`task={task!r}` needs a model that returns one tensor. {_described(model)}")
        if class_names and not isinstance(class_names, dict):
            raise ValueError(
                f"`class_names` of a model of several outputs must be a dict by output name. {_described(model)}"
            )
        return "multi_task"
    return _task_of_tensor(model.outputs[0], class_names, multi_label, task)


def class_names_of(tensor, class_names, task, name="class_names"):
    """Returns the names of the classes that `tensor` scores, by default the indices; None without classes."""
    if task not in LABELLED:
        if class_names:
            raise ValueError(f"`{name}` needs a classifier, but the task is {task!r}. Received: {list(class_names)}.")
        return None
    num_classes = 2 if task == "binary" else tensor.shape[-1]
    if class_names is None:
        return [str(index) for index in range(num_classes)]
    names = list(class_names)
    if not all(isinstance(one, str) and one for one in names) or len(set(names)) != len(names):
        raise ValueError(f"`{name}` must be different, non-empty strings. Received: {name}={names!r}.")
    if len(names) != num_classes:
        raise ValueError(
            f"`{name}` must have one name for each of the model's {num_classes} outputs. "
            f"Received {len(names)}: {name}={names!r}."
        )
    return [str(one) for one in names]


def named_tasks(model, class_names):
    """Returns {output name: (task, class names)} for the outputs of a multi-task model that have class names."""
    tensors, found = output_tensors(model), {}
    for name, names in (class_names or {}).items():
        if name not in tensors:
            hint = _checks.did_you_mean(name, tensors)
            raise ValueError(f"`class_names` has {name!r}, which is no output of the model: {sorted(tensors)}.{hint}")
        task = _task_of_tensor(tensors[name], names, None, None)
        found[name] = task, class_names_of(tensors[name], names, task, f"class_names[{name!r}]")
    return found


def unique(names):
    """Returns the names with `_copy1`, ... behind those that stood there before."""
    result = []
    for name in names:
        copies = sum(other == name or other.startswith(f"{name}_copy") for other in result)
        result.append(f"{name}_copy{copies}" if copies else name)
    return result


def _task_of_tensor(tensor, class_names, multi_label, task):
    if task is not None:
        _check_shape(tensor, task)
        return task
    activation = _last_activation(tensor)
    if not class_names and multi_label is None and activation not in ("softmax", "sigmoid"):
        return "regression"
    if len(tensor.shape) != 2:
        if class_names:
            raise ValueError(f"`class_names` needs scores of shape (batch, classes). The model gives {tensor.shape}.")
        return "regression"
    if multi_label is not None:
        return "multi_label" if multi_label else "single_label"
    # One sigmoid unit decides between two classes, unless one name says that it stands for itself.
    if activation == "sigmoid" and tensor.shape[-1] == 1 and len(class_names or "01") == 2:
        return "binary"
    return "multi_label" if activation == "sigmoid" else "single_label"


def _check_shape(tensor, task):
    wanted = "(batch, 1)" if task == "binary" else "(batch, classes)"
    fits = len(tensor.shape) == 2 and (task != "binary" or tensor.shape[-1] == 1)
    if task in LABELLED and not fits:
        raise ValueError(f"task={task!r} needs scores of shape {wanted}. The model gives {tensor.shape}.")


def _returns_dict(model):
    return isinstance(graph_of(model).output, dict)


def _described(model):
    kind = "a dict" if _returns_dict(model) else "a list"
    return f"This one returns {kind} of {len(model.outputs)}: {list(output_tensors(model))}."


def _last_activation(tensor):
    """Returns the name of the function that made `tensor`, looking into nested models."""
    layer, _, index = tensor._keras_history
    if isinstance(layer, keras.Model) and getattr(layer, "outputs", None):
        return _last_activation(layer.outputs[index])
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    # The usual way to get float32 out of a mixed precision model.
    if name == "linear" and isinstance(layer, keras.layers.Activation):
        return _last_activation(layer.input)
    return name
