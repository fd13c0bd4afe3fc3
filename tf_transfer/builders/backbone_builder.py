"""What builders on a backbone share, whatever their input: what trains in it, the head, and how they compile."""

import dataclasses
import re

import keras

from tf_transfer import _checks
from tf_transfer.backbones import set_trainable
from tf_transfer.builders.base import Builder
from tf_transfer.parameter_efficient.by_name import as_parameter_efficient, names_method
from tf_transfer.parameter_efficient.method import ParameterEfficient
from tf_transfer.regularizers.by_name import as_regularizer
from tf_transfer.regularizers.regularizer import Regularizer
from tf_transfer.training import as_multi_worker


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackboneBuilder(Builder):
    """The fields of every builder that puts a head on a backbone, and how they become a model.

    A subclass gives `_features()`, the inputs and the backbone's features, and has its head from `ClassifierFields` or
    `RegressorFields`.

    Args:
        trainable: What trains in the backbone, as in `tft.set_trainable`, or a parameter-efficient method such as
            `tft.LoRA(4)`, its name, or its dict as `to_dict` gives it. Defaults to False.
        batch_norm: "frozen" or "trainable", as in `tft.set_trainable`. Defaults to "frozen".
        hidden_units: Tuple of integers, hidden layers of the head. Defaults to none.
        dropout: Float in [0, 1), in front of each dense layer of the head. Defaults to 0.2.
        l2: Float of at least 0, weight of the squared norm of the head's kernels. Defaults to 0.
        regularizer: What holds the backbone near its source while it trains: a regularizer such as `tft.L2SP()`, its
            name, its dict as `to_dict` gives it, or None. `tft.fine_tune` and the command line apply it in their
            second phase; plain `fit` does not see it: give it `callbacks=[builder.regularizer.callback(model)]`.
            Defaults to None.
        learning_rate: Float, of the Adam optimizer that the model is compiled with. Defaults to 1e-3.
        seed: Integer or None, of all that is drawn. Defaults to None.
    """

    trainable: bool | int | float | str | tuple | dict | ParameterEfficient = False
    batch_norm: str = "frozen"
    hidden_units: tuple = ()
    dropout: float = 0.2
    l2: float = 0.0
    regularizer: str | dict | Regularizer | None = None
    learning_rate: float = 1e-3
    seed: int | None = None

    def __post_init__(self):
        super().__post_init__()
        _checks.one_of(self.batch_norm, "batch_norm", ["frozen", "trainable"])
        if self.regularizer is not None:
            self._set(regularizer=as_regularizer(self.regularizer))
        _checks.number(self.dropout, "dropout", 0.0, 1.0 - 1e-6)
        _checks.number(self.l2, "l2", 0.0)
        _checks.number(self.learning_rate, "learning_rate", 0.0)
        units = self.hidden_units if isinstance(self.hidden_units, list | tuple) else (self.hidden_units,)
        self._set(hidden_units=tuple(_checks.integer(unit, "hidden_units", 1) for unit in units))
        if isinstance(self.trainable, list):
            self._set(trainable=tuple(self.trainable))
        if names_method(self.trainable) or isinstance(self.trainable, dict):
            self._set(trainable=as_parameter_efficient(self.trainable))
            if self.batch_norm != "frozen":
                raise ValueError(
                    f"batch_norm={self.batch_norm!r} does not go with trainable={self.trainable}, which says itself "
                    "what trains. Take batch_norm='frozen'; `tft.BatchNormTuning('follow')` moves the statistics."
                )

    def build(self):
        inputs, features = self._features()
        model = keras.Model(inputs, self._head(features), name=_snake_case(type(self).__name__))
        return self._finish(model)

    def _features(self):
        """Returns the input tensors, as a model takes them, and the backbone's features."""
        raise NotImplementedError(f"{type(self).__name__} must define `_features`.")

    def _head(self, features):
        raise NotImplementedError(f"{type(self).__name__} must have a head: `ClassifierFields` or `RegressorFields`.")

    def _objective(self):
        raise NotImplementedError(f"{type(self).__name__} must have a head: `ClassifierFields` or `RegressorFields`.")

    def _head_options(self):
        return {"hidden_units": self.hidden_units, "dropout": self.dropout, "l2": self.l2, "seed": self.seed}

    def _finish(self, model):
        """Returns the model with what is to train in it, compiled."""
        return self._compiled(self._prepared(model))

    def _prepared(self, model):
        """Returns the model with what is to train in it, not compiled yet."""
        if isinstance(self.trainable, ParameterEfficient):
            model = self.trainable.with_seed(self.seed).apply(model, verbose=False)
        else:
            set_trainable(model, self.trainable, batch_norm=self.batch_norm, verbose=False)
        # Last of all, since a parameter-efficient method may have made another model.
        return as_multi_worker(model)

    def _compiled(self, model):
        loss, metrics = self._objective()
        model.compile(keras.optimizers.Adam(self.learning_rate), loss, metrics=metrics)
        model.builder = self
        return model


def _snake_case(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
