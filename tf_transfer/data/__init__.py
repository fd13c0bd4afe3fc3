"""Files, arrays and streams become batches of examples; augmentation happens on the way."""

from tf_transfer.data.decoding import decode_image

__all__ = ["decode_image"]
