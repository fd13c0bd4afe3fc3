"""The flags on examples and networks that `tf-transfer auto` and `tf-transfer recommend` share."""

from tf_transfer.cli.config_flags import add_flags, read
from tf_transfer.cli.shared_flags import add_shared, words
from tf_transfer.cli.train_other_flags import GROUPS
from tf_transfer.workflow import AudioTrainConfig, TableTrainConfig, TextTrainConfig, TrainConfig

CONFIGS = (TrainConfig, TextTrainConfig, TableTrainConfig, AudioTrainConfig)
_REQUEST = "say what to learn from: --images DIR, --text FILE, --table FILE or --audio DIR"
_HELD_OUT = ("validation", "validation_split")


def add_examples(parser, *, held_out):
    """Adds the flags that say what to learn from, and how it is read.

    Args:
        parser: `argparse.ArgumentParser`.
        held_out: Boolean, whether a part is set aside to measure on.
    """
    title, flags = GROUPS["examples"]
    flags = {name: said for name, said in flags.items() if held_out or name not in _HELD_OUT}
    # Trainings augment by the standard of the kind, and so does what is searched or recommended.
    flags["augmentation"] = (flags["augmentation"][0], f"{flags['augmentation'][1]} (default: standard)")
    groups = {
        "examples": (title, flags),
        "images": (GROUPS["images"][0], {"image_size": words("image_size")}),
        **{name: GROUPS[name] for name in ("texts and tables", "recordings")},
    }
    if held_out:
        groups["result"] = GROUPS["result"]
    add_flags(parser, CONFIGS, groups, whole=False)


def add_networks(parser):
    """Adds the flags that say which networks there are to choose from."""
    group = parser.add_argument_group("networks", "what to choose from")
    add_shared(
        group,
        "backbone",
        action="append",
        dest="backbones",
        more="; for texts also keras_hub:PRESET, and mean, cnn or transformer, which start at random; for recordings "
        "small_conv, which does too; may be repeated",
    )
    group.add_argument("--max-parameters", type=int, metavar="N", help="only backbones with at most so many weights")
    group.add_argument(
        "--max-milliseconds", type=float, metavar="N", help="only backbones that take at most so long an image, here"
    )
    more = {
        "weights": words("weights", " (default: imagenet)"),
        "batch_size": words("batch_size"),
        "seed": words("seed"),
    }
    add_flags(parser, CONFIGS, {"how": ("how they begin and train", more)}, whole=False)


def read_config(arguments):
    """Returns the configuration that the flags on examples give, and the arguments of `tft.auto` that others give."""
    config = read(arguments, CONFIGS, _REQUEST)
    budget = {name: getattr(arguments, name) for name in ("max_parameters", "max_milliseconds")}
    options = {"budget": {name: value for name, value in budget.items() if value is not None}}
    if arguments.backbones:
        options["backbones"] = arguments.backbones
    if getattr(config, "image_size", None) is not None:
        options["image_size"] = config.image_size
    return config, options
