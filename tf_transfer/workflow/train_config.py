"""What a training run on images is made of, as plain data: from code, a YAML file or the command line."""

import dataclasses
import os

from tf_transfer.workflow.chosen_backbone import check_backbone, input_shape
from tf_transfer.workflow.labelled_folders import read_folders
from tf_transfer.workflow.training_config import TrainingConfig

FROM_SCRATCH = (
    "To train from scratch, let everything train at a higher rate: trainable=true, freeze_epochs=0, "
    "fine_tuning_rate=1e-3."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(TrainingConfig):
    """A whole training run on a folder of images, for `tft.workflow.train`.

    In a file and in a dict all names stand side by side, those of the run and those of `tft.ImageClassifier`; there,
    values may also be written as on the command line ("96x128", "none", "alpha=0.35"). All but the fields of images
    are those of every `TrainingConfig`.

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
        strategy: What to train on, a name for `tft.distribution.strategy`: "multi_worker" for all machines that the
            environment variable TF_CONFIG names, "mirrored" for all devices of this one, "auto" for what there is.
            Defaults to None, no strategy.
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

    required = {"images": "the folder that has one subfolder of images per class"}

    images: str | os.PathLike
    skip_bad: bool = False
    image_size: int | tuple | None = None
    channels: int | None = None

    def __post_init__(self):
        self._check_images()
        super().__post_init__()

    def open(self):
        shape = input_shape(self)
        check_backbone(self, shape, FROM_SCRATCH)
        training, validation = read_folders(self, shape)
        return self.make_builder(training.class_names, shape), training, validation
