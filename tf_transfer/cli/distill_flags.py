"""The words on the flags of `tf-transfer distill`, see `config_flags`."""

from tf_transfer.cli.adapt_flags import as_in_train
from tf_transfer.cli.shared_flags import words
from tf_transfer.workflow.distill_losses import LOSSES

GROUPS = {
    "models": (
        "the large classifier to learn from, and the small one to make",
        {
            "teacher": ("FILE", "the .keras file of a classifier, as train --save-model or adapt --output write it"),
            "student": (
                "NAME", "backbone of the student: one of `tf-transfer backbones`, or hub:HANDLE, or file:MODEL.keras; "
                "or a whole classifier that goes on learning: MODEL.keras",
            ),
            **as_in_train("model", "weights", "backbone_options"),
            "trainable": words(
                "trainable", " of the student: true, a number of blocks from the top, a fraction, a "
                "block's name (from there up), names with commas, or re:PATTERN (default: true)",
            ),
            "batch_norm": words("batch_norm", " (default: trainable)"),
            **as_in_train("model", "pooling", "hidden_units", "dropout", "l2", "label_smoothing"),
        },
    ),
    "images": (
        "what to learn from",
        {
            **as_in_train("images", "images"),
            "unlabeled": ("DIR", "folder of images without labels, on which the student learns from the teacher alone"),
            **as_in_train("images", "validation", "validation_split"),
            "class_names": words(
                "class_names", " of the teacher (default: that of the run which made it, or all, sorted)"
            ),
            **as_in_train("images", "skip_bad"),
            "image_size": words("image_size", ", which is the student's; the teacher gets images of its own size"),
            "channels": words("channels", " (default: the teacher's own)"),
            **as_in_train("images", "augmentation"),
        },
    ),
    "distillation": (
        "what the student learns from the teacher",
        {
            "losses": ("NAME,...", f"what is compared: any of {', '.join(LOSSES)} (default: kd)"),
            "loss_weights": (
                "KEY=VALUE", "weight of a loss, such as hint=100; may be repeated (default: those of the papers)",
            ),
            "temperature": ("T", "softens the teacher's probabilities in kd and dkd (default: 4)"),
            "weight": ("FRACTION", "the teacher's part of the objective, the rest is that of the labels"),
            "teacher_layer": ("PATH", "layer that losses on features compare (default: the last feature maps)"),
            "student_layer": ("PATH", "the same of the student (default: the last feature maps)"),
            "cache": (
                None, "compute the teacher's answers once and keep them in the user's cache folder, where "
                "--augmentation none leaves the images the same in each epoch (default: yes)",
            ),
            "compare_alone": (None, "train the same student without the teacher too, to compare (default: no)"),
        },
    ),
    "training": (
        "of all of the student at once",
        {
            "epochs": words("epochs"),
            "learning_rate": words("learning_rate"),
            **as_in_train("training", "batch_size", "seed", "strategy"),
        },
    ),
    "result": (
        "what to do with the student",
        {
            "output": words("output", ": what train writes, comparison.csv, confusion.png and report.html"),
            **as_in_train("result", "export"),
        },
    ),
}  # fmt: skip
