"""What a training run on images is made of, as plain data: from code, a YAML file or the command line."""

import dataclasses
import os

from tf_transfer import _checks
from tf_transfer.fine_tuning import BiTHyperRule
from tf_transfer.fine_tuning.recompiling import compile_with
from tf_transfer.workflow.chosen_backbone import check_backbone, chosen, input_shape
from tf_transfer.workflow.labelled_folders import read_folders, read_labelled
from tf_transfer.workflow.train_recipe import RECIPES, SAID, has_free_size, rule_for
from tf_transfer.workflow.training_config import TrainingConfig

_ANY_SIZE = (224, 224)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(TrainingConfig):
    """A whole training run on a folder of images, for `tft.workflow.train`.

    In a file and in a dict all names stand side by side, those of the run and those of `tft.ImageClassifier`; there,
    values may also be written as on the command line ("96x128", "none", "alpha=0.35").

    Args:
        images: String or path, the folder that has one subfolder of images per class.
        skip_bad: Boolean, whether to leave out images that can't be read instead of stopping. Defaults to False.
        image_size: Integer or pair (height, width), pixels that images are scaled to. Defaults to what the backbone
            was trained at.
        channels: 1 (grey), 3 (RGB) or 4. Defaults to what the backbone was trained at.
        builder: Dict of fields of `tft.ImageClassifier`, such as `{"backbone": "mobilenet_v2", "dropout": 0.5}`. Its
            `trainable` says what trains in the second phase; without it the upper half of the blocks does.
        recipe: "bit" for `tft.fine_tuning.BiTHyperRule`: rates, epochs, resolution and augmentation by the size of the
            data and of the images, and all of the backbone trains. `image_size`, `batch_size` and `augmentation` may be
            said all the same. Defaults to None.
        **fields: Those of every `TrainingConfig`: validation, validation_split, freeze_epochs, epochs, learning_rate,
            fine_tuning_rate, layer_decay, class_weight, batch_size, features_cache, seed, strategy, min_accuracy,
            save_model, export.

    Raises:
        ValueError: For a name or a value that can't be, before anything is read.

    Example:

    >>> config = TrainConfig.from_dict({"images": "photos", "backbone": "mobilenet_v3_small", "image_size": "96x128"})
    >>> config.image_size, config.builder, config.epochs
    ((96, 128), {'backbone': 'mobilenet_v3_small'}, 10)
    >>> TrainConfig.from_dict(config.to_dict()) == config
    True
    """

    required = {"images": "the folder that has one subfolder of images per class"}
    from_scratch = (
        "To train from scratch, let everything train at a higher rate: trainable=true, freeze_epochs=0, "
        "fine_tuning_rate=1e-3."
    )

    images: str | os.PathLike
    skip_bad: bool = False
    image_size: int | tuple | None = None
    channels: int | None = None
    recipe: str | None = None

    def __post_init__(self):
        _checks.one_of(self.recipe, "recipe", [None, *RECIPES])
        self._check_images()
        if self.recipe is not None:
            self._check_recipe()
        super().__post_init__()

    def whole(self):
        return read_labelled(self, self.images, self._any_shape(), self.builder.get("class_names"))

    def labelled(self):
        return read_folders(self, self._any_shape())

    def open(self):
        shape = input_shape(self)
        check_backbone(self, shape, self.from_scratch)
        training, validation = read_folders(self, shape)
        if self.recipe is None:
            return self.make_builder(training.class_names, shape), training, validation
        rule = rule_for(training, len(training))
        if self.image_size is None and has_free_size(chosen(self, "backbone")):
            shape = (rule.image_size, rule.image_size, shape[2])
            training, validation = (each.resized(shape[:2]) for each in (training, validation))
        said = {"trainable": True, "augmentation": rule.augmentation, **self.builder}
        config = dataclasses.replace(self, builder=said, recipe=None)
        return config.make_builder(training.class_names, shape), training, validation

    def phases(self, builder, num_examples=None):
        if self.recipe is None:
            return super().phases(builder, num_examples)
        return BiTHyperRule.of(num_examples, builder.input_shape[:2]).phases(num_examples, self.batch_size)

    def prepared(self, model):
        if self.recipe is not None:
            compile_with(model, BiTHyperRule.of(1, (1, 1)).optimizer())
        return model

    def _any_shape(self):
        # Whoever chooses a backbone scales images to what that takes.
        return (*(self.image_size or _ANY_SIZE), self.channels or 3)

    def _check_recipe(self):
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        given = [name for name in SAID if getattr(self, name) != defaults[name]]
        given += [name for name in ("trainable", "regularizer") if self.builder.get(name) is not None]
        if given:
            raise ValueError(f"recipe={self.recipe!r} says {', '.join(given)} itself: leave that out, or the recipe.")
