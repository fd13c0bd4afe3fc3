"""How far predicted values are from the true ones: figures from both."""

import dataclasses

import numpy as np

from tf_transfer import _checks


@dataclasses.dataclass(frozen=True, eq=False)
class RegressionEvaluation:
    """Predicted values beside the true ones, and the figures that follow from them, in the unit of the target.

    Args:
        predictions: Float array of shape `(num_examples,)` or `(num_examples, num_outputs)`.
        targets: Float array of the same shape.

    Attributes:
        mae: Float, mean absolute error over all examples and outputs.
        rmse: Float, root of the mean squared error.
        r2: Float of at most 1, the share of the targets' variance that is explained, the mean over the outputs; 0 is
            what the mean of these targets would reach, below 0 is worse than that. NaN where targets do not vary.

    Raises:
        ValueError: When the shapes differ or a value is not finite.

    Example:

    >>> evaluation = tft.analysis.RegressionEvaluation(np.array([1.0, 2.0, 6.0]), np.array([1.0, 3.0, 5.0]))
    >>> evaluation
    <RegressionEvaluation of 3 examples: mean absolute error 0.6667, RMSE 0.8165, R2 0.750>
    """

    predictions: np.ndarray
    targets: np.ndarray

    def __post_init__(self):
        for name in ("predictions", "targets"):
            values = np.asarray(getattr(self, name), "float64")
            values = values[:, None] if values.ndim == 1 else values
            if values.ndim != 2 or not np.isfinite(values).all():
                raise ValueError(f"`{name}` must be finite, one row an example. Received: shape {values.shape}.")
            object.__setattr__(self, name, values)
        if self.predictions.shape != self.targets.shape or not len(self.targets):
            raise ValueError(
                "`predictions` and `targets` must have one shape and at least one row. Received: "
                f"{self.predictions.shape} and {self.targets.shape}."
            )

    def __repr__(self):
        return (
            f"<RegressionEvaluation of {len(self.targets)} examples: mean absolute error {self.mae:.4g}, "
            f"RMSE {self.rmse:.4g}, R2 {self.r2:.3f}>"
        )

    @property
    def mae(self):
        return float(np.abs(self.predictions - self.targets).mean())

    @property
    def rmse(self):
        return float(np.sqrt(np.square(self.predictions - self.targets).mean()))

    @property
    def r2(self):
        from sklearn.metrics import r2_score

        varies = np.ptp(self.targets, axis=0) > 0
        return float(r2_score(self.targets, self.predictions)) if varies.all() else float("nan")

    def mae_interval(self, confidence=0.95):
        """Returns (low, high), Student's interval of the mean absolute error on data of this kind.

        Args:
            confidence: Float in (0, 1). Defaults to 0.95.
        """
        from scipy.stats import sem, t

        _checks.number(confidence, "confidence", 0.0, 1.0)
        errors = np.abs(self.predictions - self.targets).mean(axis=1)
        if len(errors) < 2 or np.ptp(errors) == 0:
            return self.mae, self.mae
        low, high = t.interval(confidence, len(errors) - 1, errors.mean(), sem(errors))
        return max(0.0, float(low)), float(high)

    def plot(self):
        """Draws each prediction against its target, with the line where both are equal; returns the figure."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 5), layout="constrained")
        axes = figure.subplots()
        several = self.targets.shape[1] > 1
        for output in range(self.targets.shape[1]):
            label = f"output {output}" if several else None
            axes.scatter(self.targets[:, output], self.predictions[:, output], s=12, alpha=0.5, label=label)
        ends = [min(self.targets.min(), self.predictions.min()), max(self.targets.max(), self.predictions.max())]
        axes.plot(ends, ends, color="0.4", linewidth=1)
        axes.set(xlabel="target", ylabel="predicted", title=f"mean absolute error {self.mae:.4g}, R2 {self.r2:.3f}")
        if several:
            axes.legend()
        return figure
