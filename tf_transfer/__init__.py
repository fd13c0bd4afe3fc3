"""Transfer learning for Keras 3 and TensorFlow: from a pretrained backbone to a served model."""

import importlib

# Keras finds a custom class of a `.keras` file only when it is registered by then.
from tf_transfer import (
    _checks,
    adaptation,
    contrastive,
    distillation,
    few_shot,
    layers,
    losses,
    multi_task,
    pretraining,
    schedules,
    semi_supervised,
)

__version__ = "0.1.0"

# Public name -> the room that has it. Rooms load on first use, so that importing the package
# costs next to nothing and pulls in neither plotting, tuning nor hub code that is not needed.
_HOME = {
    "CDAN": "adaptation",
    "DANN": "adaptation",
    "DeepJDOT": "adaptation",
    "DeepCORAL": "adaptation",
    "MCC": "adaptation",
    "JAN": "adaptation",
    "DAN": "adaptation",
    "BSP": "adaptation",
    "BNM": "adaptation",
    "AFN": "adaptation",
    "DAREGRAM": "adaptation",
    "RSD": "adaptation",
    "DomainAdapter": "adaptation",
    "DomainAdversarialClassifier": "adaptation",
    "MDD": "adaptation",
    "MCD": "adaptation",
    "WDGRL": "adaptation",
    "ADDA": "adaptation",
    "TENT": "adaptation",
    "SHOT": "adaptation",
    "AdaBN": "adaptation",
    "DualEncoder": "contrastive",
    "ContrastiveModel": "contrastive",
    "UncertaintyWeighting": "multi_task",
    "DynamicWeightAveraging": "multi_task",
    "GradNorm": "multi_task",
    "PCGrad": "multi_task",
    "Distiller": "distillation",
    "DistillationCallback": "distillation",
    "load_backbone": "backbones",
    "blocks": "backbones",
    "set_trainable": "backbones",
    "AudioClassifier": "builders",
    "FeatureFusion": "builders",
    "FeatureFusionRegressor": "builders",
    "ImageClassifier": "builders",
    "ImageRegressor": "builders",
    "TabularClassifier": "builders",
    "TabularRegressor": "builders",
    "TextClassifier": "builders",
    "TextRegressor": "builders",
    "TextEncoder": "builders",
    "MultiTask": "builders",
    "ClassificationTask": "builders",
    "RegressionTask": "builders",
    "pretrain_text": "pretraining",
    "fine_tune": "fine_tuning",
    "two_stage": "fine_tuning",
    "FeatureCache": "caching",
    "GradualUnfreezing": "fine_tuning",
    "L2SP": "regularizers",
    "DELTA": "regularizers",
    "BSS": "regularizers",
    "StochNorm": "regularizers",
    "CoTuning": "regularizers",
    "LearningWithoutForgetting": "regularizers",
    "LoRA": "parameter_efficient",
    "ScaleAndShift": "parameter_efficient",
    "BottleneckAdapters": "parameter_efficient",
    "BitFit": "parameter_efficient",
    "BatchNormTuning": "parameter_efficient",
    "find_learning_rate": "fine_tuning",
    "load_model": "layers",
    "save_model": "layers",
    "export": "serving",
    "rank_backbones": "analysis",
    "recommend": "choosing",
    "auto": "choosing",
    "report": "workflow",
}
_ROOMS = [
    "analysis",
    "backbones",
    "builders",
    "caching",
    "choosing",
    "data",
    "distribution",
    "federated",
    "fine_tuning",
    "ops",
    "parameter_efficient",
    "regularizers",
    "reporting",
    "serving",
    "training",
    "tuning",
    "workflow",
]

__all__ = [
    "__version__",
    "adaptation",
    "contrastive",
    "distillation",
    "few_shot",
    "layers",
    "losses",
    "multi_task",
    "pretraining",
    "schedules",
    "semi_supervised",
    *_ROOMS,
    *_HOME,
]


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.{_checks.did_you_mean(name, __all__)}")
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
