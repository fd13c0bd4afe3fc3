"""Clients that keep their data learn one model together: rounds in one process, and on real machines."""

from tf_transfer.federated.fed_adam import FedAdam
from tf_transfer.federated.fed_avg import FedAvg
from tf_transfer.federated.fed_prox import FedProx
from tf_transfer.federated.flower_client import flower_client
from tf_transfer.federated.flower_strategy import flower_strategy

__all__ = ["FedAdam", "FedAvg", "FedProx", "flower_client", "flower_strategy"]
