"""What parts of an input spoke for a class, and the picture of it."""

import dataclasses
import math

import numpy as np

# Names of more panels could not be read.
_MOST_PANELS = 24


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """How much each part of some images spoke for a class, as `tft.analysis.grad_cam` and others find it.

    Attributes:
        values: Float array of shape `(num_images, height, width)`; above 0 where a pixel spoke for the class.
        classes: Integer array of shape `(num_images,)`, the class that is explained.
        scores: Float array of shape `(num_images,)`, what the model gives it, between 0 and 1.
        images: Array of the images, as they were given.
        class_names: Sequence of strings, or None.
        method: String, such as "Grad-CAM".
    """

    values: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    images: np.ndarray
    class_names: list | None
    method: str

    def __repr__(self):
        return f"<Explanation of {len(self.values)} images by {self.method}>"

    def plot(self, max_images=8, *, opacity=0.55):
        """Draws each image beside itself under a layer of color: red spoke for the class, blue against it.

        Args:
            max_images: Integer, how many to draw at most. Defaults to 8.
            opacity: Float in [0, 1], of the layer where a pixel spoke loudest. Defaults to 0.55.

        Returns:
            A `matplotlib.figure.Figure`.
        """
        from matplotlib.figure import Figure

        num = min(len(self.values), max_images, _MOST_PANELS)
        pairs = min(num, 4)
        rows = math.ceil(num / pairs)
        figure = Figure(figsize=(3.4 * pairs, 2.1 * rows), layout="constrained")
        grid = figure.subplots(rows, 2 * pairs, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for at in range(num):
            image = self._drawn(at)
            left, right = grid[at // pairs, 2 * (at % pairs) : 2 * (at % pairs) + 2]
            left.imshow(image, cmap="gray", vmin=0, vmax=255)
            right.imshow(image.mean(axis=-1) if image.ndim == 3 else image, cmap="gray", vmin=0, vmax=255)
            largest = np.abs(self.values[at]).max() or 1.0
            strength = np.abs(self.values[at]) / largest
            right.imshow(
                self.values[at], cmap="coolwarm", vmin=-largest, vmax=largest, alpha=np.clip(strength, 0, 1) * opacity
            )
            left.set_title(f"{self._name(at)}, {self.scores[at]:.2f}", fontsize=9, loc="left")
        figure.suptitle(self.method, fontsize=11)
        return figure

    def _name(self, at):
        number = int(self.classes[at])
        return str(number) if self.class_names is None else self.class_names[number]

    def _drawn(self, at):
        image = np.clip(np.asarray(self.images[at], "float32"), 0, 255).astype("uint8")
        return image[..., 0] if image.shape[-1] == 1 else image[..., :3]
