"""Classes told by their descriptions: a classifier whose kernel is made of embeddings."""

import keras
import numpy as np

from tf_transfer import _checks
from tf_transfer.contrastive.contrastive_model import ContrastiveModel
from tf_transfer.training import as_multi_worker


def zero_shot(model, descriptions, *, side=None):
    """Makes a plain classifier of one side of a contrastive model and of descriptions on its other side.

    The scores of a class are softmax(cos(x, description) / temperature). The embeddings of the descriptions are the
    kernel of the layer "logits", so the classifier needs neither the text encoder nor its vocabulary: it can be
    exported, fine-tuned from there with `fit` (integer labels), distilled and adapted like any other. The encoder is
    shared with the model, the kernel is its own.

    Args:
        model: `tft.ContrastiveModel`, trained.
        descriptions: Dict from the name of a class to what describes it on the other side: a text, or a list of
            several, such as `["a photo of a rose", "a red rose"]`, whose embeddings are averaged. Of another kind of
            input, an array of examples of shape `(num, ...)`.
        side: String, which side is classified. Defaults to the first.

    Returns:
        A compiled `keras.Model` with the inputs of that side, a layer "logits", and "scores" of shape `(batch,
        num_classes)`; its `class_names` in the order of `descriptions`.

    Raises:
        ValueError: For descriptions of less than two classes, or empty ones.

    Example:

    >>> sides = {name: keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_initializer="identity")])
    ...          for name in ("image", "text")}
    >>> model = tft.ContrastiveModel(sides)
    >>> classes = {"right": np.array([[1.0, 0.0]]), "up": np.array([[0.0, 1.0], [0.1, 0.9]])}
    >>> classifier = tft.contrastive.zero_shot(model, classes)
    >>> classifier.predict(np.array([[3.0, 1.0], [0.0, 5.0]]), verbose=0).argmax(-1).tolist(), classifier.class_names
    ([0, 1], ['right', 'up'])

    Reference:
        Radford et al., 2021, https://arxiv.org/abs/2103.00020
    """
    if not isinstance(model, ContrastiveModel):
        raise ValueError(f"`model` must be a tft.ContrastiveModel. Received: {model!r}.")
    side = _checks.one_of(side or model.sides[0], "side", model.sides)
    if not isinstance(descriptions, dict) or len(descriptions) < 2:
        raise ValueError(
            "`descriptions` must be a dict from two class names or more to what describes each. "
            f"Received: {descriptions!r:.200}."
        )
    other = next(each for each in model.sides if each != side)
    kernel = np.stack([_of_class(model.side(other), name, each) for name, each in descriptions.items()], axis=1)
    with model.distribute_strategy.scope():
        encoder = model.side(side)
        logits = keras.layers.Dense(len(descriptions), use_bias=False, name="logits", dtype="float32")
        scores = keras.layers.Activation("softmax", name="scores", dtype="float32")(logits(encoder.outputs[0]))
        logits.kernel.assign(kernel * keras.ops.convert_to_numpy(model.scale))
        classifier = as_multi_worker(keras.Model(encoder.input, scores, name=f"{model.name}_zero_shot"))
        metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        classifier.compile("adam", keras.losses.SparseCategoricalCrossentropy(), metrics=metrics)
    classifier.class_names = [str(name) for name in descriptions]
    return classifier


def _of_class(encoder, name, description):
    """Returns the mean direction of the embeddings of what describes a class."""
    if isinstance(description, str):
        description = [description]
    if isinstance(description, list | tuple) and all(isinstance(each, str) for each in description):
        description = np.array(description, dtype=object)
    if not hasattr(description, "shape") or not len(description):
        raise ValueError(
            f"The description of {name!r} must be a text, a list of texts, or an array of examples. "
            f"Received: {description!r:.200}."
        )
    mean = keras.ops.convert_to_numpy(encoder(keras.ops.convert_to_tensor(description), training=False)).mean(0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)
