"""From a folder of images to the backbones that fit it."""

from tf_transfer.analysis import rank_backbones
from tf_transfer.analysis.ranking import check_candidates
from tf_transfer.data import ImageFolder

# Small, middling and large, of several kinds.
SHORTLIST = (
    "mobilenet_v3_small",
    "mobilenet_v2",
    "efficientnet_v2_b0",
    "densenet121",
    "resnet50_v2",
    "convnext_tiny",
)


def rank(
    images,
    backbones=SHORTLIST,
    *,
    weights="imagenet",
    image_size=None,
    channels=3,
    scores=("h_score", "log_me", "nleep"),
    skip_bad=False,
    max_examples=2000,
    batch_size=32,
    seed=0,
    verbose=1,
):
    """Ranks backbones for a folder of labelled images; see `tft.rank_backbones`.

    Args:
        images: String or path, a folder with a folder a class.
        backbones: As in `tft.rank_backbones`. Defaults to six of `keras.applications`, small to large.
        weights: "imagenet", the path of a weight file, or None for random weights. Defaults to "imagenet".
        image_size: Integer or pair (height, width), pixels. Defaults to what each backbone was trained at.
        channels: 1 (grey), 3 (RGB) or 4. Defaults to 3.
        scores: As in `tft.rank_backbones`.
        skip_bad: Boolean, whether to leave out images that can't be read instead of stopping. Defaults to False.
        max_examples: As in `tft.rank_backbones`.
        batch_size: As in `tft.rank_backbones`.
        seed: As in `tft.rank_backbones`.
        verbose: 0 or 1, whether to show progress and the table. Defaults to 1.

    Returns:
        A `tft.analysis.BackboneRanking`.

    Raises:
        ValueError: For backbones that are not known, images that can't be read, or options that can't be.
        OSError: For a folder that can't be read, or weights that can't be had.

    Example:

    >>> import os
    >>> for name, light in (("dark", 0), ("light", 150)):
    ...     for i in range(6):
    ...         os.makedirs(f"pictures/{name}", exist_ok=True)
    ...         pixels = np.random.default_rng(i).integers(0, 90, (16, 16, 3)) + light
    ...         keras.utils.save_img(f"pictures/{name}/{i}.png", pixels, scale=False)
    >>> keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3)], name="own").save("own.keras")
    >>> tft.workflow.rank("pictures", ["file:own.keras"], verbose=0)
    <BackboneRanking: file:own.keras>
    """
    shape = None
    if image_size is not None:
        size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
        shape = (*size, channels)
    check_candidates(backbones, scores, weights=weights, input_shape=shape)
    # Every backbone reads the files again, in its own size.
    folder = ImageFolder(images, shape[:2] if shape else (224, 224), channels=channels, skip_bad=skip_bad)
    options = {"weights": weights, "input_shape": shape, "scores": scores, "max_examples": max_examples}
    return rank_backbones(backbones, folder, batch_size=batch_size, seed=seed, verbose=verbose, **options)
