"""Where a classifier looks: Grad-CAM, integrated gradients and occlusion, through nested backbones."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
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
    signals = Signals(model, {LOGITS, ("layer", path)})

    def explain(x, chosen):
        with tf.GradientTape() as tape:
            tape.watch(x)
            _, found = signals.run(model, x)
            maps = next(value for name, value in found.items() if name != LOGITS)
            logits = tf.gather(found[LOGITS], chosen, axis=1, batch_dims=1)
        if len(maps.shape) != 4:
            raise ValueError(f"The layer {path!r} must put out maps, (batch, height, width, channels): {maps.shape}.")
        gradients = ops.cast(tape.gradient(logits, maps), "float32")
        weights = ops.mean(gradients, axis=(1, 2), keepdims=True)
        heat = ops.relu(ops.sum(weights * ops.cast(maps, "float32"), axis=-1, keepdims=True))
        return tf.image.resize(heat, x.shape[1:3])[..., 0]

    return _explained(model, images, classes, class_names, batch_size, explain, f"Grad-CAM at {path}")


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
    signals = Signals(model, {LOGITS})

    def explain(x, chosen):
        empty = tf.broadcast_to(tf.cast(baseline, "float32"), x.shape)
        total = tf.zeros_like(x)
        for step in range(num_steps):
            # The midpoints of equal parts of the way, whose error is the smallest for so many points.
            at = empty + (x - empty) * ((step + 0.5) / num_steps)
            with tf.GradientTape() as tape:
                tape.watch(at)
                logits = tf.gather(signals.run(model, at)[1][LOGITS], chosen, axis=1, batch_dims=1)
            total += tape.gradient(logits, at)
        return tf.reduce_sum((x - empty) * total / num_steps, axis=-1)

    return _explained(model, images, classes, class_names, batch_size, explain, "integrated gradients")


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
    images = _checked_images(model, images)
    height, width = images.shape[1:3]
    patch = max(1, min(height, width) // 8) if patch is None else _checks.integer(patch, "patch", 1, min(height, width))
    stride = max(1, patch // 2) if stride is None else _checks.integer(stride, "stride", 1, patch)
    corners = [(top, left) for top in _starts(height, patch, stride) for left in _starts(width, patch, stride)]

    def explain(x, chosen):
        return np.stack([_covered(model, image, int(kind), corners, patch, fill, batch_size)
                         for image, kind in zip(x.numpy(), chosen.numpy(), strict=True)])  # fmt: skip

    method = f"occlusion by {patch} x {patch} pixels"
    return _explained(model, images, classes, class_names, batch_size, explain, method)


def _covered(model, image, kind, corners, patch, fill, batch_size):
    """Returns what one image's probability of a class loses where it is covered."""
    filling = image.mean(axis=(0, 1)) if fill is None else np.asarray(fill, "float32")
    covered = np.repeat(image[None], len(corners), axis=0)
    for each, (top, left) in zip(covered, corners, strict=True):
        each[top : top + patch, left : left + patch] = filling
    signals = Signals(model, {LOGITS})
    before = float(_probabilities(signals, model, image[None])[0, kind])
    after = [_probabilities(signals, model, covered[at : at + batch_size])[:, kind]
             for at in range(0, len(covered), batch_size)]  # fmt: skip
    total, times = np.zeros((2, *image.shape[:2]), "float32")
    for (top, left), score in zip(corners, np.concatenate(after), strict=True):
        total[top : top + patch, left : left + patch] += before - score
        times[top : top + patch, left : left + patch] += 1
    return total / times


def _starts(size, patch, stride):
    """Returns where squares begin so that they cover a side to its end."""
    return [*range(0, size - patch, stride), size - patch]


def _explained(model, images, classes, class_names, batch_size, explain, method):
    images = _checked_images(model, images)
    _checks.integer(batch_size, "batch_size", 1)
    signals = Signals(model, {LOGITS})
    batches = range(0, len(images), batch_size)
    found = np.concatenate([_probabilities(signals, model, images[at : at + batch_size]) for at in batches])
    classes = _checked_classes(classes, found)
    values = [
        np.asarray(explain(tf.constant(images[at : at + batch_size]), tf.constant(classes[at : at + batch_size])))
        for at in batches
    ]
    names = class_names if class_names is not None else getattr(getattr(model, "builder", None), "class_names", None)
    scores = found[np.arange(len(found)), classes]
    return Explanation(np.concatenate(values), classes, scores, images, names and list(names), method)


def _probabilities(signals, model, images):
    return ops.convert_to_numpy(ops.softmax(signals.run(model, tf.constant(images))[1][LOGITS]))


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
