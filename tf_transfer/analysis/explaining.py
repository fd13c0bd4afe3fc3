"""Where a classifier looks: Grad-CAM, integrated gradients and occlusion, through nested backbones."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.analysis.evaluation import agreed_names
from tf_transfer.analysis.explained import Explanation
from tf_transfer.distillation.signals import LOGITS, Signals
from tf_transfer.training.layer_taps import layer_paths


def grad_cam(model, images, classes=None, *, layer=None, class_names=None, batch_size=16):
    """Shows which regions of images speak for a class, as coarsely as the last feature maps are.

    Value: relu(sum_k a_k A_k), with A_k the maps of a layer and a_k the mean over all positions of the gradient of the
    class's logit in A_k; enlarged to the size of the image. Layers in nested backbones are found, frozen ones too.

    Args:
        model: Classifier, a `keras.Model` on images; see `tft.training.with_logits` for what its logits are.
        images: Array of shape `(num_images, height, width, channels)`.
        classes: Integer, or integer array of shape `(num_images,)`, the class to explain. Defaults to the one that the
            model predicts.
        layer: String, the path of a layer that puts out maps, such as "mobilenet_v2/out_relu", or its last part.
            Defaults to the last one.
        class_names: Sequence of strings. Defaults to those of the model's builder.
        batch_size: Integer, images at once. Defaults to 16.

    Returns:
        An `Explanation`; values are at least 0.

    Raises:
        ValueError: When the model has no layer of maps, no logits, or no such class.

    Example:

    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 1, name="maps"),
    ...                           keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax")])
    >>> tft.analysis.grad_cam(model, np.ones((3, 8, 8, 1))).values.shape
    (3, 8, 8)

    Reference:
        Selvaraju et al., 2017, https://arxiv.org/abs/1610.02391
    """
    path = _last_maps(model) if layer is None else layer
    asked = _Asked(model, images, classes, batch_size, {("layer", path)})

    def explain(rows):
        x, chosen = asked.tensors(rows)
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = asked.signals_of(x)
            maps = next(value for name, value in found.items() if name != LOGITS)
            logits = tf.gather(found[LOGITS], chosen, axis=1, batch_dims=1)
        if len(maps.shape) != 4:
            raise ValueError(f"The layer {path!r} must put out maps, (batch, height, width, channels): {maps.shape}.")
        gradients = ops.cast(tape.gradient(logits, maps), "float32")
        weights = ops.mean(gradients, axis=(1, 2), keepdims=True)
        heat = ops.relu(ops.sum(weights * ops.cast(maps, "float32"), axis=-1, keepdims=True))
        return tf.image.resize(heat, x.shape[1:3])[..., 0]

    return asked.explained(explain, f"Grad-CAM at {path}", class_names)


def integrated_gradients(model, images, classes=None, *, baseline=0.0, num_steps=32, class_names=None, batch_size=16):
    """Shares out the logit of a class among the pixels, by its gradient on the way from an empty image.

    Value: (x - b) times the mean of the gradient of the logit at `num_steps` points between b and x, summed over the
    channels. The values of an image sum to logit(x) - logit(b), up to the error of the sum over points.

    Args:
        model: As in `grad_cam`.
        images: As in `grad_cam`.
        classes: As in `grad_cam`.
        baseline: Float, or array that fits an image, the empty image. Defaults to 0, black.
        num_steps: Integer, how many points. Defaults to 32.
        class_names: As in `grad_cam`.
        batch_size: As in `grad_cam`.

    Returns:
        An `Explanation`.

    Raises:
        ValueError: When the model has no logits, or no such class.

    Example:

    >>> model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> values = tft.analysis.integrated_gradients(model, x, 1).values
    >>> bool(np.allclose(values.ravel(), x.ravel() * model.layers[-1].kernel[:, 1], atol=1e-5))
    True

    Reference:
        Sundararajan et al., 2017, https://arxiv.org/abs/1703.01365
    """
    _checks.integer(num_steps, "num_steps", 1)
    asked = _Asked(model, images, classes, batch_size)

    def explain(rows):
        x, chosen = asked.tensors(rows)
        empty = tf.broadcast_to(tf.cast(baseline, "float32"), x.shape)
        total = tf.zeros_like(x)
        for step in range(num_steps):
            # The midpoints of equal parts of the way, whose error is the smallest for so many points.
            at = empty + (x - empty) * ((step + 0.5) / num_steps)
            with tf.GradientTape() as tape:
                tape.watch(at)
                logits = tf.gather(asked.signals_of(at)[LOGITS], chosen, axis=1, batch_dims=1)
            total += tape.gradient(logits, at)
        return tf.reduce_sum((x - empty) * total / num_steps, axis=-1)

    return asked.explained(explain, "integrated gradients", class_names)


def occlusion(model, images, classes=None, *, patch=None, stride=None, fill=None, class_names=None, batch_size=64):
    """Covers one square of an image after the other and says how far the class's probability falls.

    Value: at each pixel the mean, over the squares that cover it, of p(class | x) - p(class | x with the square).
    Needs no gradient, so any model will do, and takes as many runs an image as there are squares.

    Args:
        model: As in `grad_cam`.
        images: As in `grad_cam`.
        classes: As in `grad_cam`.
        patch: Integer, pixels of the side of a square. Defaults to an eighth of the image's smaller side.
        stride: Integer, pixels from one square to the next, at most `patch`. Defaults to half of `patch`.
        fill: Float, or array of the channels, what squares are filled with. Defaults to the mean of each image.
        class_names: As in `grad_cam`.
        batch_size: Integer, covered images at once. Defaults to 64.

    Returns:
        An `Explanation`.

    Raises:
        ValueError: When the model has no logits, no such class, or squares leave gaps.

    Example:

    >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Cropping2D(((0, 2), (0, 2))),
    ...                           keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    >>> values = tft.analysis.occlusion(model, np.random.default_rng(0).uniform(size=(1, 4, 4, 1)), patch=2).values
    >>> float(np.abs(values[0, 3:]).max()), bool(np.abs(values[0, :2]).max() > 0)
    (0.0, True)

    Reference:
        Zeiler and Fergus, 2014, https://arxiv.org/abs/1311.2901
    """
    asked = _Asked(model, images, classes, batch_size)
    height, width = asked.images.shape[1:3]
    patch = max(1, min(height, width) // 8) if patch is None else _checks.integer(patch, "patch", 1, min(height, width))
    stride = max(1, patch // 2) if stride is None else _checks.integer(stride, "stride", 1, patch)
    corners = [(top, left) for top in _starts(height, patch, stride) for left in _starts(width, patch, stride)]

    def explain(rows):
        return np.stack([_covered(asked, at, corners, patch, fill) for at in range(len(asked.images))[rows]])

    return asked.explained(explain, f"occlusion by {patch} x {patch} pixels", class_names)


def _covered(asked, at, corners, patch, fill):
    """Returns what one image's probability of its class loses where it is covered."""
    image = asked.images[at]
    filling = image.mean(axis=(0, 1)) if fill is None else np.asarray(fill, "float32")
    covered = np.repeat(image[None], len(corners), axis=0)
    for each, (top, left) in zip(covered, corners, strict=True):
        each[top : top + patch, left : left + patch] = filling
    after = asked.probabilities(covered)[:, asked.classes[at]]
    total, times = np.zeros((2, *image.shape[:2]), "float32")
    for (top, left), score in zip(corners, after, strict=True):
        total[top : top + patch, left : left + patch] += asked.scores[at] - score
        times[top : top + patch, left : left + patch] += 1
    return total / times


