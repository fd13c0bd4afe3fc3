"""Training without labels of what is to be a backbone."""

from tf_transfer.pretraining.masked_autoencoder import MaskedAutoencoder
from tf_transfer.pretraining.random_views import RandomViews
from tf_transfer.pretraining.sim_clr import SimCLR
from tf_transfer.pretraining.text import pretrain_text

__all__ = ["MaskedAutoencoder", "RandomViews", "SimCLR", "pretrain_text"]
