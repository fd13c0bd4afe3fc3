"""Ways of carrying a model over, by name: what they set in a builder, and how long and how fast they train."""

import dataclasses
import math
import typing

import numpy as np

from tf_transfer.builders import Builder
from tf_transfer.data import as_dataset
from tf_transfer.few_shot import PrototypicalNetwork
from tf_transfer.fine_tuning import fine_tune


class Method(typing.NamedTuple):
    """A way of training a builder's model on labelled examples.

    Attributes:
        title: String, what people call it.
        fields: Dict, what it sets in the builder.
        phases: Dict of arguments of `tft.fine_tune`; empty for what trains nothing.
        passes: Float, what one epoch of the backbone costs, in forward passes; 0 where it stays frozen.
    """

    title: str
    fields: dict
    phases: dict
    passes: float


_HEAD = {"freeze_epochs": 30, "learning_rate": 3e-3}
# Fewer steps leave the head of a few dozen examples, which starts at zero, half way; epochs cost time of their own.
_FEWEST_STEPS, _MOST_EPOCHS = 300, 100
# Of a backbone: after fewer, what a short training reached says nothing about a long one.
_FEWEST_SHORT_STEPS = 100
METHODS = {
    "prototypes": Method("prototypes of the classes", {}, {}, 0.0),
    "feature_extraction": Method("feature extraction", {}, {**_HEAD, "epochs": 0}, 0.0),
    # The builder's own `trainable` says: the upper half of the blocks.
    "l2_sp": Method(
        "fine-tuning held by L2-SP",
        {"regularizer": "L2SP"},
        {**_HEAD, "epochs": 12, "fine_tuning_rate": 3e-4},
        2.0,
    ),
    "fine_tuning": Method(
        "fine-tuning of the whole backbone",
        {"trainable": True},
        {**_HEAD, "epochs": 12, "fine_tuning_rate": 3e-4},
        3.0,
    ),
    "from_scratch": Method(
        "training of all weights",
        {"trainable": True},
        {"freeze_epochs": 0, "epochs": 30, "fine_tuning_rate": 3e-3},
        3.0,
    ),
}


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One way of training one builder's model.

    Args:
        name: String.
        backbone: String, the name of what it starts from.
        method: String, one of "prototypes", "feature_extraction", "l2_sp", "fine_tuning" and "from_scratch".
        builder: The builder, with the fields that the method sets.
        phases: Dict of arguments of `tft.fine_tune`.
        fewest_epochs: Integer, epochs of the backbone below which a training says nothing. Defaults to 1.
    """

    name: str
    backbone: str
    method: str
    builder: Builder
    phases: dict
    fewest_epochs: int = 1

    @property
    def is_frozen(self):
        """Whether the backbone stays as it is, so that features are all that the training sees."""
        return METHODS[self.method].passes == 0

    def shortened(self, share):
        """Returns the candidate with a share of its epochs of the backbone, itself where so few would say nothing."""
        epochs = self.phases.get("epochs", 0)
        fewer = max(self.fewest_epochs, round(share * epochs))
        return self if fewer >= epochs else dataclasses.replace(self, phases={**self.phases, "epochs": fewer})

    def train(self, data, *, seed=0, cache=False, batch_size=None):
        """Returns a model that was trained on labelled examples, from the beginning, by a schedule set beforehand."""
        return self.fit(data, seed=seed, cache=cache, batch_size=batch_size)[0]

    def fit(self, data, *, seed=0, cache=False, batch_size=None):
        """Returns such a model, and the `tft.fine_tuning.FineTuningHistory`, None where nothing is trained."""
        model = dataclasses.replace(self.builder, seed=seed).build()
        if self.method == "prototypes":
            return with_prototypes(model, data, batch_size), None
        history = fine_tune(
            model,
            data,
            **self.phases,
            batch_norm=self.builder.batch_norm,
            features_cache=cache,
            validation_split=0.0,
            batch_size=batch_size,
            seed=seed,
            verbose=0,
        )
        return model, history


def make_candidate(method, builder, backbone, num_examples, batch_size=32):
    """Returns the `Candidate` of a method, by its name, and a builder on what is called `backbone`."""
    chosen = METHODS[method]
    made = dataclasses.replace(builder, **chosen.fields)
    phases = phases_for(method, num_examples, batch_size)
    fewest_epochs = math.ceil(_FEWEST_SHORT_STEPS * batch_size / num_examples)
    return Candidate(f"{backbone}, {chosen.title}", backbone, method, made, phases, fewest_epochs)


def phases_for(method, num_examples, batch_size=32):
    """Returns the arguments of `tft.fine_tune` of a method: the head has 300 steps, or 100 epochs."""
    phases = dict(METHODS[method].phases)
    if phases.get("freeze_epochs"):
        steps = math.ceil(num_examples / batch_size)
        phases["freeze_epochs"] = max(phases["freeze_epochs"], min(_MOST_EPOCHS, math.ceil(_FEWEST_STEPS / steps)))
    return phases


def with_prototypes(model, data, batch_size):
    """Returns the model with the head that the mean features of the classes make."""
    parts = [(batch[0].numpy(), batch[1].numpy()) for batch in as_dataset(data, batch_size=batch_size)]
    x, y = (np.concatenate(each) for each in zip(*parts, strict=True))
    made = PrototypicalNetwork(model).adapt(x, y, batch_size=batch_size or 32)
    made.builder = model.builder
    return made
