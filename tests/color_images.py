"""A folder of small images whose class is their color, which little training can learn."""

import numpy as np
from PIL import Image

COLORS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def write_color_images(folder, num_images=10, size=64, colors=COLORS):
    """Writes `num_images` noisy images a color, JPEG and PNG by turns, and returns the folder."""
    rng = np.random.default_rng(0)
    for name, color in colors.items():
        (folder / name).mkdir(parents=True)
        for index in range(num_images):
            pixels = np.clip(np.array(color) + rng.normal(0, 25, (size, size, 3)), 0, 255).astype(np.uint8)
            suffix = "png" if index % 2 else "jpg"
            Image.fromarray(pixels).save(folder / name / f"{index}.{suffix}")
    return folder
