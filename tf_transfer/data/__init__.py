"""Files, arrays and streams become batches of examples; augmentation happens on the way."""

from tf_transfer.data.class_weights import balanced_class_weight, check_labels
from tf_transfer.data.decoding import decode_image
from tf_transfer.data.image_files import BadImage, image_files
from tf_transfer.data.image_folder import ImageFolder

__all__ = ["BadImage", "ImageFolder", "balanced_class_weight", "check_labels", "decode_image", "image_files"]
