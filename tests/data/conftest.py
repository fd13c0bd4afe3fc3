"""Folders of small images, good and bad."""

import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def image_bytes():
    """Returns a function that encodes one noisy image."""

    def encode(seed=0, file_format="JPEG", size=(12, 16)):
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, file_format)
        return buffer.getvalue()

    return encode


@pytest.fixture
def photos(tmp_path, image_bytes):
    """Returns a folder with 3 ants, 5 bees and 4 cicadas."""
    folder = tmp_path / "photos"
    for name, count in (("ant", 3), ("bee", 5), ("cicada", 4)):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            (folder / name / f"{index}.jpg").write_bytes(image_bytes(seed=index))
    return folder
