"""The words on the flags of `tf-transfer adapt`, see `config_flags`."""

from tf_transfer.adaptation.classifier_builder import METHODS, SCHEDULES
from tf_transfer.cli import train_flags
from tf_transfer.cli.shared_flags import words


def as_in_train(title, *names):
    """Returns the words of `train` on some of the flags in one of its groups."""
    return {name: train_flags.GROUPS[title][1][name] for name in names}


GROUPS = {
    "images": (
        "what to learn from, and what to adapt to",
        {
            "source": words("source", ", with one subfolder of labelled ones per class, named like the class"),
            "target": words(
                "target", "; with subfolders named like the classes, their labels are used to "
                "measure, never to train",
            ),
            "target_labels": (
                "true|false", "whether the subfolders of --target are classes (default: told from their names)",
            ),
            "validation": words("validation", ", of a labelled --target"),
            "validation_split": words("validation_split", ", of a labelled --target (default: 0.2)"),
            **as_in_train("images", "class_names", "skip_bad", "image_size", "channels", "augmentation"),
        },
    ),
    "method": (
        "what brings the two kinds of images together",
        {
            "method": ("NAME", "one of " + ", ".join(METHODS)),
            "adaptation_weight": (
                "WEIGHT", "how much the method counts beside the labels: a number, or schedule=NAME,KEY=VALUE with "
                f"{', '.join(SCHEDULES)}, such as schedule=dann,final=0.5 (default: the method's own)",
            ),
            "method_options": ("KEY=VALUE", "option of the method, such as random_dim=512; may be repeated"),
            "batch_statistics": (
                "MODE", "where batch normalization trains: separate normalizes each domain by itself, joint both "
                "together",
            ),
        },
    ),
    "model": (
        "the pretrained network (backbone), and the new layers on top of it (head)",
        {
            **as_in_train("model", "backbone", "weights", "backbone_options"),
            "trainable": words(
                "trainable", ": true, a number of blocks from the top, a fraction, a block's "
                "name (from there up), names with commas, or re:PATTERN; false adapts the hidden layers of the head "
                "only",
            ),
            **as_in_train("model", "batch_norm", "pooling"),
            "hidden_units": words(
                "hidden_units", "; the outputs of the last are what is brought together "
                "(default: 256)",
            ),
            **as_in_train("model", "dropout", "l2", "label_smoothing"),
        },
    ),
    "training": (
        "first on the source alone, which gives the model to compare to, then on both",
        {
            "source_epochs": ("N", "passes over the source alone; 0 leaves them out"),
            "epochs": words("epochs", " of the longer of the two folders, with the method"),
            "learning_rate": words("learning_rate"),
            **as_in_train("training", "batch_size", "seed", "strategy"),
        },
    ),
    "result": (
        "what to do with the adapted model",
        {
            "output": words("output", ": what train writes, pictures and report.html"),
            "projection": ("NAME", "how features become a picture: tsne or pca"),
            "export": train_flags.GROUPS["result"][1]["export"],
        },
    ),
}  # fmt: skip
