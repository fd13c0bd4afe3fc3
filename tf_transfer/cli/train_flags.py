"""The words on the flags of `tf-transfer train`, see `config_flags`."""

from tf_transfer.cli.shared_flags import words
from tf_transfer.parameter_efficient.by_name import METHODS as EFFICIENT
from tf_transfer.regularizers.by_name import METHODS

GROUPS = {
    "images": (
        "what to learn from",
        {
            "images": words("images"),
            "validation": words("validation"),
            "validation_split": words("validation_split", " (default: 0.2)"),
            "class_names": words("class_names", " (default: all, sorted)"),
            "skip_bad": words("skip_bad"),
            "image_size": words("image_size"),
            "channels": words("channels", " (default: the backbone's own)"),
            "augmentation": words("augmentation"),
        },
    ),
    "model": (
        "the pretrained network (backbone), which is a row of blocks of layers, and the new layers on top of it (head)",
        {
            "backbone": words("backbone"),
            "weights": words("weights"),
            "backbone_options": ("KEY=VALUE", "option of the backbone, such as alpha=0.35; may be repeated"),
            "trainable": words(
                "trainable", " in the second phase: true, a number of blocks from the top, a "
                "fraction, a block's name (from there up), names with commas, or re:PATTERN "
                "(default: the upper half of the blocks); or few parameters in all of it: " + ", ".join(EFFICIENT)
                + ", with options parameter_efficient=LoRA,rank=8",
            ),
            "batch_norm": words("batch_norm"),
            "pooling": ("MODE", "how the backbone's feature maps become one vector: avg, max or none"),
            "hidden_units": words("hidden_units", " (default: none)"),
            "dropout": ("RATE", "part of the head's inputs that is left out at random in training"),
            "l2": ("WEIGHT", "penalty on large weights of the head"),
            "label_smoothing": ("AMOUNT", "how much a label gives to the other classes, against overconfidence"),
        },
    ),
    "training": (
        "two phases: the head on the frozen backbone, then, more slowly, a part of the backbone too",
        {
            "recipe": (
                "NAME", "bit sets epochs, rates, resolution and augmentation by number and size of images, and trains "
                "all of the backbone, by BiT-HyperRule (default: none)",
            ),
            "freeze_epochs": ("N", "passes over the examples in the first phase"),
            "epochs": words("epochs", " in the second phase; 0 leaves it out (feature extraction)"),
            "learning_rate": words("learning_rate", " in the first phase"),
            "fine_tuning_rate": ("RATE", "size of the steps in the second phase (default: a hundredth of that)"),
            "regularizer": (
                "NAME", "holds the backbone near what it knows in the second phase, which helps with few labels: "
                + ", ".join(METHODS) + "; or with options, regularizer=L2SP,alpha=0.01",
            ),
            "layer_decay": ("FACTOR", "factor on the rate from each block to the one below (default: one rate)"),
            "class_weight": (
                "WEIGHTS", "balanced lets rare classes count as much as frequent ones; or cat=1,dog=2.5 (default: none)"
            ),
            "batch_size": words("batch_size"),
            "features_cache": (
                "DIR", "keeps what the frozen backbone makes of the images, so that it is computed once: a folder, "
                "true for the user's cache folder, or false",
            ),
            "restore_best_weights": (
                None, "end each phase with its best epoch on the examples that are measured on, which makes figures "
                "a little too good; with --no-restore-best-weights with the last one",
            ),
            "seed": words("seed"),
            "strategy": words(
                "strategy", "; multi_worker on all machines that the environment variable TF_CONFIG names, the same "
                "command on each; or auto, one_device, tpu (default: none)",
            ),
        },
    ),
    "result": (
        "what to do with the trained model",
        {
            "min_accuracy": ("FRACTION", "below this accuracy nothing is kept and the exit code is 3 (default: none)"),
            "output": words("output", ": model.keras, config.yaml, history.csv, result.json, predictions.csv"),
            "export": words("export"),
            "save_model": words("save_model"),
        },
    ),
}  # fmt: skip
