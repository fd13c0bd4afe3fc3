"""The words on flags that several commands have: what one of them means is said here, once.

A command may say more after them, such as its default; `tests/cli/test_rules_of_commands.py` holds the rest.
"""

import argparse

from tf_transfer.data import recipe_names

WORDS = {
    "images": ("DIR", "folder with one subfolder of images per class, named like the class"),
    "text": ("FILE", "CSV or TSV file with a column of texts and a column of labels"),
    "table": ("FILE", "CSV, TSV or parquet file"),
    "audio": ("DIR", "folder with one subfolder of WAV files per class"),
    "source": ("DIR", "folder of images that a model is trained on"),
    "target": ("DIR", "folder of images that it will be used on"),
    "validation": ("PATH", "labelled examples of the same kind, to measure on (default: a part that is set aside)"),
    "validation_split": ("FRACTION", "part of each class that is set aside to measure on"),
    "class_names": ("A,B,...", "the classes, in the order of the scores"),
    "skip_bad": (None, "leave out files that can't be read, instead of stopping"),
    "image_size": ("N or HxW", "pixels to scale images to, height x width (default: those of the backbone)"),
    "channels": ("1|3|4", "1 for grey, 3 for color, 4 with transparency"),
    "augmentation": (
        "NAME",
        f"random changes of the training images, so that they seem more: {', '.join(recipe_names())}",
    ),
    "backbone": ("NAME", "one of `tf-transfer backbones`, or hub:HANDLE, or file:MODEL.keras"),
    "weights": ("WEIGHTS", "imagenet (downloaded once), none for random ones, or a weight file"),
    "trainable": ("WHAT", "what trains in the backbone"),
    "batch_norm": ("MODE", "frozen keeps the backbone's batch normalization as it was trained, or trainable"),
    "hidden_units": ("N,N,...", "sizes of hidden layers in the head"),
    "epochs": ("N", "passes over the examples"),
    "learning_rate": ("RATE", "size of the steps"),
    "batch_size": ("N", "examples in one step, with two folders of each; take less when memory runs out"),
    "max_examples": ("N", "examples to look at; of more so many are drawn"),
    "seed": ("N", "start of all random choices: the same seed draws, splits and shuffles the same"),
    "strategy": ("NAME", "mirrored trains on all devices of this machine"),
    "output": ("DIR", "new folder for what the run leaves, which `tf-transfer runs` reads"),
    "export": ("DIR", "write the next version of a served model, DIR/1, DIR/2, ..."),
    "save_model": ("FILE", "write a .keras file, to go on with in Keras"),
    "examples": ("DIR", "folder with real images, to compare predictions on"),
    "top_k": ("N", "how many of the best classes to give, with their scores"),
    "plot": ("FILE", "draw it: a .png, .svg or .pdf file"),
    "resume": (
        "DIR",
        "keep the state of the run after each epoch, and go on from there when it was stopped, even killed; it lies in "
        "DIR, by default beside what the run leaves, and is removed at the end",
    ),
}


def words(name, more=""):
    """Returns what to write after a flag and what it means, with what a command has to say more."""
    metavar, text = WORDS[name]
    return metavar, text + more


def add_shared(parser, name, *, more="", **options):
    """Adds a flag with the words that all commands have on it to a parser.

    Args:
        parser: `argparse.ArgumentParser`.
        name: String, one of `WORDS`.
        more: String, what a command says more. Defaults to "", and to the default where one is among the options.
        **options: Those of `argparse.ArgumentParser.add_argument`.
    """
    metavar, text = words(name, more)
    default = options.get("default")
    if default is not None and "(default" not in text:
        text += f" (default: {default})"
    if metavar is None:
        # With a default of its own `argparse` would add "(default: False)" to the words.
        options = {"action": argparse.BooleanOptionalAction, "default": argparse.SUPPRESS}
    else:
        options = {"metavar": metavar, **options}
    parser.add_argument("--" + name.replace("_", "-"), help=text.replace("%", "%%"), **options)
    if metavar is None:
        parser.set_defaults(**{name: False})


def add_resume(parser):
    """Adds --resume, with which a run that was stopped goes on."""
    add_shared(parser, "resume", nargs="?", const=True)


def add_class_names(parser, more):
    """Adds --class-names for a model that may know none; read it with `class_names`."""
    add_shared(parser, "class_names", more=more)


def class_names(arguments):
    """Returns the list of names that --class-names gives, or None."""
    text = arguments.class_names
    return None if text is None else [name.strip() for name in text.split(",")]


def image_options(arguments):
    """Returns --image-size, where it was given, and --weights as functions of images take them, a dict."""
    from tf_transfer.workflow.written_values import read_value

    options = {"weights": None if arguments.weights == "none" else arguments.weights}
    if arguments.image_size is not None:
        options["image_size"] = read_value(arguments.image_size, int | tuple | None, "image_size")
    return options


def check_plot(arguments):
    """Raises, before long work, when the file of --plot could not be written."""
    from tf_transfer.workflow.output_folder import check_file

    if arguments.plot is not None:
        check_file(arguments.plot, "plot")


def save_plot(arguments, draw):
    """Writes the `matplotlib` figure that `draw` makes to the file of --plot, when there is one."""
    from tf_transfer import _files

    if arguments.plot is not None:
        with _files.whole_file(arguments.plot) as draft:
            draw().savefig(draft, dpi=144)
