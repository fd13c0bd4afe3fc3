"""BiT-HyperRule: the settings of fine-tuning from the size of a data set and of its images, and nothing to search."""

import dataclasses

import keras

from tf_transfer import _checks

# Examples below which a set is small, and below which it is medium, with the steps of each.
_SIZES = ((20_000, 500), (500_000, 10_000), (None, 20_000))
# Images of less than 96 x 96 pixels are seen at 128, others at 384.
_SMALL_AREA, _LOW, _HIGH = 96 * 96, 128, 384


@dataclasses.dataclass(frozen=True)
class BiTHyperRule:
    """How long, at which rate and at which resolution to fine-tune, by the rule of Big Transfer.

    Steps by the size of the data set (500 below 20,000 examples, 10,000 below 500,000, else 20,000), resolution by the
    size of the images, MixUp for all but small sets, and SGD with momentum 0.9 at a rate of 0.003 that falls to a
    tenth after 30, 60 and 90 % of the steps. All weights train, from the first step on, with a head that starts at
    zero, as the heads of the builders do.

    What differs here from the paper. Its batches are of 512: smaller ones see fewer images in as many steps. Its
    networks have group normalization; here batch normalization keeps its statistics, unless you say otherwise. Images
    are scaled to the resolution and mirrored, not cropped from a larger one; `mixup` is the recipe of
    `tft.data.recipe_names()`, with alpha 0.2 instead of 0.1. In the published code the rate also warms up in the first
    steps. Where there is validation data `tft.fine_tune` keeps the best weights, and the paper the last.

    Args:
        num_steps: Integer.
        image_size: Integer, pixels of a side.
        mixup: Boolean.
        learning_rate: Float. Defaults to 3e-3.
        momentum: Float. Defaults to 0.9.

    Example:

    >>> rule = BiTHyperRule.of(num_examples=1000, image_size=(500, 375))
    >>> rule.num_steps, rule.image_size, rule.augmentation, rule.num_epochs(1000, batch_size=32)
    (500, 384, 'flip', 16)
    >>> BiTHyperRule.of(50_000, (32, 32))
    BiTHyperRule(num_steps=10000, image_size=128, mixup=True, learning_rate=0.003, momentum=0.9)

    Reference:
        Kolesnikov et al., 2020, https://arxiv.org/abs/1912.11370
    """

    num_steps: int
    image_size: int
    mixup: bool
    learning_rate: float = 3e-3
    momentum: float = 0.9

    @classmethod
    def of(cls, num_examples, image_size):
        """Returns the rule for a data set.

        Args:
            num_examples: Integer, the examples to train on.
            image_size: Pair (height, width), pixels that the images have as they come.
        """
        _checks.integer(num_examples, "num_examples", 1)
        height, width = (_checks.integer(side, "image_size", 1) for side in image_size)
        steps = next(steps for most, steps in _SIZES if most is None or num_examples < most)
        return cls(steps, _LOW if height * width < _SMALL_AREA else _HIGH, steps > _SIZES[0][1])

    @property
    def augmentation(self):
        """String, the recipe of `tft.data.recipe_names()`."""
        return "mixup" if self.mixup else "flip"

    def num_epochs(self, num_examples, batch_size):
        """Returns the epochs that have the steps of the rule, the last of them whole."""
        return -(-self.num_steps // -(-num_examples // batch_size))

    def phases(self, num_examples, batch_size):
        """Returns the arguments of `tft.fine_tune`; compile the model with `optimizer()` before."""
        epochs = self.num_epochs(num_examples, batch_size)
        rates = {"learning_rate": self.learning_rate, "fine_tuning_rate": self.learning_rate}
        return {"freeze_epochs": 0, "epochs": epochs, **rates, "layer_decay": None, "schedule": "steps"}

    def optimizer(self):
        """Returns the optimizer to compile with."""
        return keras.optimizers.SGD(self.learning_rate, momentum=self.momentum)
