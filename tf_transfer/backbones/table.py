"""What has to be known about each of the 40 `keras.applications` families to use it right."""

from dataclasses import dataclass

# The means and deviations of ImageNet's RGB channels, on images in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Mode -> (scale, offset, reversed channels): what a raw RGB image in 0..255 becomes, `image * scale + offset`.
# A number holds for every channel, a tuple for red, green, blue (after the reversal: blue, green, red).
PREPROCESSING = {
    "none": (1.0, 0.0, False),
    "unit": (1 / 255, 0.0, False),
    "tf": (1 / 127.5, -1.0, False),
    "tf128": (1 / 128, -1.0, False),
    "caffe": (1.0, (-103.939, -116.779, -123.68), True),
    "torch": (
        tuple(1 / (255 * std) for std in IMAGENET_STD),
        tuple(-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)),
        False,
    ),
    # The published weights of the first EfficientNets divide by the deviation once more, by its square root.
    "efficientnet": (
        tuple(1 / (255 * std**1.5) for std in IMAGENET_STD),
        tuple(-mean / std**1.5 for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)),
        False,
    ),
}


@dataclass(frozen=True)
class Application:
    """One constructor of `keras.applications`.

    Args:
        constructor: String, its name in `keras.applications`.
        preprocessing: String, the key of `PREPROCESSING` that its ImageNet weights were trained with.
        default_size: Integer, the height and width in pixels that its ImageNet weights were trained at.
        smallest_size: Integer, the smallest height and width in pixels that it builds at.
        normalization: String, "batch", "layer" or "none".
        block_pattern: String, the key of `blocks.PATTERNS` by which its layers are grouped.
        fixed_size: Boolean, True when its ImageNet weights load at `default_size` only.
        built_in: Boolean, True when the constructor preprocesses and can't be told not to.
    """

    constructor: str
    preprocessing: str
    default_size: int
    smallest_size: int = 32
    normalization: str = "batch"
    block_pattern: str = ""
    fixed_size: bool = False
    built_in: bool = False


def _family(sizes, constructor, preprocessing, block_pattern, **rest):
    """Returns the entries of one family; `sizes` maps a registry name to (suffix of the constructor, default size)."""
    return {
        name: Application(constructor + suffix, preprocessing, size, block_pattern=block_pattern, **rest)
        for name, (suffix, size) in sizes.items()
    }


APPLICATIONS = {
    **_family(
        {f"convnext_{size.lower()}": (size, 224) for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
        "ConvNeXt",
        "torch",
        "convnext",
        normalization="layer",
    ),
    **_family({f"densenet{depth}": (str(depth), 224) for depth in (121, 169, 201)}, "DenseNet", "torch", "resnet"),
    # EfficientNet (the first) keeps its normalisation inside, in weights of its own.
    **_family(
        {f"efficientnet_b{i}": (f"B{i}", size) for i, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
        "EfficientNet",
        "efficientnet",
        "efficientnet",
        built_in=True,
    ),
    **_family(
        {f"efficientnet_v2_b{i}": (f"B{i}", size) for i, size in enumerate((224, 240, 260, 300))},
        "EfficientNetV2",
        "torch",
        "efficientnet",
    ),
    **_family(
        {f"efficientnet_v2_{size.lower()}": (size, pixels) for size, pixels in (("S", 384), ("M", 480), ("L", 480))},
        "EfficientNetV2",
        "tf128",
        "efficientnet",
    ),
    "inception_resnet_v2": Application("InceptionResNetV2", "tf", 299, 75, block_pattern="inception"),
    "inception_v3": Application("InceptionV3", "tf", 299, 75, block_pattern="inception"),
    "mobilenet": Application("MobileNet", "tf", 224, block_pattern="mobilenet"),
    "mobilenet_v2": Application("MobileNetV2", "tf", 224, block_pattern="mobilenet_v2"),
    "mobilenet_v3_large": Application("MobileNetV3Large", "tf", 224, block_pattern="mobilenet_v3"),
    "mobilenet_v3_small": Application("MobileNetV3Small", "tf", 224, block_pattern="mobilenet_v3"),
    "nasnet_large": Application("NASNetLarge", "tf", 331, block_pattern="nasnet", fixed_size=True),
    "nasnet_mobile": Application("NASNetMobile", "tf", 224, block_pattern="nasnet", fixed_size=True),
    **_family({f"resnet{depth}": (str(depth), 224) for depth in (50, 101, 152)}, "ResNet", "caffe", "resnet"),
    **_family({f"resnet{depth}_v2": (f"{depth}V2", 224) for depth in (50, 101, 152)}, "ResNet", "tf", "resnet"),
    **_family(
        {f"vgg{depth}": (str(depth), 224) for depth in (16, 19)}, "VGG", "caffe", "numbered", normalization="none"
    ),
    "xception": Application("Xception", "tf", 299, 71, block_pattern="numbered"),
}
