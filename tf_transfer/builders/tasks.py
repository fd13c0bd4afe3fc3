"""What a model of several heads is asked: classes or numbers, where not every example has a label of every task."""

import dataclasses

from tf_transfer import _checks
from tf_transfer.builders.base import Builder
from tf_transfer.builders.heads import classification_head, regression_head
from tf_transfer.builders.targets import ClassifierFields, RegressorFields
from tf_transfer.losses import LabelledLoss, LabelledMetric
from tf_transfer.losses.labelled import check_class_weight


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task(Builder):
    """A task of a `MultiTask`: its head, its loss and its metrics. Take `ClassificationTask` or `RegressionTask`.

    Args:
        weight: Float above 0, what its loss counts in the sum over all tasks. Defaults to 1.
    """

    weight: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        _checks.positive(self.weight, "weight")

    def build(self):
        raise NotImplementedError(
            f"A {type(self).__name__} is no model. Give it to a builder: `tft.MultiTask(tasks={{...}}, ...).build()`."
        )

    def head(self, features, name, options):
        """Returns the task's output on features.

        Args:
            features: Tensor of shape `(batch, ..., dim)`.
            name: String, the task's.
            options: Dict, `hidden_units`, `dropout`, `l2` and `seed` of the head.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `head`.")

    def objective(self):
        """Returns the loss, which passes over missing labels, and a list of metrics that do."""
        loss, metrics = self._objective()
        options = {"missing": self._missing, "by_entry": self._by_entry}
        labelled = LabelledLoss(loss, class_weight=self._class_weight, scale=self._scale, **options)
        return labelled, [LabelledMetric(metric, **options) for metric in metrics]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationTask(ClassifierFields, Task):
    """Classes of examples, or several labels each. A missing label is -1.

    Args:
        class_weight: Dict from class to what its examples count (its label, with `multi_label`). Classes that are not
            in it count 1. Defaults to None: all do.
        **fields: weight, as in `RegressionTask`, and num_classes, class_names, multi_label, label_smoothing, as in
            `ImageClassifier`. With `multi_label` each entry of the labels can be missing.

    Example:

    >>> task = tft.ClassificationTask(num_classes=10, class_weight={3: 2.0})
    >>> tft.ClassificationTask.from_dict(task.to_dict()) == task
    True
    """

    class_weight: dict | None = None

    def __post_init__(self):
        super().__post_init__()
        self._set(class_weight=check_class_weight(self.class_weight))
        beyond = [each for each in self.class_weight or () if each >= self.num_classes]
        if beyond:
            raise ValueError(f"`class_weight` has the classes {beyond}; there are {self.num_classes}, counted from 0.")

    def head(self, features, name, options):
        return classification_head(features, self.num_classes, multi_label=self.multi_label, name=name, **options)

    @property
    def _missing(self):
        return -1

    @property
    def _by_entry(self):
        return self.multi_label

    @property
    def _class_weight(self):
        return self.class_weight

    @property
    def _scale(self):
        return 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegressionTask(RegressorFields, Task):
    """Numbers, in their own unit. A missing one is NaN.

    The loss is that of the standardized target, ((y - p) / target_std)^2, so that it does not depend on the unit and
    can be weighed against other tasks; the metric "mae" is in the unit.

    Args:
        weight: Float above 0, what its loss counts in the sum over all tasks. Defaults to 1.
        **fields: num_outputs, target_mean, target_std, as in `ImageRegressor`.

    Example:

    >>> age = tft.RegressionTask(target_mean=40.0, target_std=12.0)
    >>> loss, _ = age.objective()
    >>> float(loss(np.array([[40.0], [np.nan]]), np.array([[52.0], [0.0]])))
    1.0
    """

    def head(self, features, name, options):
        scale = {"target_mean": self.target_mean, "target_std": self.target_std}
        return regression_head(features, self.num_outputs, name=name, **scale, **options)

    @property
    def _missing(self):
        return None

    @property
    def _by_entry(self):
        return True

    @property
    def _class_weight(self):
        return None

    @property
    def _scale(self):
        return 1.0 / self.target_std**2
