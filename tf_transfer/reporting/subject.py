"""What a report is about: a model, what it answered to examples, and what else is known of it."""

import dataclasses
import typing

import keras
import numpy as np

from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation
from tf_transfer.analysis.domain_gap import DomainGap
from tf_transfer.analysis.multi_label_evaluation import MultiLabelEvaluation
from tf_transfer.analysis.regression_evaluation import RegressionEvaluation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """What the sections of a report draw from.

    Attributes:
        model: Built `keras.Model`.
        data: The examples that it was asked about, as they were given, or None.
        evaluation: `ClassifierEvaluation`, `MultiLabelEvaluation`, `RegressionEvaluation`, or None where no example has
            a label, and for a model of several outputs.
        inputs: The first examples, an array or a dict of arrays.
        labels: Their labels, or None.
        num_shown: Integer, how many examples to show at most.
        output: String, the name of the output that this is about, of a model of several. Defaults to None.
        parts: Tuple of a `Subject` an output, for a model of several outputs. Defaults to none.
        history: `keras.callbacks.History` or dict of lists, or None.
        pretrained: `keras.Model` as it was before, or None.
        source: Examples of the domain that it was trained on, or None.
        target: Examples of the domain where it is used, or None.
        gap: `DomainGap`, or None.
        export_path: Path of the export of this model, or None.
        licence: String, what its starting weights may be used for, or None.
        run: `tft.workflow.Run`, or None.
    """

    model: keras.Model
    data: typing.Any
    evaluation: typing.Any
    inputs: typing.Any
    labels: np.ndarray | None
    num_shown: int = 8
    output: str | None = None
    parts: tuple = ()
    history: typing.Any = None
    pretrained: keras.Model | None = None
    source: typing.Any = None
    target: typing.Any = None
    gap: DomainGap | None = None
    export_path: typing.Any = None
    licence: str | None = None
    run: typing.Any = None

    @property
    def builder(self):
        return getattr(self.model, "builder", None)

    @property
    def input_builder(self):
        """The builder that says what the input and the backbone are: of several tasks that of their trunk."""
        return getattr(self.builder, "trunk", self.builder)

    @property
    def num_kept(self):
        return len(keras.tree.flatten(self.inputs)[0])

    @property
    def is_classifier(self):
        return isinstance(self.evaluation, ClassifierEvaluation)

    @property
    def is_multi_label(self):
        return isinstance(self.evaluation, MultiLabelEvaluation)

    @property
    def is_regressor(self):
        return isinstance(self.evaluation, RegressionEvaluation)

    def titled(self, heading):
        """Returns the heading of a section about this subject."""
        return heading if self.output is None else f"{self.output}: {heading[0].lower()}{heading[1:]}"
