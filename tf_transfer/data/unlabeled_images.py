"""Images without labels: the target of a domain adaptation, or pictures to predict."""

from tf_transfer import _checks
from tf_transfer.data.decoding import check_image_size, read_images
from tf_transfer.data.file_streams import example_batches
from tf_transfer.data.image_files import image_files


class UnlabeledImages:
    """Images without labels, from files and folders, checked before anything is trained.

    Folders are searched with all their subfolders, whose names mean nothing here. Every file is
    decoded once, so that a corrupt one is named now. Images are read anew in each epoch and
    never held in memory at once.

    Args:
        paths: A path or a list of paths of image files and folders.
        image_size: Pair of positive integers (height, width) in pixels to which every image is
            scaled, see `decode_image`.
        channels: 1 (grey), 3 (RGB) or 4 (with alpha). Defaults to 3.
        skip_bad: Bool, whether to leave out bad images with a warning instead of raising an error
            that lists them. Defaults to False.

    Attributes:
        files: List of strings, the image files.

    Raises:
        FileNotFoundError: If one of `paths` does not exist.
        ValueError: If there is no image, or a bad one and `skip_bad=False`.

    Example:

    >>> for name in ("a", "b", "c"):
    ...     tf.io.write_file(f"photos/{name}.png", tf.io.encode_png(tf.zeros((8, 8, 3), tf.uint8)))
    >>> images = UnlabeledImages("photos", image_size=(4, 4))
    >>> images
    <UnlabeledImages photos: 3 images>
    >>> [x.shape for x in images.dataset(batch_size=2)]
    [TensorShape([2, 4, 4, 3]), TensorShape([1, 4, 4, 3])]
    """

    def __init__(self, paths, image_size, *, channels=3, skip_bad=False):
        self.image_size = check_image_size(image_size)
        self.channels = _checks.one_of(channels, "channels", (1, 3, 4))
        self.paths = paths
        self.files = image_files(paths, skip_bad=skip_bad)

    def __len__(self):
        return len(self.files)

    def __repr__(self):
        return f"<UnlabeledImages {self.paths}: {len(self)} images>"

    def dataset(self, batch_size=32, *, shuffle=False, seed=None, drop_remainder=False):
        """Returns a `tf.data.Dataset` of batches of images, as `predict` takes them.

        Args:
            batch_size: Positive integer. Defaults to 32.
            shuffle: Bool, whether to read all the images in a new order in each epoch. Defaults to
                False.
            seed: Integer or None, the same seed gives the same orders. Defaults to None.
            drop_remainder: Bool, whether to leave out a last batch that is not full. Defaults to
                False.

        Returns:
            A finite dataset of known cardinality: float32 (batch, height, width, channels) in 0..255.
        """
        return example_batches(self, batch_size, shuffle, seed, drop_remainder)

    def in_order(self, indices):
        """Returns a dataset of single images in the order of `indices`, a dataset of integers."""
        return read_images(indices, self.image_size, self.channels, self.files).map(lambda image: image)
