"""What happened in a training of several phases, as one history."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase of a training.

    Args:
        name: String, "head" or "fine-tuning".
        first_epoch: Integer, index of its first epoch, counted from 0 over all phases.
        num_epochs: Integer, how many epochs it had.
        learning_rate: Float, its highest learning rate.
        trainable: Integer, number of parameters that trained.
        cached: Boolean, whether it ran on cached features.
        best_epoch: Integer, index of the epoch whose weights were kept, counted like `first_epoch`; None when those
            from before the phase were, or nothing was there to choose by.
    """

    name: str
    first_epoch: int
    num_epochs: int
    learning_rate: float
    trainable: int
    cached: bool = False
    best_epoch: int | None = None


class FineTuningHistory(keras.callbacks.History):
    """The history of `fine_tune`: as Keras' own, over all epochs, with the phases marked.

    Attributes:
        history: Dict of metric name to the list of its values, one an epoch, over all phases.
        epoch: List of integers, 0 to the last epoch.
        phases: List of `Phase`.
        search: The `FineTuningHistory` of the run on a part of the data that chose the number of epochs, or None.
    """

    def __init__(self):
        super().__init__()
        self.history, self.epoch, self.phases, self.search = {}, [], [], None

    def add(self, phase, history):
        """Appends a phase and the dict of its values."""
        for name, values in history.items():
            # An entry that only a later phase has is filled up, so that every list counts the same epochs.
            past = self.history.setdefault(name, [float("nan")] * len(self.epoch))
            past.extend(float(value) for value in values)
        self.epoch.extend(range(len(self.epoch), len(self.epoch) + phase.num_epochs))
        for values in self.history.values():
            values.extend([float("nan")] * (len(self.epoch) - len(values)))
        self.phases.append(phase)

    def plot(self, metrics=("loss", "accuracy")):
        """Draws the curves of training and validation, with a line where a phase begins.

        Args:
            metrics: Sequence of strings; those that the history lacks are left out.

        Returns:
            A `matplotlib.figure.Figure`.
        """
        from matplotlib.figure import Figure

        present = [name for name in metrics if name in self.history]
        if not present:
            raise ValueError(f"None of {list(metrics)} is in the history; it has {sorted(self.history)}.")
        figure = Figure(figsize=(5 * len(present), 3.5), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(present), squeeze=False)[0], present, strict=True):
            self._draw(axes, name)
        return figure

    def _draw(self, axes, name):
        epochs = [epoch + 1 for epoch in self.epoch]
        axes.plot(epochs, self.history[name], label="training")
        if f"val_{name}" in self.history:
            axes.plot(epochs, self.history[f"val_{name}"], label="validation")
        for phase in self.phases:
            axes.axvline(phase.first_epoch + 0.5, color="0.6", linestyle="--", linewidth=0.8)
            axes.annotate(
                phase.name, (phase.first_epoch + 0.6, 1), xycoords=("data", "axes fraction"), va="top", fontsize=8
            )
        axes.set(xlabel="epoch", ylabel=name)
        axes.legend(loc="center right")
