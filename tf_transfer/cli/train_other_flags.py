"""The words on the flags of `tf-transfer train` for texts, tables and recordings beside those for images."""

from tf_transfer.cli import train_flags
from tf_transfer.cli.shared_flags import words
from tf_transfer.data import audio_recipe_names

_TITLE, _IMAGES = train_flags.GROUPS["images"]
_TRAINING_TITLE, _TRAINING = train_flags.GROUPS["training"]
_MODEL_TITLE, _MODEL = train_flags.GROUPS["model"]

GROUPS = {
    "examples": (
        f"{_TITLE}: one of --images, --text, --table and --audio",
        {
            "images": _IMAGES["images"],
            "text": words("text"),
            "table": words("table", "; what its columns are taken for is said"),
            "audio": words("audio"),
            "target": ("COLUMN", "of --text and --table: the column to predict"),
            "validation": _IMAGES["validation"],
            "validation_split": _IMAGES["validation_split"],
            "class_names": _IMAGES["class_names"],
            "skip_bad": _IMAGES["skip_bad"],
            "augmentation": words("augmentation", f"; for recordings: {', '.join(audio_recipe_names())}"),
        },
    ),
    "images": ("how images are read", {name: _IMAGES[name] for name in ("image_size", "channels")}),
    "texts and tables": (
        "how their columns are read",
        {
            "text_column": ("COLUMN", "of --text: the column of the texts (default: the one that looks like it)"),
            "task": (
                "TASK",
                "classification or regression (default: classification), of a table as its target looks",
            ),
            "columns": ("A,B,...", "of --table: the columns to predict from (default: all that say something)"),
            "kinds": ("A=KIND", "of --table: number, category or text, where what is found is wrong; may be repeated"),
            "missing_indicators": (None, "let the model of a table see that a value is missing"),
            "max_categories": ("N", "values of a category that are told apart"),
            "max_tokens": ("N", "words of a column of texts that are told apart"),
        },
    ),
    "recordings": (
        "how they are read, and the spectrogram that the backbone sees",
        {
            "sample_rate": ("HERTZ", "samples a second; other rates are resampled"),
            "seconds": ("SECONDS", "length of a recording; longer ones are cut, shorter ones filled with silence"),
            "num_mel_bins": ("N", "bands of the spectrogram"),
            "frame_seconds": ("SECONDS", "window of one spectrum"),
            "step_seconds": ("SECONDS", "time from one spectrum to the next"),
            "min_frequency": ("HERTZ", "where the lowest band begins"),
            "max_frequency": ("HERTZ", "where the highest ends (default: half the sample rate)"),
            "normalization": ("HOW", "example, or the mean and deviation in decibels, or none"),
        },
    ),
    "model": (
        _MODEL_TITLE,
        {
            **_MODEL,
            "backbone": words(
                "backbone",
                "; for texts also keras_hub:PRESET, and mean, cnn or transformer, which start at random; "
                "for recordings small_conv, which does too (default: mobilenet_v2); of texts mean, of recordings "
                "small_conv",
            ),
            "hidden_units": words("hidden_units", " (default: none; of a table 64,64)"),
        },
    ),
    "training": (
        _TRAINING_TITLE,
        {
            **_TRAINING,
            "freeze_epochs": (
                "N",
                "passes over the examples in the first phase (default: 20), none for a network that starts at random",
            ),
            "epochs": words(
                "epochs",
                " in the second phase; 0 leaves it out (default: 10), 30 for a network that starts at random, "
                "100 for a table",
            ),
        },
    ),
    "result": train_flags.GROUPS["result"],
}
