"""A folder of images, one subfolder a class, as a stream of batches."""

import copy

from tf_transfer import _checks
from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.decoding import check_image_size, read_images
from tf_transfer.data.image_arrays import image_array
from tf_transfer.data.image_files import IMAGES


class ImageFolder(ClassFolder):
    """Labelled images in one folder a class, checked before anything is trained.

    The sorted names of the subfolders are the labels 0, 1, ...; images may lie deeper inside them.
    Every file is decoded once here, so that a corrupt or truncated one is named now and not in
    the middle of an epoch. Images are read anew in each epoch and never held in memory at once.

    Args:
        directory: Path of the folder that has the class folders.
        image_size: Pair of positive integers (height, width) in pixels to which every image is
            scaled, see `decode_image`.
        channels: 1 (grey), 3 (RGB) or 4 (with alpha). Defaults to 3.
        skip_bad: Bool, whether to leave out bad images with a warning instead of raising an error
            that lists them. Defaults to False.
        class_names: List of folder names that gives the labels their order, for instance
            `train.class_names` for a test folder that lacks a class. Other folders are left out,
            with a warning. Defaults to None: all folders, sorted.

    Attributes:
        files: List of strings, the image files.
        labels: Integer array of shape (num_images,), dtype int64.
        class_names: List of strings, one a label.
        bad: List of `BadImage(file, reason)`, what was left out by `skip_bad=True`.

    Raises:
        FileNotFoundError: If `directory` does not exist.
        NotADirectoryError: If it is a file.
        PermissionError: If it may not be read.
        ValueError: If it has no images, a single class, a class without images, or bad images.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("ant", "bee"):
    ...     tf.io.gfile.makedirs(str(folder / name))
    ...     tf.io.write_file(str(folder / name / "1.png"), tf.io.encode_png(tf.zeros((8, 8, 3), tf.uint8)))
    >>> images = ImageFolder(folder, image_size=(4, 4))
    >>> len(images), images.class_names, images.labels.tolist()
    (2, ['ant', 'bee'], [0, 1])
    >>> [x.shape for x, y in images.dataset(batch_size=2)]
    [TensorShape([2, 4, 4, 3])]
    """

    kind = IMAGES

    def __init__(self, directory, image_size, *, channels=3, skip_bad=False, class_names=None):
        self.image_size = check_image_size(image_size)
        self.channels = _checks.one_of(channels, "channels", (1, 3, 4))
        super().__init__(directory, skip_bad, class_names)

    @property
    def example_shape(self):
        return (*self.image_size, self.channels)

    def in_order(self, indices):
        """Returns a dataset of single pairs (image, label) in the order of `indices`, a dataset of integers."""
        return read_images(indices, self.image_size, self.channels, self.files, self.labels)

    def examples(self, num_images):
        """Returns a float32 array of `num_images` images (or all, if there are fewer), spread over the classes."""
        _checks.integer(num_images, "num_images", minimum=1)
        # Files are sorted by class, so equal steps visit all the classes.
        return image_array(self.files, self.image_size, self.channels, num_images=num_images)

    def resized(self, image_size, channels=None):
        """Returns the same images, which are not checked again, read in another size.

        Args:
            image_size: Pair of positive integers (height, width) in pixels.
            channels: 1, 3 or 4. Defaults to None: as before.

        Returns:
            An `ImageFolder`.
        """
        part = copy.copy(self)
        part.image_size = check_image_size(image_size)
        part.channels = self.channels if channels is None else _checks.one_of(channels, "channels", (1, 3, 4))
        return part