def _starts(size, patch, stride):
    """Returns where squares begin so that they cover a side to its end."""
    return [*range(0, size - patch, stride), size - patch]


class _Asked:
    """Images, the classes of a model that are to be explained, and how sure of them it is.

    Args:
        model: As in `grad_cam`.
        images: As in `grad_cam`.
        classes: As in `grad_cam`.
        batch_size: As in `grad_cam`.
        wanted: Set of signals, besides the logits, that `signals_of` returns. Defaults to none.
    """

    def __init__(self, model, images, classes, batch_size, wanted=frozenset()):
        self.model, self.images = model, _checked_images(model, images)
        self.batch_size = _checks.integer(batch_size, "batch_size", 1)
        self._signals = Signals(model, {LOGITS, *wanted})
        found = self.probabilities(self.images)
        self.classes = _checked_classes(classes, found)
        self.scores = found[np.arange(len(found)), self.classes]

    def signals_of(self, x):
        """Returns the signals of a batch by name."""
        return self._signals.run(self.model, x)[1]

    def probabilities(self, images):
        """Returns the probabilities `(num_images, num_classes)` of an array of images."""
        batches = (tf.constant(images[rows]) for rows in self._batches(len(images)))
        return np.concatenate([ops.convert_to_numpy(ops.softmax(self.signals_of(x)[LOGITS])) for x in batches])

    def tensors(self, rows):
        """Returns the images of a slice and their classes."""
        return tf.constant(self.images[rows]), tf.constant(self.classes[rows])

    def explained(self, explain, method, class_names):
        """Returns the `Explanation` by a function from a slice of images to values `(num_images, height, width)`."""
        values = np.concatenate([np.asarray(explain(rows)) for rows in self._batches(len(self.images))])
        names = agreed_names(class_names, self.model, None)
        return Explanation(values, self.classes, self.scores, self.images, names, method)

    def _batches(self, num):
        return [slice(at, at + self.batch_size) for at in range(0, num, self.batch_size)]


def _checked_images(model, images):
    images = np.asarray(images, "float32")
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"`images` must have shape (num_images, height, width, channels). Received: shape {images.shape}."
        )
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model` must be a built keras.Model on images. Received: {model!r}.")
    return images


def _checked_classes(classes, found):
    num = found.shape[1]
    classes = found.argmax(axis=1) if classes is None else np.asarray(classes)
    classes = np.broadcast_to(classes, (len(found),)) if classes.ndim == 0 else classes
    if classes.shape != (len(found),) or classes.dtype.kind not in "iu":
        raise ValueError(f"`classes` must be one integer, or one an image ({len(found)}). Received: {classes!r}.")
    if classes.min() < 0 or classes.max() >= num:
        raise ValueError(f"`classes` must be of 0..{num - 1}. Received: {sorted(set(classes.tolist()))}.")
    return classes.astype("int64")


def _last_maps(model):
    """Returns the path of the last layer in a model that puts out maps of more than one position."""
    found = None
    for path, layer in layer_paths(model).items():
        try:
            shape = layer.output.shape
        except AttributeError:
            continue
        if len(shape) == 4 and shape[1:3] != (1, 1) and not isinstance(layer, keras.Model):
            found = path
    if found is None:
        raise ValueError(
            f"{model.name!r} has no layer that puts out maps of shape (batch, height, width, channels), so that there "
            "is nothing to see with Grad-CAM. Take `tft.analysis.integrated_gradients` or `tft.analysis.occlusion`."
        )
    return found
