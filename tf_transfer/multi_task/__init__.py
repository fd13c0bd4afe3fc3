"""Several tasks on one network: how their losses are weighed against each other, and their gradients."""

from tf_transfer.multi_task.balanced_model import BalancedModel
from tf_transfer.multi_task.dynamic_weights import DynamicWeightAveraging
from tf_transfer.multi_task.grad_norm import GradNorm
from tf_transfer.multi_task.pc_grad import PCGrad
from tf_transfer.multi_task.uncertainty import UncertaintyWeighting

__all__ = [
    "BalancedModel",
    "DynamicWeightAveraging",
    "GradNorm",
    "PCGrad",
    "UncertaintyWeighting",
]
