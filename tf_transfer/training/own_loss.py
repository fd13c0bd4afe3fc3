"""Methods whose loss is their own: nothing that is compiled with them compares with labels."""

from tf_transfer.training.transfer_model import TransferModel

_OF_LABELS = ("loss", "loss_weights", "metrics", "weighted_metrics")


class OwnLossModel(TransferModel):
    """A `TransferModel` that is compiled without a loss, and whose inputs need no labels.

    Args:
        **kwargs: As in `TransferModel`.
    """

    def compile(self, optimizer="rmsprop", loss=None, **kwargs):
        """Configures the model for training; the loss is its own.

        Args:
            optimizer: Name or `keras.optimizers.Optimizer`. Defaults to "rmsprop".
            loss: None.
            **kwargs: Further arguments of `keras.Model.compile`, but for losses and metrics.
        """
        kwargs["loss"] = loss
        given = [name for name, value in kwargs.items() if value and name in _OF_LABELS]
        if given:
            raise ValueError(
                f"The loss of a {type(self).__name__} is that of its constructor, and it has no metrics of labels. "
                f"Received: {sorted(given)}."
            )
        super().compile(optimizer, **{name: value for name, value in kwargs.items() if name not in _OF_LABELS})
