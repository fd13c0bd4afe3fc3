"""What a distillation run is made of, as plain data: from code, a YAML file or the command line."""

import dataclasses
import os

from tf_transfer import _checks
from tf_transfer.parameter_efficient.by_name import names_method
from tf_transfer.workflow.distill_losses import check_losses
from tf_transfer.workflow.run_config import RunConfig
from tf_transfer.workflow.run_strategy import check_strategy


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillConfig(RunConfig):
    """A whole distillation run on a folder of images, for `tft.workflow.distill`.

    In a file and in a dict all names stand side by side, those of the run and those of the `tft.ImageClassifier` that
    the student is; there, values may also be written as on the command line ("96x128", "none", "kd,hint").

    Args:
        teacher: String or path, the `.keras` file of a classifier of the same classes.
        images: String or path, the folder that has one subfolder of images per class.
        student: String, the backbone of the student, as `tft.load_backbone` takes it, or the `.keras` file of a whole
            classifier that goes on learning. Defaults to "mobilenet_v3_small".
        unlabeled: String or path, a folder of images without labels, on which the student learns from the teacher
            alone. Defaults to None.
        validation: String or path, a second folder like `images` to measure on. Defaults to a part of `images`.
        validation_split: Float in (0, 1), the part of each class that is measured on instead of trained on when there
            is no `validation` folder. Defaults to 0.2.
        skip_bad: Boolean, whether to leave out images that can't be read instead of stopping. Defaults to False.
        image_size: Integer or pair (height, width), pixels of the student's images. Defaults to what its backbone was
            trained at. The teacher gets images of its own size.
        channels: 1 (grey), 3 (RGB) or 4. Defaults to the teacher's, which it must be.
        builder: Dict of fields of `tft.ImageClassifier` for the student, such as `{"backbone_options": {"alpha":
            0.5}}`. Without them all of the student trains: `trainable=True`, `batch_norm="trainable"`.
        losses: Tuple of names: "kd", "dkd", "dist", "hint", "embedding", "attention", "similarity", "rkd_distance",
            "rkd_angle", "crd". Defaults to `("kd",)`.
        loss_weights: Dict of these names to floats of at least 0. Defaults to those that the papers give them.
        temperature: Float above 0, of "kd" and "dkd". Defaults to 4.
        weight: Float in [0, 1], the teacher's part of the objective; the rest is that of the labels. Defaults to 0.9.
        teacher_layer: String, path of the layer that losses on features compare. Defaults to the last feature maps.
        student_layer: String, the same of the student.
        epochs: Integer, passes over all images. Defaults to 20.
        learning_rate: Float, highest rate of Adam, which rises at the begin and falls along a cosine. Defaults to 1e-3.
        batch_size: Integer, images of one step. Defaults to 32.
        cache: Boolean, whether to compute the teacher's answers once and keep them, and the images with them, in the
            user's cache folder. That takes images that stay as they are: `augmentation=None`. Defaults to True.
        compare_alone: Boolean, whether to train the same student without the teacher too, on the labelled images, for
            as many steps. Defaults to False.
        seed: Integer, of the split, the shuffling, the augmentation and the new layers. Defaults to 0.
        strategy: What to train on, a name for `tft.distribution.strategy`: "multi_worker" for all machines that the
            environment variable TF_CONFIG names, "mirrored" for all devices of this one, "auto" for what there is.
            Defaults to None, no strategy.
        output: String or path, a folder that is made for the results. Defaults to None.
        export: String or path, the folder of the served student, such as "saved_models/flowers". Defaults to None.

    Raises:
        ValueError: For a name or a value that can't be, before anything is read.

    Example:

    >>> config = DistillConfig.from_dict({"teacher": "teacher.keras", "images": "photos", "losses": "kd,hint",
    ...                                   "student": "mobilenet", "backbone_options": "alpha=0.25"})
    >>> config.losses, config.builder
    (('kd', 'hint'), {'backbone_options': {'alpha': 0.25}})
    >>> DistillConfig.from_dict(config.to_dict()) == config
    True
    """

    not_chosen = {
        **RunConfig.not_chosen,
        "backbone": "the run's own `student`",
        "regularizer": "none: distillation has an objective of its own",
    }
    required = {
        "teacher": "the `.keras` file of a classifier",
        "images": "the folder that has one subfolder of images per class",
    }

    teacher: str | os.PathLike
    images: str | os.PathLike
    student: str | os.PathLike = "mobilenet_v3_small"
    unlabeled: str | os.PathLike | None = None
    validation: str | os.PathLike | None = None
    validation_split: float | None = None
    skip_bad: bool = False
    image_size: int | tuple | None = None
    channels: int | None = None
    builder: dict = dataclasses.field(default_factory=dict)
    losses: tuple = ("kd",)
    loss_weights: dict = dataclasses.field(default_factory=dict)
    temperature: float | None = None
    weight: float = 0.9
    teacher_layer: str | None = None
    student_layer: str | None = None
    epochs: int = 20
    learning_rate: float = 1e-3
    batch_size: int = 32
    cache: bool = True
    compare_alone: bool = False
    seed: int = 0
    strategy: str | None = None
    output: str | os.PathLike | None = None
    export: str | os.PathLike | None = None

    def __post_init__(self):
        self._check_paths("teacher", "images", "unlabeled", "validation", "output", "export")
        if not isinstance(self.student, str | os.PathLike) or not os.fspath(self.student):
            raise ValueError(f"`student` must be a backbone or a `.keras` file. Received: student={self.student!r}.")
        self._check_split()
        self._check_images()
        self._check_training()
        if names_method(self.builder.get("trainable")):
            raise ValueError(
                "A student is small and trains as a whole: `trainable` takes no parameter-efficient method here. "
                f"Received: trainable={self.builder['trainable']!r}."
            )
        self._check_builder()
        self._check_student()

    @property
    def student_file(self):
        """String, the `.keras` file of a student that is there already, or None for one to build."""
        path = os.fspath(self.student)
        return path if path.endswith(".keras") and not path.startswith("file:") else None

    def builder_fields(self):
        return {"trainable": True, "batch_norm": "trainable", **self.builder, "backbone": os.fspath(self.student)}

    def _check_training(self):
        names = (self.losses,) if isinstance(self.losses, str) else self.losses
        object.__setattr__(self, "losses", tuple(names))
        check_losses(self)
        _checks.number(self.weight, "weight", 0.0, 1.0)
        if not self.weight:
            raise ValueError("`weight`=0 leaves the teacher no part. To train without a teacher: `tft.workflow.train`.")
        _checks.integer(self.epochs, "epochs", 1)
        _checks.number(self.learning_rate, "learning_rate", 0.0)
        _checks.integer(self.batch_size, "batch_size", 1)
        _checks.one_of(self.cache, "cache", [True, False])
        _checks.one_of(self.compare_alone, "compare_alone", [True, False])
        _checks.integer(self.seed, "seed", 0)
        check_strategy(self.strategy)
        if self.unlabeled is not None and self.builder.get("label_smoothing"):
            raise ValueError(
                "`label_smoothing` spreads a label over the classes, and images without labels have none. Leave out "
                "one of `label_smoothing` and `unlabeled`."
            )

    def _check_student(self):
        if self.student_file is None:
            return
        known = ("augmentation", "class_names", "label_smoothing", "num_classes")
        idle = sorted(name for name in self.builder if name not in known)
        idle += ["image_size"] if self.image_size is not None else []
        if idle:
            raise ValueError(
                f"The student {self.student_file!r} is built already, so that {idle} would change nothing. Leave them "
                "out, or name a backbone; a file is taken as one when it is written file:PATH."
            )

    @classmethod
    def _side_by_side(cls, fields):
        flat = super()._side_by_side(fields)
        # As the fields of a builder have it.
        backbone = flat.pop("backbone", None)
        return flat if backbone is None else {"student": backbone, **flat}
