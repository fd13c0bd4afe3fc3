"""One backbone, a head a task."""

import dataclasses
import re

import keras

from tf_transfer.builders.base import Builder
from tf_transfer.builders.nested import as_builder, as_trunk
from tf_transfer.builders.tasks import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiTask(Builder):
    """Builds a model of several tasks that share a backbone, with a head for each.

    `build()` returns a compiled `keras.Model` with the inputs of the trunk and one float32 output a task, named as the
    task: the scores of a classification, the values of a regression. Labels are a dict of these names. An example may
    lack labels: -1 for classes, NaN for numbers; a task's loss and metrics are those of the examples that have one
    (`tft.losses.LabelledLoss`), so its loss is that of `fit` on these alone. `tft.data.mix_tasks` makes one stream of
    data sets that have labels of one task each.

    The objective is the sum of the tasks' losses, each times its weight. Other ways to balance them are methods on the
    model that this builds: `tft.UncertaintyWeighting`, `tft.DynamicWeightAveraging`, `tft.GradNorm`, `tft.PCGrad`.

    The model is made of the trunk's layers and Keras' own; its losses and metrics are of this package, so that a
    `.keras` file opens without it under `compile=False`.

    Args:
        trunk: A builder without a head, such as `tft.builders.ImageBuilder(...)`, or its dict as `to_dict` gives it.
            Its fields say what the input is, which backbone, what trains in it, and the shape of the heads.
        tasks: Dict from a name to a `ClassificationTask` or `RegressionTask`, or the dict of one. The name is that of
            the output; "_" and its layers' names follow it in the head, as in "digit_logits".

    Raises:
        ValueError: For a field that can't be, before anything is built.

    Example:

    >>> trunk = tft.builders.ImageBuilder(weights=None, input_shape=(32, 32, 3), backbone_options={"alpha": 0.35})
    >>> builder = tft.MultiTask(trunk=trunk, tasks={"digit": tft.ClassificationTask(num_classes=10),
    ...                                             "slant": tft.RegressionTask(target_std=0.2, weight=0.5)})
    >>> model = builder.build()
    >>> model.input.name, {name: output.shape for name, output in model.output.items()}
    ('image', {'digit': (None, 10), 'slant': (None, 1)})
    >>> tft.MultiTask.from_yaml(builder.to_yaml()) == builder
    True
    """

    trunk: Builder | dict
    tasks: dict

    takes_missing = True

    def __post_init__(self):
        super().__post_init__()
        self._set(trunk=as_trunk(self.trunk, "trunk"))
        if not isinstance(self.tasks, dict) or not self.tasks:
            raise ValueError(f"`tasks` must be a dict from names to tasks. Received: tasks={self.tasks!r}.")
        self._set(tasks={name: as_builder(task, f"tasks[{name!r}]", Task) for name, task in self.tasks.items()})
        for name in self.tasks:
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise ValueError(
                    "A task's name must be a letter and then letters, digits or '_', as it names an output. "
                    f"Received: {name!r}."
                )

    @property
    def trainable(self):
        """What trains in the backbone, as the trunk has it."""
        return self.trunk.trainable

    @property
    def batch_norm(self):
        """The mode of batch normalization, as the trunk has it."""
        return self.trunk.batch_norm

    @property
    def regularizer(self):
        """What holds the backbone near its source, as the trunk has it."""
        return self.trunk.regularizer

    @property
    def class_names(self):
        """Dict from a task of one class an example to its class names, where it has them; None when none has."""
        single = {name: task for name, task in self.tasks.items() if not getattr(task, "multi_label", True)}
        return {name: list(task.class_names) for name, task in single.items() if task.class_names} or None

    def augment(self, dataset):
        """Returns the dataset of batches with the trunk's augmentation applied; labels stay as they are."""
        return self.trunk.augment(dataset)

    def build(self):
        inputs, features = self.trunk._features()
        self._check_names(inputs)
        outputs = {}
        for number, (name, task) in enumerate(self.tasks.items()):
            options = self.trunk._head_options()
            # Heads of the same shape would start as copies of each other.
            options["seed"] = None if options["seed"] is None else options["seed"] + number
            outputs[name] = task.head(features, name, options)
        model = self.trunk._prepared(keras.Model(inputs, outputs, name="multi_task"))
        objectives = {name: task.objective() for name, task in self.tasks.items()}
        model.compile(
            keras.optimizers.Adam(self.trunk.learning_rate),
            {name: loss for name, (loss, _) in objectives.items()},
            loss_weights={name: task.weight for name, task in self.tasks.items()},
            metrics={name: metrics for name, (_, metrics) in objectives.items()},
        )
        model.builder = self
        return model

    def _check_names(self, inputs):
        taken = {tensor.name for tensor in keras.tree.flatten(inputs)}
        both = sorted(taken & set(self.tasks))
        if both:
            raise ValueError(
                f"An output can't be named as an input. Rename the task {both[0]!r}; inputs: {sorted(taken)}."
            )
