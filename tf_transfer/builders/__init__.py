"""Builders: frozen sets of choices, each with a `build()` that returns a compiled Keras model."""

from tf_transfer.builders.audio import AudioBuilder, AudioClassifier
from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.base import Builder
from tf_transfer.builders.fusing import fuse
from tf_transfer.builders.fusion import FeatureFusion, FeatureFusionRegressor, FusionBuilder
from tf_transfer.builders.heads import classification_head, regression_head
from tf_transfer.builders.image import ImageBuilder, ImageClassifier, ImageRegressor
from tf_transfer.builders.multi_task import MultiTask
from tf_transfer.builders.one_task import one_task
from tf_transfer.builders.tabular import TabularClassifier, TabularRegressor
from tf_transfer.builders.tabular_builder import TabularBuilder
from tf_transfer.builders.targets import ClassifierFields, RegressorFields
from tf_transfer.builders.tasks import ClassificationTask, RegressionTask, Task
from tf_transfer.builders.text import TextBuilder, TextClassifier, TextRegressor
from tf_transfer.builders.text_encoder import TextEncoder

__all__ = [
    "AudioBuilder",
    "AudioClassifier",
    "BackboneBuilder",
    "Builder",
    "ClassificationTask",
    "ClassifierFields",
    "FeatureFusion",
    "FeatureFusionRegressor",
    "FusionBuilder",
    "ImageBuilder",
    "ImageClassifier",
    "ImageRegressor",
    "MultiTask",
    "RegressionTask",
    "RegressorFields",
    "TabularBuilder",
    "TabularClassifier",
    "TabularRegressor",
    "Task",
    "TextBuilder",
    "TextClassifier",
    "TextEncoder",
    "TextRegressor",
    "classification_head",
    "fuse",
    "one_task",
    "regression_head",
]
