"""What an adaptation run is made of, as plain data: from code, a YAML file or the command line."""

import dataclasses
import os

from tf_transfer import _checks
from tf_transfer.adaptation import DomainAdversarialClassifier
from tf_transfer.adaptation.classifier_builder import METHODS
from tf_transfer.training import AlternatingModel
from tf_transfer.workflow.run_config import RunConfig
from tf_transfer.workflow.run_strategy import check_strategy

_SEVERAL_UPDATES = {name for name, made in METHODS.items() if issubclass(getattr(made, "func", made), AlternatingModel)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptConfig(RunConfig):
    """A whole adaptation run on two folders of images, for `tft.workflow.adapt`.

    In a file and in a dict all names stand side by side, those of the run and those of
    `tft.DomainAdversarialClassifier`; there, values may also be written as on the command line ("96x128", "none",
    "schedule=dann,final=0.5").

    Args:
        source: String or path, the folder that has one subfolder of labelled images per class.
        target: String or path, the folder of images to adapt to. With subfolders named like the classes, their
            labels are used to measure, never to train.
        target_labels: Boolean, whether the subfolders of `target` are classes. Defaults to None: told from their names.
        validation: String or path, a second folder like a labelled `target`, to measure on. Defaults to a part of
            `target`, when that has labels.
        validation_split: Float in (0, 1), the part of each class of a labelled `target` that is measured on instead
            of adapted to when there is no `validation` folder. Defaults to 0.2.
        skip_bad: Boolean, whether to leave out images that can't be read instead of stopping. Defaults to False.
        image_size: Integer or pair (height, width), pixels that images are scaled to. Defaults to what the backbone
            was trained at.
        channels: 1 (grey), 3 (RGB) or 4. Defaults to what the backbone was trained at.
        builder: Dict of fields of `tft.DomainAdversarialClassifier`, such as `{"method": "cdan", "dropout": 0.5}`.
        source_epochs: Integer, epochs on the source alone before the adaptation; what comes out is the model that the
            adapted one is compared to. 0 leaves them out. Defaults to 5.
        epochs: Integer, epochs of the adaptation; one goes through the longer of the two domains. Defaults to 20.
        learning_rate: Float, rate of Adam. Defaults to 1e-3.
        batch_size: Integer, images of each domain in one step. Defaults to 32.
        projection: "tsne" or "pca", of the picture of the features. Defaults to "tsne".
        seed: Integer, of the split, the shuffling, the augmentation and the new layers. Defaults to 0.
        strategy: What to train on, a name for `tft.distribution.strategy`: "multi_worker" for all machines that the
            environment variable TF_CONFIG names, "mirrored" for all devices of this one, "auto" for what there is.
            Defaults to None, no strategy.
        output: String or path, a folder that is made for the results. Defaults to None.
        export: String or path, the folder of the served model, such as "saved_models/flowers". Defaults to None.

    Raises:
        ValueError: For a name or a value that can't be, before anything is read.

    Example:

    >>> config = AdaptConfig.from_dict({"source": "paper", "target": "photos", "method": "cdan",
    ...                                 "adaptation_weight": "schedule=dann,final=0.5"})
    >>> config.builder
    {'method': 'cdan', 'adaptation_weight': {'schedule': 'dann', 'final': 0.5}}
    >>> AdaptConfig.from_dict(config.to_dict()) == config
    True
    """

    builder_class = DomainAdversarialClassifier
    not_chosen = {**RunConfig.not_chosen, "regularizer": "none: a method has an objective of its own"}
    required = {
        "source": "the folder that has one subfolder of labelled images per class",
        "target": "the folder of images to adapt to",
    }

    source: str | os.PathLike
    target: str | os.PathLike
    target_labels: bool | None = None
    validation: str | os.PathLike | None = None
    validation_split: float | None = None
    skip_bad: bool = False
    image_size: int | tuple | None = None
    channels: int | None = None
    builder: dict = dataclasses.field(default_factory=dict)
    source_epochs: int = 5
    epochs: int = 20
    learning_rate: float = 1e-3
    batch_size: int = 32
    projection: str = "tsne"
    seed: int = 0
    strategy: str | None = None
    output: str | os.PathLike | None = None
    export: str | os.PathLike | None = None

    def check_machines(self):
        """Raises a `ValueError` for a method that does not train on several machines."""
        method = self.builder.get("method", "dann")
        if method in _SEVERAL_UPDATES:
            others = sorted(set(METHODS) - _SEVERAL_UPDATES)
            raise ValueError(
                f"method={method!r} makes several updates a step, and does not train on several machines. Use "
                f"strategy='mirrored' or 'one_device', or one of the methods {others}."
            )

    def __post_init__(self):
        self._check_paths("source", "target", "validation", "output", "export")
        self._check_split()
        self._check_images()
        self._check_training()
        self._check_builder()
        if self.strategy == "multi_worker":
            self.check_machines()

    def _check_training(self):
        _checks.one_of(self.target_labels, "target_labels", [None, True, False])
        if self.target_labels is False and self.validation_split is not None:
            raise ValueError("`validation_split` needs a target with labels: leave it out, or target_labels=false.")
        _checks.integer(self.source_epochs, "source_epochs", 0)
        _checks.integer(self.epochs, "epochs", 1)
        _checks.number(self.learning_rate, "learning_rate", 0.0)
        _checks.integer(self.batch_size, "batch_size", 1)
        _checks.one_of(self.projection, "projection", ["tsne", "pca"])
        _checks.integer(self.seed, "seed", 0)
        check_strategy(self.strategy)
