"""Whole runs: a configuration in, a trained, measured and exported model out."""

from tf_transfer.workflow.adapt import AdaptResult, adapt
from tf_transfer.workflow.adapt_config import AdaptConfig
from tf_transfer.workflow.demo import DemoResult, run_demo
from tf_transfer.workflow.distill import DistillResult, distill
from tf_transfer.workflow.distill_config import DistillConfig
from tf_transfer.workflow.gap import measure_gap
from tf_transfer.workflow.predict import PredictedNumbers, Prediction, predict
from tf_transfer.workflow.rank import rank
from tf_transfer.workflow.report import report
from tf_transfer.workflow.run_comparison import RunComparison, compare_runs
from tf_transfer.workflow.run_reproduction import Reproduction, reproduce_run
from tf_transfer.workflow.runs import Run, list_runs, read_run
from tf_transfer.workflow.train import TrainResult, train
from tf_transfer.workflow.train_config import TrainConfig
from tf_transfer.workflow.train_other_inputs import AudioTrainConfig, TableTrainConfig, TextTrainConfig
from tf_transfer.workflow.training_config import TrainingConfig
from tf_transfer.workflow.tune import TuneResult, tune
from tf_transfer.workflow.tune_config import TuneConfig

__all__ = [
    "AdaptConfig",
    "AdaptResult",
    "AudioTrainConfig",
    "DemoResult",
    "DistillConfig",
    "DistillResult",
    "PredictedNumbers",
    "Prediction",
    "Reproduction",
    "Run",
    "RunComparison",
    "TableTrainConfig",
    "TextTrainConfig",
    "TrainConfig",
    "TrainResult",
    "TrainingConfig",
    "TuneConfig",
    "TuneResult",
    "adapt",
    "compare_runs",
    "distill",
    "list_runs",
    "measure_gap",
    "predict",
    "rank",
    "read_run",
    "report",
    "reproduce_run",
    "run_demo",
    "train",
    "tune",
]
