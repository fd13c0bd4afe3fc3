"""What methods share that are fitted to episodes: how they compile, and how they are asked about episodes."""

import keras

from tf_transfer.few_shot.episode_evaluation import evaluate_episodes
from tf_transfer.training import TransferModel

INPUTS = ("support", "support_labels", "query")


class EpisodicModel(TransferModel):
    """A `TransferModel` on batches of episodes, as `tft.data.episodes` draws them.

    Its predictions are those of the queries, `(num_episodes, num_queries, ...)`, logits where there are classes.

    Args:
        **kwargs: As in `TransferModel`.
    """

    def compile(self, optimizer="adam", loss=None, metrics=None, **kwargs):
        """Configures the model for training.

        Args:
            optimizer: Name or `keras.optimizers.Optimizer`. Defaults to "adam".
            loss: Loss of the queries. Defaults to cross-entropy of logits and integer labels.
            metrics: As in `keras.Model.compile`. Defaults to the accuracy on the queries, and to none for another loss.
            **kwargs: Further arguments of `keras.Model.compile`.
        """
        if metrics is None:
            metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")] if loss is None else []
        loss = default_loss() if loss is None else loss
        super().compile(optimizer, loss, metrics=metrics, **kwargs)

    def evaluate_episodes(self, episodes, num_episodes=600, verbose=0):
        """Returns the `EpisodeEvaluation` of this model; see `tft.few_shot.evaluate_episodes`."""
        return evaluate_episodes(self, episodes, num_episodes, verbose=verbose)


def default_loss():
    """Returns the loss of those who name none: of logits and integer labels."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def check_batch(inputs):
    """Raises for what is no batch of episodes."""
    missing = [name for name in INPUTS if not isinstance(inputs, dict) or name not in inputs]
    if missing:
        found = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
        raise ValueError(
            f"A batch must be a dict of {list(INPUTS)}, as `tft.data.episodes` makes them. Received: {found}."
        )


def check_model(model, name, several_inputs=False):
    """Raises for a model that has not one output, or not one input where it may not have several."""
    ends = [len(getattr(model, end, None) or ()) for end in ("inputs", "outputs")]
    if not isinstance(model, keras.Model) or ends[1] != 1 or not (ends[0] == 1 or (several_inputs and ends[0])):
        number = "inputs" if several_inputs else "one input"
        raise ValueError(
            f"`{name}` must be a functional or sequential keras.Model with {number} and one output. "
            f"Received: {model!r}."
        )
