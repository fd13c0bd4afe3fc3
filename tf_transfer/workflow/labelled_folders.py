"""The labelled images of a run: those to train on, and those to measure on."""

from tf_transfer.data import ImageFolder
from tf_transfer.workflow.training_config import DEFAULT_SPLIT


def read_labelled(config, directory, shape, class_names):
    """Returns the folder at `directory` as an `ImageFolder` of images of shape (height, width, channels)."""
    options = {"channels": shape[-1], "skip_bad": config.skip_bad}
    return ImageFolder(directory, shape[:2], class_names=class_names, **options)


def read_folders(config, shape, class_names=None):
    """Returns the images to train on and those to measure on, two `ImageFolder`s.

    Args:
        config: `RunConfig` with `images`, `validation` and `validation_split`.
        shape: Tuple (height, width, channels).
        class_names: List of strings. Defaults to those of the configuration, else the names of the folders.
    """
    names = config.builder.get("class_names") if class_names is None else class_names
    folder = read_labelled(config, config.images, shape, names)
    if config.validation is None:
        return split(folder, config)
    return folder, read_labelled(config, config.validation, shape, folder.class_names)


def split(folder, config):
    """Returns the images of a folder to train on and, by the `validation_split` of a run, those to measure on."""
    return folder.split(config.validation_split or DEFAULT_SPLIT, config.seed)
