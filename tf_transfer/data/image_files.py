"""Image files, and why some of them cannot be trained on."""

import io
import re
import struct
import zlib
from typing import NamedTuple

import tensorflow as tf
from PIL import Image

from tf_transfer.data.decoding import decode_pixels
from tf_transfer.data.example_files import FileKind, checked_files
from tf_transfer.data.image_headers import NO_IMAGE, why_not_header

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
# Images all right, but of formats that TensorFlow cannot decode: named as bad, never passed over as "no image".
_UNREADABLE_SUFFIXES = (".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".ico", ".psd", ".svg", ".ppm", ".pgm")
# Pillow lets the errors of its parsers through when bytes are corrupt.
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
# What the files of other formats begin with; their decoders are not asked, since nobody needs them.
_OTHER_FORMATS = {
    "TIFF": rb"II\*\0|MM\0\*",
    "AVIF": rb"....ftypavi[fs]",
    "HEIC": rb"....ftyp(hei|hev|mif|msf)",
    "JPEG 2000": rb"\0\0\0\x0cjP|\xff\x4f\xff\x51",
    "JPEG XL": rb"\0\0\0\x0cJXL|\xff\x0a",
    "ICO": rb"\0\0\x01\0",
    "PSD": rb"8BPS",
    "PPM": rb"P[1-6]\s",
    "SVG": rb"\s*(<\?xml[^>]*>\s*)?<svg",
}


class BadImage(NamedTuple):
    """An image file that cannot be used, and why."""

    file: str
    reason: str


def image_files(paths, *, skip_bad=False):
    """Returns the image files that `paths` name, every one of them checked.

    Folders are searched with all their subfolders; hidden files and files that are no images are
    left out with a warning. A file that is named itself is taken whatever its suffix.

    Args:
        paths: A path or a list of paths of image files and folders.
        skip_bad: Bool, whether to leave out images that are corrupt, with a warning, instead of
            raising. Defaults to False.

    Returns:
        A list of strings: the files in the given order, those of a folder sorted.

    Raises:
        FileNotFoundError: If one of `paths` does not exist.
        ValueError: If no image is found, or some are corrupt and `skip_bad=False`.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.mkdtemp()
    >>> Image.new("RGB", (4, 4)).save(f"{folder}/one.png")
    >>> [Path(file).name for file in image_files(folder)]
    ['one.png']
    """
    return checked_files(paths, IMAGES, skip_bad)


def _why_bad(contents):
    """Returns why the contents of a file cannot be used as an image, or an empty string."""
    return _why_not_format(contents) or _why_not_pillow(contents) or _why_not_tensorflow(contents)


def _why_not_format(contents):
    reason = why_not_header(contents)
    if reason != NO_IMAGE:
        return reason
    for name, beginning in _OTHER_FORMATS.items():
        if re.match(beginning, contents, re.DOTALL):
            return f"cannot be decoded by TensorFlow: save it as JPEG or PNG (it is {name})"
    return "is corrupt or no image"


def _why_not_pillow(contents):
    # TensorFlow fills the missing rows of some truncated files without a word; Pillow never does.
    try:
        # Without this list a file that is PostScript inside would have Pillow start Ghostscript.
        with Image.open(io.BytesIO(contents), formats=_FORMATS) as image:
            if image.format == "BMP" and image.mode == "P":
                return "is a BMP with a color palette, which TensorFlow reads as grey: save it as PNG"
            image.load()
    except Image.UnidentifiedImageError:
        return "is corrupt or no image"
    except _DECODING_ERRORS as error:
        truncated = "truncated" in str(error).lower()
        return f"is {'truncated' if truncated else 'corrupt'} ({error})"
    return ""


def _why_not_tensorflow(contents):
    try:
        decode_pixels(contents)
    except tf.errors.InvalidArgumentError as error:
        message = error.message.split("}} ")[-1].split(" [Op:")[0]
        return f"cannot be decoded by TensorFlow: save it as JPEG or PNG ({message})"
    return ""


IMAGES = FileKind(
    noun="image",
    nouns="images",
    other="no image",
    others="no images",
    suffixes=_SUFFIXES,
    unreadable=_UNREADABLE_SUFFIXES,
    why_bad=_why_bad,
    bad=BadImage,
)
