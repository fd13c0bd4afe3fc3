"""What a training run is made of, as plain data: from code, a YAML file or the command line."""

import dataclasses
import os

from tf_transfer import _checks
from tf_transfer.builders import ImageClassifier
from tf_transfer.workflow.written_values import read_value

# Fields of the builder that a run knows otherwise, and from where.
NOT_CHOSEN = {
    "num_classes": "the folder of images has one subfolder per class",
    "multi_label": "a folder per class gives each image one label",
    "input_shape": "`image_size` and `channels`",
    "learning_rate": "the run's own `learning_rate`",
    "seed": "the run's own `seed`",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole training run on a folder of images, for `tft.workflow.train`.

    In a file and in a dict all names stand side by side, those of the run and those of `tft.ImageClassifier`; there,
    values may also be written as on the command line ("96x128", "none", "alpha=0.35").

    Args:
        images: String or path, the folder that has one subfolder of images per class.
        validation: String or path, a second such folder to measure on. Defaults to a part of `images`.
        validation_split: Float in (0, 1), the part of each class that is measured on instead of trained on when there
            is no `validation` folder. Defaults to 0.2.
        skip_bad: Boolean, whether to leave out images that can't be read instead of stopping. Defaults to False.
        image_size: Integer or pair (height, width), pixels that images are scaled to. Defaults to what the backbone
            was trained at.
        channels: 1 (grey), 3 (RGB) or 4. Defaults to what the backbone was trained at.
        builder: Dict of fields of `tft.ImageClassifier`, such as `{"backbone": "mobilenet_v2", "dropout": 0.5}`. Its
            `trainable` says what trains in the second phase; without it the upper half of the blocks does.
        freeze_epochs: Integer, epochs in which only the head trains. Defaults to 20.
        epochs: Integer, epochs of the second phase, in which a part of the backbone trains too. 0 leaves it out
            (feature extraction). Defaults to 10.
        learning_rate: Float, highest rate of the first phase. Defaults to 3e-3.
        fine_tuning_rate: Float, highest rate of the second phase. Defaults to `learning_rate / 100`.
        layer_decay: Float in (0, 1], factor on the rate from each block to the one below. Defaults to one rate.
        class_weight: "balanced", a dict of class name to weight, or None. Defaults to None.
        batch_size: Integer, images of one step. Defaults to 32.
        features_cache: Boolean, or the folder that keeps the features of the frozen backbone. Defaults to True, the
            user's cache folder.
        seed: Integer, of the split, the shuffling, the augmentation and the head. Defaults to 0.
        min_accuracy: Float in [0, 1]. Below it, on validation, nothing is saved or exported. Defaults to None.
        save_model: String or path, a `.keras` file to save to. Defaults to None.
        export: String or path, the folder of the served model, such as "saved_models/flowers". Defaults to None.

    Raises:
        ValueError: For a name or a value that can't be, before anything is read.

    Example:

    >>> config = TrainConfig.from_dict({"images": "photos", "backbone": "mobilenet_v3_small", "image_size": "96x128"})
    >>> config.image_size, config.builder, config.epochs
    ((96, 128), {'backbone': 'mobilenet_v3_small'}, 10)
    >>> TrainConfig.from_dict(config.to_dict()) == config
    True
    """

    images: str | os.PathLike
    validation: str | os.PathLike | None = None
    validation_split: float | None = None
    skip_bad: bool = False
    image_size: int | tuple | None = None
    channels: int | None = None
    builder: dict = dataclasses.field(default_factory=dict)
    freeze_epochs: int = 20
    epochs: int = 10
    learning_rate: float = 3e-3
    fine_tuning_rate: float | None = None
    layer_decay: float | None = None
    class_weight: str | dict | None = None
    batch_size: int = 32
    features_cache: bool | str | os.PathLike | None = True
    seed: int = 0
    min_accuracy: float | None = None
    save_model: str | os.PathLike | None = None
    export: str | os.PathLike | None = None

    def __post_init__(self):
        for name in ("images", "validation", "save_model", "export"):
            self._check_path(name)
        self._check_data()
        self._check_training()
        self._check_builder()

    @classmethod
    def fields(cls):
        """Returns the names that stand side by side in a file, each with its `dataclasses.Field`."""
        builder = {field.name: field for field in dataclasses.fields(ImageClassifier) if field.name not in NOT_CHOSEN}
        return {field.name: field for field in dataclasses.fields(cls) if field.name != "builder"} | builder

    @classmethod
    def from_dict(cls, fields, **overrides):
        """Makes a configuration from names and values side by side.

        Args:
            fields: Dict of the names of `fields()`. What `ImageClassifier.to_dict()` gives may be among them, or
                nested under "builder".
            **overrides: Values that replace those of `fields`.

        Raises:
            ValueError: For an unknown name ("did you mean"), or a value that can't be.
        """
        known = cls.fields()
        fields = {**_side_by_side(fields), **_side_by_side(overrides)}
        expected = fields.pop("num_classes", None)
        _checks.known_fields(fields, known, "The configuration")
        if "images" not in fields:
            raise ValueError(
                "The configuration has no `images`, the folder that has one subfolder of images per class."
            )
        fields = {
            name: read_value(value, known[name].type, name) if isinstance(value, str) else value
            for name, value in fields.items()
        }
        own = {field.name for field in dataclasses.fields(cls)}
        builder = {name: value for name, value in fields.items() if name not in own}
        if expected is not None:
            builder["num_classes"] = expected
        return cls(builder=builder, **{name: value for name, value in fields.items() if name in own})

    @classmethod
    def from_yaml(cls, path, **overrides):
        """Makes a configuration from a YAML (or JSON) file; paths in it count from the current folder."""
        import yaml

        with open(path, encoding="utf-8") as file:
            try:
                fields = yaml.safe_load(file)
            except yaml.YAMLError as error:
                raise ValueError(f"{os.fspath(path)!r} is not a YAML file: {error}") from error
        if not isinstance(fields, dict):
            raise ValueError(f"{os.fspath(path)!r} must have `name: value` on each line. Received: {fields!r}.")
        return cls.from_dict(fields, **overrides)

    def to_dict(self):
        """Returns all names and values side by side, as plain data."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "builder"}
        return {name: _plain(value) for name, value in (own | self.builder).items()}

    def to_yaml(self, path=None):
        """Returns the configuration as YAML text, and writes it to `path` when one is given."""
        import yaml

        text = yaml.safe_dump(self.to_dict(), sort_keys=False)
        if path is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return text

    def make_builder(self, class_names, input_shape):
        """Returns the `tft.ImageClassifier` of the run for the classes of a folder and images of one shape."""
        expected = self.builder.get("num_classes", len(class_names))
        if expected != len(class_names):
            raise ValueError(f"num_classes={expected}, but there are {len(class_names)} classes: {list(class_names)}.")
        found = {"num_classes": len(class_names), "class_names": tuple(class_names), "input_shape": tuple(input_shape)}
        shared = {"learning_rate": self.learning_rate, "seed": self.seed}
        return ImageClassifier(**{**self.builder, **found, **shared})

    def _check_path(self, name):
        value = getattr(self, name)
        if value is None and name != "images":
            return
        if not isinstance(value, str | os.PathLike) or not os.fspath(value):
            raise ValueError(f"`{name}` must be a path. Received: {name}={value!r}.")

    def _check_data(self):
        if self.validation_split is not None:
            if self.validation is not None:
                raise ValueError("`validation` is a folder to measure on, so there is nothing to split: leave out one.")
            fraction = _checks.number(self.validation_split, "validation_split")
            if not 0 < fraction < 1:
                raise ValueError(f"`validation_split` must be between 0 and 1. Received: {fraction}.")
        _checks.one_of(self.skip_bad, "skip_bad", [False, True])
        if self.channels is not None:
            _checks.one_of(self.channels, "channels", [1, 3, 4])
        if self.image_size is not None:
            size = self.image_size if isinstance(self.image_size, list | tuple) else (self.image_size,) * 2
            if len(size) != 2:
                raise ValueError(f"`image_size` must be a number or height x width. Received: {self.image_size!r}.")
            object.__setattr__(self, "image_size", tuple(_checks.integer(side, "image_size", 1) for side in size))

    def _check_training(self):
        _checks.integer(self.freeze_epochs, "freeze_epochs", 0)
        _checks.integer(self.epochs, "epochs", 0)
        if not self.freeze_epochs and not self.epochs:
            raise ValueError("One of `freeze_epochs` and `epochs` must be above 0. Received: 0 and 0.")
        for name in ("learning_rate", "fine_tuning_rate"):
            if getattr(self, name) is not None:
                _checks.number(getattr(self, name), name, 0.0)
        if self.layer_decay is not None:
            _checks.number(self.layer_decay, "layer_decay", 1e-6, 1.0)
        if isinstance(self.class_weight, dict):
            weights = {
                str(name): _checks.number(value, "class_weight", 0.0) for name, value in self.class_weight.items()
            }
            object.__setattr__(self, "class_weight", weights)
        elif self.class_weight is not None:
            _checks.one_of(self.class_weight, "class_weight", ["balanced"])
        _checks.integer(self.batch_size, "batch_size", 1)
        _checks.integer(self.seed, "seed", 0)
        if self.min_accuracy is not None:
            _checks.number(self.min_accuracy, "min_accuracy", 0.0, 1.0)
        if self.save_model is not None and not os.fspath(self.save_model).endswith(".keras"):
            raise ValueError(f"`save_model` must end in .keras. Received: save_model={os.fspath(self.save_model)!r}.")

    def _check_builder(self):
        # Files have lists where code has tuples; configurations of equal content are equal.
        builder = {name: tuple(value) if isinstance(value, list) else value for name, value in self.builder.items()}
        object.__setattr__(self, "builder", builder)
        chosen = self.fields().keys() - {field.name for field in dataclasses.fields(self)} | {"num_classes"}
        _checks.known_fields(builder, chosen, "`builder`")
        names = builder.get("class_names") or range(_checks.integer(builder.get("num_classes", 2), "num_classes", 2))
        self.make_builder(names, (*(self.image_size or (1, 1)), self.channels or 3))
        if self.builder.get("trainable") is False and self.epochs:
            raise ValueError(
                "`trainable`=false leaves the second phase nothing to train. For feature extraction say epochs=0; "
                "leave `trainable` out to train the upper half of the backbone."
            )


def _side_by_side(fields):
    """Returns a copy of the dict with what a builder's own dict has in it under the names of the run."""
    flat = dict(fields)
    nested = flat.pop("builder", {})
    if isinstance(nested, str):
        nested = {"builder": nested}
    if not isinstance(nested, dict):
        raise ValueError(f"`builder` must be fields of ImageClassifier. Received: builder={nested!r}.")
    nested = dict(nested)
    _checks.one_of(nested.pop("builder", "ImageClassifier"), "builder", ["ImageClassifier"])
    flat = {**nested, **flat}
    if flat.pop("multi_label", False) is not False:
        raise ValueError(f"`multi_label` can't be trained from folders: {NOT_CHOSEN['multi_label']}.")
    if flat.get("seed", 0) is None:
        del flat["seed"]
    names = flat.get("class_names")
    if names is not None:
        # Folders may be named by digits, which are names all the same.
        names = names.split(",") if isinstance(names, str) else names
        flat["class_names"] = tuple(str(name).strip() for name in names)
    shape = flat.pop("input_shape", None)
    if shape is not None:
        height, width, channels = _checks.image_shape(shape)
        flat = {"image_size": (height, width), "channels": channels, **flat}
    return flat


def _plain(value):
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return list(value) if isinstance(value, tuple) else value
