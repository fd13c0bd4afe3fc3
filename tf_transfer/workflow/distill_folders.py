"""The images of a distillation run: labelled ones, others that only the teacher knows, and some to measure on."""

import dataclasses
import os
import warnings

import numpy as np

from tf_transfer.data import ImageFolder, UnlabeledImages
from tf_transfer.data.decoding import read_images
from tf_transfer.data.file_streams import example_batches
from tf_transfer.workflow.labelled_folders import read_folders


@dataclasses.dataclass(frozen=True, eq=False)
class DistillFolders:
    """The images of a distillation run.

    Attributes:
        training: `ImageFolder`.
        validation: `ImageFolder` to measure on.
        unlabeled: `UnlabeledImages`, or None.
    """

    training: ImageFolder
    validation: ImageFolder
    unlabeled: UnlabeledImages | None = None

    @property
    def class_names(self):
        return self.training.class_names

    def __len__(self):
        return len(self.training) + (0 if self.unlabeled is None else len(self.unlabeled))

    def batches(self, image_size, batch_size, seed, *, shuffle=True):
        """Returns a dataset of batches of all images to learn from.

        Labels are integers; with `unlabeled` they are one-hot, and images without one have a row of zeros.
        """
        labelled = self.training.resized(image_size)
        images = labelled if self.unlabeled is None else _Together(labelled, self.unlabeled)
        return example_batches(images, batch_size, shuffle, seed, drop_remainder=False)


class _Together:
    """Labelled images and others in one stream, so that each batch has some of both."""

    def __init__(self, labelled, others):
        self._like = labelled
        self._files = [*labelled.files, *others.files]
        num_classes = len(labelled.class_names)
        without = np.zeros((len(others), num_classes), "float32")
        self._labels = np.concatenate([np.eye(num_classes, dtype="float32")[labelled.labels], without])

    def __len__(self):
        return len(self._files)

    def in_order(self, indices):
        return read_images(indices, self._like.image_size, self._like.channels, self._files, self._labels)


def read_images_of(config, shape, class_names):
    """Reads and checks the folders of a `DistillConfig`, for images of shape (height, width, channels)."""
    training, validation = read_folders(config, shape, class_names)
    if config.unlabeled is None:
        return DistillFolders(training, validation)
    unlabeled = UnlabeledImages(config.unlabeled, shape[:2], channels=shape[-1], skip_bad=config.skip_bad)
    _warn_of_measured(unlabeled, validation)
    return DistillFolders(training, validation, unlabeled)


def _warn_of_measured(unlabeled, validation):
    both = {os.path.realpath(file) for file in unlabeled.files} & {os.path.realpath(file) for file in validation.files}
    if both:
        warnings.warn(
            f"{len(both)} of the images to measure on are among the unlabeled ones, such as {min(both)}: the student "
            "sees them in training, so that its accuracy and its agreement will be too good.",
            stacklevel=4,
        )
