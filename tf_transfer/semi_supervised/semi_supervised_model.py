"""What methods share that learn from few labelled and many unlabelled examples."""

import threading

import keras
import tensorflow as tf
from keras import ops

from tf_transfer import _checks
from tf_transfer.data.labelled_pairs import VIEWS, inner_shape, is_labelled_pair
from tf_transfer.semi_supervised.passes import POLICIES, run_views
from tf_transfer.training import with_logits
from tf_transfer.training.batch_statistics import mixes_examples
from tf_transfer.training.whole_model import WholeModel


class SemiSupervisedModel(WholeModel):
    """A classifier that learns from the labels of few examples, and from many examples without labels.

    Base class of methods. Objective: the compiled loss on the labelled examples + a weight * what the method says of
    the unlabelled ones, a mean over all of them, + regularization. `fit` takes batches from `tft.data.pair_labelled`;
    `class_weight`, `sample_weight`, label smoothing and compiled metrics are about the labelled examples. `evaluate`,
    `predict` and `validation_data` take plain inputs.

    A subclass defines `objective`.

    Args:
        model: Functional or sequential `keras.Model`, a classifier that ends in softmax, in one sigmoid or in logits;
            see `tft.training.with_logits`. It is trained in place.
        weight: Float of at least 0 or a schedule, how much the unlabelled examples count.
        batch_statistics: What batch normalization sees while training. "joint": all views of a batch in one forward
            pass; moving statistics of that mixture. "interleaved": groups as large as the labelled batch, each a
            sample of all views, normalized by itself; the first one moves the statistics, as in MixMatch's public
            code. "separate": a forward pass a view, and each moves the statistics. "labelled": a forward pass a view,
            and only the labelled one moves them. Without batch normalization that trains, all are the same, and one
            pass is made. Defaults to "joint", as in FixMatch's public code.
        **kwargs: `name` of a `keras.Model`.
    """

    # The entries of the history.
    loss_name = "unlabelled_loss"
    weight_name = "unlabelled_weight"
    needs_strong = False

    def __init__(self, model, weight, batch_statistics="joint", **kwargs):
        super().__init__(model, **kwargs)
        self.batch_statistics = _checks.one_of(batch_statistics, "batch_statistics", POLICIES)
        if isinstance(model.inputs, list) and {each.name for each in model.inputs} & set(VIEWS):
            raise ValueError(
                f"The inputs of `model` can't be named {list(VIEWS)}: these name the parts of a batch. "
                f"Received: {[each.name for each in model.inputs]}."
            )
        twin = with_logits(model)
        # In a function, for Keras would track the twin's layers a second time.
        self._twin = lambda: twin
        self.num_classes = twin.outputs[1].shape[-1]
        self._given_weight = weight
        setattr(self, self.weight_name, self.add_scheduled(self.weight_name, weight))
        # Replicas of a strategy are threads; what `call` leaves for `compute_loss` is each one's own.
        self._local = threading.local()
        for name in ("classification_loss", self.loss_name, self.weight_name):
            self.add_part(name)

    @property
    def class_scorer(self):
        return self.model

    def call(self, inputs, training=False):
        if not is_labelled_pair(inputs):
            return self.answer(inputs, training)
        if not training:
            return self.answer(inputs["labelled"], training)
        views = self.shown(_flat_views(inputs))
        policy = self.batch_statistics if mixes_examples(self.model) else "joint"
        ratio = keras.tree.flatten(inputs["unlabelled"])[0].shape[1]
        outputs = run_views(self._twin(), list(views.values()), policy, training, ratio)
        self._local.logits = {name: logits for name, (_, logits) in zip(views, outputs, strict=True)}
        return outputs[0][0]

    def answer(self, inputs, training):
        """Returns the deployed model's predictions for plain inputs."""
        return self.model(inputs, training=training)

    def shown(self, views):
        """Returns those of the views of a batch, a dict, that `model` is shown; "labelled" is first."""
        return views

    def objective(self, logits, x):
        """Returns what the unlabelled examples say, before its weight, and a dict of further values for the logs.

        Args:
            logits: Dict from the name of each view to float32 logits of shape `(num_examples, num_classes)`.
            x: The batch as `tft.data.pair_labelled` made it.

        Returns:
            A float32 scalar, a mean over the unlabelled examples, and a dict of float32 scalars.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `objective`.")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not training:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        self._check_batch(x)
        supervised = self.compiled_loss(y, y_pred, sample_weight)
        value, parts = self.objective(self._local.logits, x)
        weight = getattr(self, self.weight_name)
        entries = {self.loss_name: value, self.weight_name: weight, "classification_loss": self.unshare(supervised)}
        for name, part in {**entries, **parts}.items():
            self.log_part(name, part, training, ops.shape(y_pred)[0])
        return supervised + weight * self.share(value) + self.regularization(self.model)

    def _check_batch(self, x):
        if not is_labelled_pair(x) or (self.needs_strong and "strong" not in x):
            found = sorted(x) if isinstance(x, dict) else type(x).__name__
            keys = "'unlabelled': x_u, 'strong': x_s" if self.needs_strong else "'unlabelled': x_u"
            raise ValueError(
                f"`{type(self).__name__}.fit` takes batches ({{'labelled': x_l, {keys}}}, y_l). Received: {found}. "
                "Make them with `tft.data.pair_labelled(labelled, unlabelled"
                + (", strong='cutout')`." if self.needs_strong else ")`.")
            )

    def get_config(self):
        weight = keras.saving.serialize_keras_object(self._given_weight)
        return {**super().get_config(), self.weight_name: weight, "batch_statistics": self.batch_statistics}

    @classmethod
    def from_config(cls, config):
        restore = keras.saving.deserialize_keras_object
        given = {name: restore(value) for name, value in config.items() if name != "model" and isinstance(value, dict)}
        return super().from_config({**config, **given})


def _flat_views(inputs):
    """Returns the views of a batch by name, each with its examples in one row."""
    rank = len(keras.tree.flatten(inputs["labelled"])[0].shape)

    def flat(leaf):
        return tf.reshape(leaf, [_product(leaf), *inner_shape(leaf, 2)])

    views = {}
    for name in (each for each in VIEWS if each in inputs):
        view = inputs[name]
        if name != "labelled":
            if len(keras.tree.flatten(view)[0].shape) != rank + 1:
                raise ValueError(
                    f"The {name} examples of a batch must have the shape (batch, ratio, ...), where the labelled ones "
                    f"have (batch, ...). Received: {tuple(keras.tree.flatten(view)[0].shape)}. "
                    "`tft.data.pair_labelled` makes such batches."
                )
            view = keras.tree.map_structure(flat, view)
        views[name] = view
    return views


def _product(leaf):
    return leaf.shape[0] * leaf.shape[1] if None not in leaf.shape[:2] else -1
