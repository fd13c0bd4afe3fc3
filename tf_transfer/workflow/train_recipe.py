"""The recipe of a training run that sets everything by the size of the data: BiT-HyperRule."""

import numpy as np

from tf_transfer.backbones import APPLICATIONS
from tf_transfer.data import ImageFolder
from tf_transfer.fine_tuning import BiTHyperRule

RECIPES = ("bit",)
# What a recipe says itself.
SAID = ("freeze_epochs", "epochs", "learning_rate", "fine_tuning_rate", "layer_decay")
_MOST_LOOKED_AT = 200


def rule_for(folder: ImageFolder, num_examples):
    """Returns the `BiTHyperRule` for the images of a folder, of which so many train."""
    return BiTHyperRule.of(num_examples, _usual_size(folder.files))


def has_free_size(backbone):
    """Returns whether a backbone takes images of any size, so that a recipe can choose it."""
    return backbone in APPLICATIONS and not APPLICATIONS[backbone].fixed_size


def _usual_size(files):
    """Returns the median (height, width) of images, in pixels, by their headers."""
    from PIL import Image

    chosen = np.linspace(0, len(files) - 1, min(len(files), _MOST_LOOKED_AT)).astype(int)
    sizes = []
    for index in chosen:
        with Image.open(files[index]) as image:
            sizes.append(image.size[::-1])
    return tuple(int(side) for side in np.median(sizes, axis=0))
