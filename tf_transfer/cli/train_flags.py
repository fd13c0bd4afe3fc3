"""The words on the flags of `tf-transfer train`, see `config_flags`."""

from tf_transfer.data import recipe_names
from tf_transfer.parameter_efficient.by_name import METHODS as EFFICIENT
from tf_transfer.regularizers.by_name import METHODS

GROUPS = {
    "images": (
        "what to learn from",
        {
            "images": ("DIR", "folder with one subfolder of images per class, named like the class"),
            "validation": ("DIR", "a second such folder, to measure the model on (default: a part of --images)"),
            "validation_split": ("FRACTION", "part of each class that is set aside to measure on (default: 0.2)"),
            "class_names": ("A,B,...", "the classes, in the order that they are to have (default: all, sorted)"),
            "skip_bad": (None, "leave out images that can't be read, instead of stopping"),
            "image_size": ("N or HxW", "pixels to scale images to, height x width (default: those of the backbone)"),
            "channels": ("1|3|4", "1 for grey, 3 for color, 4 with transparency (default: the backbone's own)"),
            "augmentation": (
                "NAME", "random changes of the training images, so that they seem more: " + ", ".join(recipe_names()),
            ),
        },
    ),
    "model": (
        "the pretrained network (backbone), which is a row of blocks of layers, and the new layers on top of it (head)",
        {
            "backbone": ("NAME", "one of `tf-transfer backbones`, or hub:HANDLE, or file:MODEL.keras"),
            "weights": ("WEIGHTS", "imagenet (downloaded once), none for random ones, or a weight file"),
            "backbone_options": ("KEY=VALUE", "option of the backbone, such as alpha=0.35; may be repeated"),
            "trainable": (
                "WHAT", "what trains in the backbone in the second phase: true, a number of blocks from the top, a "
                "fraction, a block's name (from there up), names with commas, or re:PATTERN "
                "(default: the upper half of the blocks); or few parameters in all of it: " + ", ".join(EFFICIENT)
                + ", with options parameter_efficient=LoRA,rank=8",
            ),
            "batch_norm": ("MODE", "frozen keeps the backbone's batch normalization as it was trained, or trainable"),
            "pooling": ("MODE", "how the backbone's feature maps become one vector: avg, max or none"),
            "hidden_units": ("N,N,...", "sizes of hidden layers in the head (default: none)"),
            "dropout": ("RATE", "part of the head's inputs that is left out at random in training"),
            "l2": ("WEIGHT", "penalty on large weights of the head"),
            "label_smoothing": ("AMOUNT", "how much a label gives to the other classes, against overconfidence"),
        },
    ),
    "training": (
        "two phases: the head on the frozen backbone, then, more slowly, a part of the backbone too",
        {
            "freeze_epochs": ("N", "passes over the images in the first phase"),
            "epochs": ("N", "passes in the second phase; 0 leaves it out (feature extraction)"),
            "learning_rate": ("RATE", "size of the steps in the first phase"),
            "fine_tuning_rate": ("RATE", "size of the steps in the second phase (default: a hundredth of that)"),
            "regularizer": (
                "NAME", "holds the backbone near what it knows in the second phase, which helps with few labels: "
                + ", ".join(METHODS) + "; or with options, regularizer=L2SP,alpha=0.01",
            ),
            "layer_decay": ("FACTOR", "factor on the rate from each block to the one below (default: one rate)"),
            "class_weight": (
                "WEIGHTS", "balanced lets rare classes count as much as frequent ones; or cat=1,dog=2.5 (default: none)"
            ),
            "batch_size": ("N", "images in one step; take less when memory runs out"),
            "features_cache": (
                "DIR", "keeps what the frozen backbone makes of the images, so that it is computed once: a folder, "
                "true for the user's cache folder, or false",
            ),
            "seed": ("N", "start of all random choices: the same seed splits and shuffles the same"),
            "strategy": (
                "NAME", "multi_worker trains on all machines that the environment variable TF_CONFIG names, the same "
                "command on each; mirrored on all devices of this one; or auto, one_device, tpu (default: none)",
            ),
        },
    ),
    "result": (
        "what to do with the trained model",
        {
            "min_accuracy": ("FRACTION", "below this accuracy nothing is kept and the exit code is 3 (default: none)"),
            "output": (
                "DIR", "new folder for model.keras, config.yaml, history.csv, result.json and predictions.csv, which "
                "`tf-transfer runs` reads (default: none)",
            ),
            "export": ("DIR", "write the next version of a served model, DIR/1, DIR/2, ..."),
            "save_model": ("FILE", "write a .keras file, to go on with in Keras"),
        },
    ),
}  # fmt: skip
